package pspf

import (
	"encoding/json"
	"testing"
)

// FuzzCheckJSON: what checkJSON accepts is JSON, and encoding/json then reads
// from it what a reader with exact names would.
func FuzzCheckJSON(f *testing.F) {
	for _, seed := range []string{
		`{"format":"PSPF/2025","slots":[{"slot":0,"id":"a"}],"setup_commands":["x",{"type":"execute"}]}`,
		`{"a":1,"a":2}`, `{"Format":"x"}`, `[[[]]]`, `{"package":{"Name":"x"}} `, `nul`, `{"a":]`, `"`, ``, `{}{}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		if checkJSON(doc, folded) != nil {
			return
		}
		if !json.Valid(doc) {
			t.Fatalf("accepted %q, which is not JSON", doc)
		}
		var m Metadata
		var exact map[string]json.RawMessage
		if json.Unmarshal(doc, &m) != nil || json.Unmarshal(doc, &exact) != nil {
			return
		}
		var format string
		if raw, ok := exact["format"]; ok && json.Unmarshal(raw, &format) != nil {
			t.Fatalf("format of %q is not a string for one of two readers", doc)
		}
		if m.Format != format {
			t.Fatalf("%q: format is %q for one reader and %q for another", doc, m.Format, format)
		}
	})
}
