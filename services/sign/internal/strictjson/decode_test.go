package strictjson

import (
	"encoding/json"
	"strings"
	"testing"
)

type document struct {
	embedded
	Name  string            `json:"name"`
	Items []item            `json:"items"`
	Map   map[string]string `json:"map"`
	Raw   json.RawMessage   `json:"raw"`
}

type embedded struct {
	Kind string `json:"kind"`
}

type item struct {
	ID    string `json:"id"`
	Inner *struct {
		Value int `json:"value"`
	} `json:"inner"`
}

func TestDecode(t *testing.T) {
	bounds := Bounds{Depth: 5, Items: 4, Values: 20}
	var d document
	good := ` {"kind":"k","name":"n","items":[{"id":"a","inner":{"value":1}},{}],"other":{"NAME":[[]]},"raw":{"x":1}} `
	if err := Decode([]byte(`{"map":{"a":"b","A":"c"}}`), &d, bounds); err != nil || len(d.Map) != 2 {
		t.Errorf("%+v, %v", d, err)
	}
	if err := Decode([]byte(strings.Replace(good, `,"raw":{"x":1}`, "", 1)), &d, bounds); err != nil || d.Kind != "k" || d.Items[0].Inner.Value != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	for doc, want := range map[string]string{
		``:                                  "EOF",
		`{`:                                 "EOF",
		`{"name":}`:                         "invalid",
		`{"name":1}`:                        "number",
		"{\"name\":\"\xff\"}":               "not UTF-8",
		`{} {}`:                             "follow",
		`{}x`:                               "follow",
		`{"name":"a","name":"b"}`:           "duplicate",
		`{"name":"a","n\u0061me":"b"}`:      "duplicate",
		`{"other":{"a":1,"a":2}}`:           "duplicate",
		`{"Name":"a"}`:                      `want "name"`,
		`{"KIND":"a"}`:                      `want "kind"`,
		`{"items":[{"id":"a"},{"Id":"b"}]}`: `want "id"`,
		`{"items":[{"inner":{"VALUE":1}}]}`: `want "value"`,
		`{"other":[[[[[1]]]]]}`:             "deeper",
		`{"other":[1,2,3,4,5]}`:             "items in one array",
		`{"a":1,"b":2,"c":3,"d":4,"e":5}`:   "items in one object",
		`[[1,1,1,1],[1,1,1,1],[1,1,1,1],[1,1,1,1]]`: "values",
	} {
		if err := Decode([]byte(doc), &document{}, bounds); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", doc, err, want)
		}
	}
}

// FuzzDecode: what Decode accepts is read as a reader with exact names would.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`{"name":"a","items":[{"id":"b"}]}`, `{"a":1,"a":2}`, `{"Name":"x"}`, `[[[]]]`, `nul`, `{"a":]`, `"`, ``, `{}{}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var d document
		if Decode(data, &d, Small) != nil {
			return
		}
		var exact map[string]json.RawMessage
		if err := json.Unmarshal(data, &exact); err != nil {
			return // null decodes into anything
		}
		var name string
		if raw, ok := exact["name"]; ok && json.Unmarshal(raw, &name) != nil {
			t.Fatalf("name of %q is not a string for one of two readers", data)
		}
		if d.Name != name {
			t.Fatalf("%q: name is %q for one reader and %q for another", data, d.Name, name)
		}
	})
}
