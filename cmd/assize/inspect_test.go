package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"assize.dev/services/sign"
	"assize.dev/shared/event"
)

// hostileReport has one string wherever a package can put one. With the table
// read, slots are shown in another way.
func hostileReport(s string, table bool) *sign.PSPFReport {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	doc := strings.ReplaceAll(`{"format":S, "package":{"name":S,"version":S}, "execution":{"command":S,"env":{S:"x"}},
		"build":{"tool":S,"tool_version":S,"timestamp":S,"platform":{"os":S,"arch":S}}, "policy":{"p":S},
		"setup_commands":[S,{"type":S,"command":S,"path":S,"enumerate":{"path":S,"pattern":S}}],
		"slots":[{"id":S,"target":S,"operations":S,"purpose":S,"lifecycle":S,"checksum":S,"permissions":S},{}]}`, "S", string(quoted))
	var m sign.PSPFMetadata
	if err := json.Unmarshal([]byte(doc), &m); err != nil {
		panic(err)
	}
	r := &sign.PSPFReport{
		Checks: []event.Check{{Name: s, Detail: s}, {Name: s, OK: true}}, Warnings: []string{s},
		Metadata: &m, KeyFingerprint: "f", BuildTimestamp: 1 << 63,
	}
	r.Attestation.Key, r.Attestation.SBOM, r.Attestation.Policy = s, s, s
	if table {
		r.Slots = []sign.PSPFSlot{{Signed: &m.Slots[0], Operations: 0xff01}, {ID: 1}}
	}
	return r
}

// FuzzInspect: whatever a package says, a line stays a line, nothing drives
// the terminal, and JSON stays one object on one line.
func FuzzInspect(f *testing.F) {
	for _, s := range []string{"plain", "", "\x1b[2J\x1b]0;x\a", "a\nPublic Key    f00", "tab\tbed\v\f", "two  columns", " ", "\xff\xfe\u202e", "%s%d", "\u0085\u2066\x00", "\\u001b", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" {
			return // what is not there has no line
		}
		for _, table := range []bool{false, true} {
			in := inspectionOf(s, 1, hostileReport(s, table))
			text := in.text(printer{})
			lines := strings.Count(inspectionOf("plain", 1, hostileReport("plain", table)).text(printer{}), "\n")
			if got := strings.Count(text, "\n"); got != lines {
				t.Errorf("%d lines, want %d:\n%q", got, lines, text)
			}
			if shown := strings.ReplaceAll(text, "\n", ""); printable(shown) != shown || !utf8.ValidString(shown) {
				t.Errorf("not printable:\n%q", text)
			}
			var line bytes.Buffer
			if err := json.NewEncoder(&line).Encode(in); err != nil || bytes.Count(line.Bytes(), []byte("\n")) != 1 {
				t.Errorf("JSON %q: %v", line.Bytes(), err)
			}
		}
	})
}

// The strings are shown, and not only kept from harm.
func TestInspectShowsEverything(t *testing.T) {
	r := hostileReport("MARK", false)
	if got := strings.Count(inspectionOf("MARK", 1, r).text(printer{}), "MARK"); got != 32 {
		t.Errorf("shown %d times, want 32:\n%s", got, inspectionOf("MARK", 1, r).text(printer{}))
	}
	colourful := inspectionOf("x", 1, r).text(printer{colour: true})
	if !strings.Contains(colourful, "\x1b["+yellow+"m! execute MARK\x1b[0m") {
		t.Errorf("setup commands are not highlighted:\n%q", colourful)
	}
}
