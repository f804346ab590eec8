package pspf_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/pspf"
	"assize.dev/services/sign/internal/pspf/pspftest"
)

func TestLevels(t *testing.T) {
	p := sample()
	p.Slots[0].Edit = func(m map[string]any) { m["checksum"] = "sha256:" + strings.Repeat("00", 32) }
	wrongContent := p.Build()
	p = sample()
	p.EditTable = func(table []byte) { binary.LittleEndian.PutUint16(table[62:], 0o777) }
	wrongTable := p.Build()
	for _, c := range []struct {
		name  string
		file  []byte
		level pspf.Level
		want  string
	}{
		{"quick ignores content", wrongContent, pspf.Quick, ""},
		{"standard ignores content", wrongContent, pspf.Standard, ""},
		{"deep", wrongContent, pspf.Deep, pspf.CheckSlotContent},
		{"quick ignores the table", wrongTable, pspf.Quick, ""},
		{"standard", wrongTable, pspf.Standard, pspf.CheckSlotTable},
		{"deep includes standard", wrongTable, pspf.Deep, pspf.CheckSlotTable},
	} {
		t.Run(c.name, func(t *testing.T) {
			report := verify(t, c.file, c.level)
			if c.want != "" {
				rejectedBy(t, report, c.want)
			} else if err := report.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParseLevel(t *testing.T) {
	for _, level := range levels {
		if got, err := pspf.ParseLevel(level.String()); err != nil || got != level {
			t.Errorf("ParseLevel(%s) = %v, %v", level, got, err)
		}
	}
	for _, name := range []string{"", "Deep", "strict", "level 5"} {
		if level, err := pspf.ParseLevel(name); err == nil {
			t.Errorf("ParseLevel(%q) = %v", name, level)
		}
	}
	if _, err := pspf.Verify(context.Background(), bytes.NewReader(nil), 0, pspf.Options{}); err == nil {
		t.Error("a level is needed and was not asked for")
	}
}

var levels = []pspf.Level{pspf.Quick, pspf.Standard, pspf.Deep, pspf.Paranoid}

// TestValidation: what each of FlavorPack's names accepts. A bad signature
// passes under none of them.
func TestValidation(t *testing.T) {
	build := func(edit func(*pspftest.Package)) []byte {
		p := sample()
		edit(&p)
		return p.Build()
	}
	files := map[string][]byte{
		"signed":   build(func(*pspftest.Package) {}),
		"unsigned": build(func(p *pspftest.Package) { p.Key, p.Attest = nil, false }),
		"badly signed": build(func(p *pspftest.Package) {
			p.EditIndex = func(ix []byte) { ix[130] ^= 1 }
		}),
		"content replaced": build(func(p *pspftest.Package) {
			p.Slots[0].Edit = func(m map[string]any) { m["checksum"] = sumHex(nil) }
		}),
		"table changed": build(func(p *pspftest.Package) {
			p.EditTable = func(table []byte) { table[8]++ }
		}),
	}
	for name, want := range map[string]struct {
		accepts    string
		trustedKey bool
	}{
		"strict":   {"signed", true},
		"standard": {"signed", false},
		"relaxed":  {"signed unsigned", false},
		"minimal":  {"content replaced signed unsigned", false},
	} {
		demand, err := pspf.ParseValidation(name)
		if err != nil || demand.TrustedKey != want.trustedKey {
			t.Errorf("%s: %+v, %v", name, demand, err)
		}
		var accepted []string
		for _, what := range slices.Sorted(maps.Keys(files)) {
			file := files[what]
			report, err := pspf.Verify(context.Background(), bytes.NewReader(file), int64(len(file)), demand.Options)
			if err != nil {
				t.Fatal(err)
			}
			if report.OK() {
				accepted = append(accepted, what)
			}
			state := map[string]pspf.Signature{"unsigned": pspf.SignatureAbsent, "badly signed": pspf.SignatureBad}[what]
			if state == "" {
				state = pspf.SignatureValid
			}
			if report.Signature != state {
				t.Errorf("%s, %s: signature is %q, want %s", name, what, report.Signature, state)
			}
		}
		if got := strings.Join(accepted, " "); got != want.accepts {
			t.Errorf("%s accepts %q, want %q", name, got, want.accepts)
		}
	}
	for _, name := range []string{"none", "", "STRICT", "deep"} {
		if demand, err := pspf.ParseValidation(name); err == nil {
			t.Errorf("ParseValidation(%q) = %+v", name, demand)
		}
	}
}

// TestStates: what is known of each part is told apart from the others.
func TestStates(t *testing.T) {
	for _, c := range []struct {
		name  string
		level pspf.Level
		edit  func(*pspftest.Package)
		want  string // structure, integrity, signature, launcher, extraction
	}{
		{"quick", pspf.Quick, nil, "sound sound valid - -"},
		{"deep", pspf.Deep, nil, "sound sound valid authenticated -"},
		{"paranoid", pspf.Paranoid, nil, "sound sound valid authenticated safe"},
		{"index", pspf.Paranoid, func(p *pspftest.Package) { p.EditIndex = func(ix []byte) { ix[0] = 2 } }, "broken - - - -"},
		{"metadata", pspf.Paranoid, func(p *pspftest.Package) { p.EditIndex = func(ix []byte) { ix[96]++ } }, "sound broken - - -"},
		{"JSON", pspf.Paranoid, func(p *pspftest.Package) { p.EditJSON = func([]byte) []byte { return []byte("[]") } }, "broken sound valid - -"},
		{"signature", pspf.Paranoid, func(p *pspftest.Package) { p.EditIndex = func(ix []byte) { ix[128]++ } }, "sound sound bad authenticated safe"},
		{"no signature", pspf.Deep, func(p *pspftest.Package) { p.EditIndex = func(ix []byte) { clear(ix[128:192]) } }, "sound sound absent authenticated -"},
		{"table", pspf.Paranoid, func(p *pspftest.Package) { p.EditTable = func(table []byte) { table[0]++ } }, "broken sound valid - -"},
		{"content", pspf.Deep, func(p *pspftest.Package) { p.EditTable = func(table []byte) { table[48]++ } }, "sound broken valid authenticated -"},
		{"attestation", pspf.Deep, func(p *pspftest.Package) { p.EditIndex = func(ix []byte) { ix[1376] = 'x' } }, "sound broken valid authenticated -"},
		{"launcher", pspf.Deep, func(p *pspftest.Package) {
			p.Extra["launcher"] = map[string]any{"checksum": sumHex(nil)}
		}, "sound sound valid mismatch -"},
		{"extraction", pspf.Paranoid, func(p *pspftest.Package) { p.Slots[3].Data = []byte("no tar") }, "sound sound valid authenticated unsafe"},
	} {
		p := sample()
		if c.edit != nil {
			c.edit(&p)
		}
		r := verify(t, p.Build(), c.level)
		states := []string{string(r.Structure), string(r.Integrity), string(r.Signature), string(r.Launcher), string(r.Extraction)}
		for i, s := range states {
			if s == "" {
				states[i] = "-"
			}
		}
		if got := strings.Join(states, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if sound := !strings.Contains(c.want, "broken") && !strings.Contains(c.want, "unsafe") && !strings.Contains(c.want, "mismatch") &&
			strings.Contains(c.want, "valid"); sound != r.OK() {
			t.Errorf("%s: %v", c.name, r.Err())
		}
	}
}
