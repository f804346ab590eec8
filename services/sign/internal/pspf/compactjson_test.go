package pspf

import (
	"slices"
	"testing"
)

// The wanted spellings are those of Python 3.12: json.dumps with separators
// (",", ":"), with and without sort_keys and ensure_ascii.
func TestCompactForms(t *testing.T) {
	doc := ` { "b" : [ 1.50, -0, 1e5, true, false, null, {}, [] ],
		"a\u0000": "é \u00e9 😀 \ud83d\ude00 \u2028 \u007f </& \/ \" \\ \b\f\n\r\t\u001F" } `
	const (
		b       = `"b":[1.50,-0,1e5,true,false,null,{},[]]`
		plain   = `"a\u0000":"é é 😀 😀 ` + "\u2028 \x7f" + ` </& / \" \\ \b\f\n\r\t\u001f"`
		ascii   = `"a\u0000":"\u00e9 \u00e9 \ud83d\ude00 \ud83d\ude00 \u2028 \u007f </& / \" \\ \b\f\n\r\t\u001f"`
		ordered = `{` + b + `,` + plain + `}`
	)
	got, err := compactForms([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{ordered, `{` + b + `,` + ascii + `}`, `{` + plain + `,` + b + `}`, `{` + ascii + `,` + b + `}`}
	for i := range want {
		if string(got[i]) != want[i] {
			t.Errorf("form %d: %s\nwant %s", i, got[i], want[i])
		}
	}
	for _, doc := range []string{"", "{", "[1", `{"a"`, `{"a":`} {
		if forms, err := compactForms([]byte(doc)); err == nil {
			t.Errorf("%q has forms %q", doc, forms)
		}
	}
	if forms, err := compactForms([]byte(`"x"`)); err != nil || slices.ContainsFunc(forms, func(f []byte) bool { return string(f) != `"x"` }) {
		t.Errorf("%q, %v", forms, err)
	}
}
