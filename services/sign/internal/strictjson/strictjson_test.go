package strictjson

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestObject(t *testing.T) {
	members, err := Object(json.RawMessage(`{"a":1,"A":[2],"b":null}`))
	if err != nil || len(members) != 3 || string(members["a"]) != "1" || string(members["A"]) != "[2]" || !Absent(members["b"]) || !Absent(members["c"]) {
		t.Errorf("%v, %v", members, err)
	}
	for value, want := range map[string]string{
		`{"a":1,"a":2}`: "duplicate", `{"a":1,"\u0061":2}`: "duplicate", `[]`: "an array", `1`: "a number", `"x"`: "a string", `null`: "null", `true`: "a boolean",
		``: "nothing", `{"a":`: "EOF", `{"a":1`: "EOF", `{1:2}`: "", `{"a":x}`: "invalid",
	} {
		if _, err := Object(json.RawMessage(value)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", value, err, want)
		}
	}
}

func TestArrayAndText(t *testing.T) {
	for value, want := range map[string]int{`[1,2]`: 2, `[]`: 0, `null`: 0, ``: 0, `{}`: -1, `1`: -1, `"a"`: -1} {
		elements, err := Array(json.RawMessage(value))
		if (err != nil) != (want < 0) || err == nil && len(elements) != want {
			t.Errorf("%s: %v, %v", value, elements, err)
		}
	}
	for value, want := range map[string]string{`"a\u0062"`: "ab", `null`: "", ``: "", `1`: "!", `["a"]`: "!"} {
		text, err := Text(json.RawMessage(value))
		if (err != nil) != (want == "!") || err == nil && text != want {
			t.Errorf("%s: %q, %v", value, text, err)
		}
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		data  string
		count int
		want  string // in the error
	}{
		{"", 0, ""}, {" \n", 0, ""}, {"1", 1, ""}, {"{}\n[]\n", 2, ""}, {"{}{}", 2, ""},
		{"1 2 3", 0, "more than 2"}, {"{", 0, "not JSON"}, {"{}}", 0, "not JSON"}, {"\"\xff\"", 0, "UTF-8"}, {"{} x", 0, "not JSON"},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), 1, ""},
		{strings.Repeat("[", 101) + strings.Repeat("]", 101), 0, "nested deeper"},
		{`"` + strings.Repeat("[", 101) + `\"[["`, 1, ""},
		{strings.Repeat(`{"a":`, 101), 0, "nested deeper"},
	} {
		values, err := Values([]byte(c.data), 2)
		if len(values) != c.count || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: %d values, %v", c.data, len(values), err)
		}
	}
	if _, err := Document(nil); err == nil {
		t.Error("an empty document is accepted")
	}
}

// FuzzObject compares with encoding/json where names are unique.
func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,"x\\\"{"]},"c":null}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		document, err := Document(data)
		if err != nil {
			return
		}
		members, err := Object(document)
		if err != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(data, &want); err != nil || len(want) != len(members) {
			t.Errorf("%d members, encoding/json finds %d, %v", len(members), len(want), err)
		}
		for name, m := range members {
			if string(want[name]) != string(m) {
				t.Errorf("%q is %s, encoding/json says %s", name, m, want[name])
			}
		}
	})
}
