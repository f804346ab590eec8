package pspf_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/pspf"
	"assize.dev/services/sign/internal/pspf/pspftest"
)

func sample() pspftest.Package {
	return pspftest.Package{
		Name: "sample", Version: "1.2.3", Key: pspftest.Key("a"),
		Launcher: []byte("#!/bin/sh\nexit 0\n"), SignLauncher: true, Attest: true,
		Slots: []pspftest.Slot{
			{ID: "hello", Target: "{workenv}/hello.txt", Data: []byte("hello, world\n"), Mode: 0o644},
			{ID: "self", Target: "{workenv}/self", SelfRef: true},
			{ID: "empty", Target: "{workenv}/empty"},
			{ID: "app", Target: "{workenv}", Data: pspftest.Gzip(tarOf(tar.Header{Name: "run", Mode: 0o755})), Operations: "tar|gzip", Chain: 0x1001},
			{ID: "_attestation", Target: "_attestation", Data: []byte(`{"sbom":{}}`), Lifecycle: 11},
		},
		Extra: map[string]any{
			"setup_commands": []any{"echo hello", map[string]any{"type": "write_file", "path": "{workenv}/x", "mode": "0600"}},
			"policy":         map[string]any{"refuse_root": true, "platforms": []any{"größe", "linux"}},
		},
	}
}

func verify(t testing.TB, file []byte, level pspf.Level) *pspf.Report {
	t.Helper()
	report, err := pspf.Verify(context.Background(), bytes.NewReader(file), int64(len(file)), pspf.Options{Level: level})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// rejectedBy fails unless the report's first failing check is the named one.
func rejectedBy(t *testing.T, report *pspf.Report, check string) {
	t.Helper()
	err := report.Err()
	if err == nil {
		t.Fatalf("accepted, want %s to fail", check)
	}
	if !strings.HasPrefix(err.Error(), check+": ") || len(err.Error()) < len(check)+5 {
		t.Errorf("failed with %q, want check %s", err, check)
	}
}

func TestValidPackage(t *testing.T) {
	report := verify(t, sample().Build(), pspf.Deep)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if len(report.Checks) != 11 || report.Signature != pspf.SignatureValid || report.Launcher != pspf.LauncherAuthenticated {
		t.Errorf("got %d checks, signature %q, launcher %q", len(report.Checks), report.Signature, report.Launcher)
	}
	if len(report.Warnings) != 0 {
		t.Errorf("warnings: %q", report.Warnings)
	}
	m := report.Metadata
	if m.Package.Name != "sample" || m.Package.Version != "1.2.3" || len(m.SetupCommands) != 2 ||
		m.SetupCommands[0] != (pspf.SetupCommand{Type: "execute", Command: "echo hello"}) ||
		m.SetupCommands[1] != (pspf.SetupCommand{Type: "write_file", Path: "{workenv}/x"}) {
		t.Errorf("metadata: %+v", m)
	}
	for i, s := range report.Slots {
		digest := "sha256:" + sumHex(sample().Slots[i].Data)
		if sample().Slots[i].SelfRef {
			digest = ""
		}
		if s.Signed.ID != sample().Slots[i].ID || s.Digest.String() != digest || s.Size != uint64(len(sample().Slots[i].Data)) {
			t.Errorf("slot %d: %+v", i, s)
		}
	}
	if raw, packed := report.Slots[0].OperationNames(), report.Slots[3].OperationNames(); raw != "raw" || packed != "tar|gzip" {
		t.Errorf("operations %q and %q", raw, packed)
	}
	if a := report.Attestation; a.Key != report.KeyFingerprint || a.SBOM != report.Slots[4].Digest.Hex() || a.Policy == "" ||
		report.LauncherSize != 17 || report.LauncherDigest.Hex() != sumHex(sample().Launcher) {
		t.Errorf("attestation %+v, launcher %d bytes %s", a, report.LauncherSize, report.LauncherDigest)
	}
}

// TestClaims reads what each builder writes in its own way, and leaves out
// what it cannot read.
func TestClaims(t *testing.T) {
	for _, c := range []struct {
		name  string
		extra map[string]any
		want  pspf.Claims
	}{
		{"nothing", map[string]any{"execution": map[string]any{}}, pspf.Claims{}},
		{"Go", map[string]any{
			"execution": map[string]any{"environment": map[string]any{"B": "2", "A": "1"}},
			"build": map[string]any{"tool": "flavor-go", "tool_version": "1.0.0", "timestamp": "2025-01-01T00:00:00Z",
				"platform": map[string]any{"os": "linux", "arch": "amd64", "host": "h"}},
		}, pspf.Claims{Tool: "flavor-go", ToolVersion: "1.0.0", Timestamp: "2025-01-01T00:00:00Z", Platform: "linux/amd64", Environment: []string{"A", "B"}}},
		{"Python", map[string]any{
			"execution": map[string]any{"env": map[string]any{"E": "1"}},
			"workenv":   map[string]any{"env": map[string]any{"W": "1", "E": "2"}},
			"runtime": map[string]any{"env": map[string]any{
				"set": map[string]any{"S": "1"}, "map": map[string]any{"M": "N"}, "pass": []any{"PATH", "LC_*"}, "unset": []any{"U"}}},
		}, pspf.Claims{Environment: []string{"E", "LC_*", "M", "PATH", "S", "U", "W"}}},
		{"other types", map[string]any{
			"execution": map[string]any{"environment": nil, "env": []any{}}, "workenv": 1, "runtime": map[string]any{"env": map[string]any{"pass": "x"}},
			"build": map[string]any{"tool": 1, "timestamp": nil, "platform": "linux"},
		}, pspf.Claims{}},
	} {
		p := sample()
		maps.Copy(p.Extra, c.extra)
		report := verify(t, p.Build(), pspf.Quick)
		if err := report.Err(); err != nil {
			t.Fatal(err)
		}
		if got := report.Metadata.Claims(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// TestTolerances pins what real builders write and a literal reader refuses.
func TestTolerances(t *testing.T) {
	for _, c := range []struct {
		name     string
		edit     func(*pspftest.Package)
		warnings int
	}{
		{"no slots, table at 0", func(p *pspftest.Package) {
			p.Slots, p.Attest = nil, false
			p.EditIndex = func(ix []byte) { binary.LittleEndian.PutUint64(ix[40:], 0) }
		}, 0},
		{"name hash of the target", func(p *pspftest.Package) {
			id := p.Slots[0].ID
			p.Slots[0].ID = p.Slots[0].Target
			p.Slots[0].Edit = func(m map[string]any) { m["id"] = id }
		}, 0},
		{"self reference without name hash", func(p *pspftest.Package) {
			p.EditTable = func(table []byte) { clear(table[64+8 : 64+16]) }
		}, 0},
		{"operations unknown to the builder", func(p *pspftest.Package) { p.Slots[3].Operations, p.Slots[3].Chain = "tar.bz2", 0 }, 1},
		{"no permissions", func(p *pspftest.Package) {
			p.Slots[0].Edit = func(m map[string]any) { m["permissions"] = nil }
		}, 0},
		{"Python permissions", func(p *pspftest.Package) {
			p.Slots[0].Edit = func(m map[string]any) { m["permissions"] = "0o755" }
		}, 1},
		{"purpose and lifecycle", func(p *pspftest.Package) {
			p.Slots[0].Edit = func(m map[string]any) { m["lifecycle"] = "cached" }
			p.EditTable = func(table []byte) { table[56] = 9 }
		}, 2},
		{"lifecycles that builders write as runtime", func(p *pspftest.Package) {
			p.Slots[0].Lifecycle, p.Slots[2].Lifecycle = 2, 2
			p.Slots[0].Edit = func(m map[string]any) { m["lifecycle"] = "temp" }
			p.Slots[2].Edit = func(m map[string]any) { m["lifecycle"] = "volatile" }
		}, 0},
		{"lifecycle and platform", func(p *pspftest.Package) {
			p.Slots[0].Lifecycle = 2 // signed as init
			p.EditTable = func(table []byte) { table[64+59] = 4 }
		}, 2},
		{"checksum without prefix", func(p *pspftest.Package) {
			p.Slots[0].Edit = func(m map[string]any) { m["checksum"] = sumHex(p.Slots[0].Data) }
		}, 0},
		{"empty slot at 0", func(p *pspftest.Package) {
			p.EditTable = func(table []byte) { clear(table[2*64+16 : 2*64+24]) }
		}, 0},
		{"slots side by side", func(p *pspftest.Package) { p.Align = 1 }, 0},
		{"slots on pages of their own", func(p *pspftest.Package) { p.Align = 4096 }, 0},
		{"policy as Python escapes it", func(p *pspftest.Package) {
			p.EditIndex = func(ix []byte) {
				copy(ix[1504:], sumHex([]byte(`{"platforms":["gr\u00f6\u00dfe","linux"],"refuse_root":true}`)))
			}
		}, 0},
		{"policy in the document's order", func(p *pspftest.Package) {
			p.EditJSON = func(doc []byte) []byte {
				return bytes.Replace(doc, []byte(`"refuse_root": true`), []byte(`"refuse_root": true, "a": 1.50`), 1)
			}
			p.EditIndex = func(ix []byte) {
				copy(ix[1504:], sumHex([]byte(`{"platforms":["größe","linux"],"refuse_root":true,"a":1.50}`)))
			}
		}, 0},
		{"format version, algorithm", func(p *pspftest.Package) {
			p.Extra["format_version"] = ""
			p.Extra["verification"] = map[string]any{"signed": false, "integrity_seal": map[string]any{"algorithm": "ecdsa-p256"}}
		}, 0},
		{"original size", func(p *pspftest.Package) {
			p.EditTable = func(table []byte) { binary.LittleEndian.PutUint64(table[32:], 1<<62) }
		}, 0},
		{"policy escaped in the document only", func(p *pspftest.Package) {
			p.EditJSON = func(doc []byte) []byte {
				return bytes.Replace(doc, []byte(`"größe"`), []byte(`"gr\u00f6\u00dfe"`), 1)
			}
		}, 0},
		{"hints and reserved bytes", func(p *pspftest.Package) {
			p.EditIndex = func(ix []byte) { ix[640], ix[704], ix[832], ix[8000] = 2, 9, 131, 1 }
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := sample()
			c.edit(&p)
			report := verify(t, p.Build(), pspf.Deep)
			if err := report.Err(); err != nil {
				t.Fatal(err)
			}
			if len(report.Warnings) != c.warnings {
				t.Errorf("warnings %q, want %d", report.Warnings, c.warnings)
			}
		})
	}
}

func TestUnauthenticatedLauncher(t *testing.T) {
	p := sample()
	p.SignLauncher = false
	report := verify(t, p.Build(), pspf.Deep)
	if !report.OK() || report.Launcher != pspf.LauncherUnauthenticated || report.LauncherDigest == "" {
		t.Errorf("got %v, launcher %q %s", report.Err(), report.Launcher, report.LauncherDigest)
	}
}

// TestErrorsOfReadingAreNotVerdicts lets each read fail in turn, in three ways.
func TestErrorsOfReadingAreNotVerdicts(t *testing.T) {
	file := sample().Build()
	run := func(r *faulty, at int, fault func(cancel func()) error) error {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r.Reader, r.at, r.fault = bytes.NewReader(file), at, func() error { return fault(cancel) }
		_, err := pspf.Verify(ctx, r, int64(len(file)), pspf.Options{Level: pspf.Paranoid})
		return err
	}
	whole := &faulty{}
	if err := run(whole, 0, nil); err != nil || whole.reads < 15 {
		t.Fatalf("%d reads, %v", whole.reads, err)
	}
	for n := 1; n <= whole.reads; n++ {
		for name, fault := range map[string]func(cancel func()) error{
			"broken": func(func()) error { return errors.New("broken disk") },
			"short":  func(func()) error { return io.EOF },
			"ended":  func(cancel func()) error { cancel(); return context.Canceled },
		} {
			if err := run(&faulty{}, n, fault); err == nil {
				t.Errorf("read %d of %d, %s: there is a report", n, whole.reads, name)
			}
		}
	}
}

// faulty fails at one read.
type faulty struct {
	*bytes.Reader
	reads, at int
	fault     func() error
}

func (f *faulty) ReadAt(p []byte, off int64) (int, error) {
	if f.reads++; f.reads == f.at {
		return 0, f.fault()
	}
	return f.Reader.ReadAt(p, off)
}

func TestManyWarnings(t *testing.T) {
	p := sample()
	p.Attest = false
	for i := range 60 {
		p.Slots = append(p.Slots, pspftest.Slot{ID: fmt.Sprint(i), Target: fmt.Sprint(i), Lifecycle: 12})
	}
	report := verify(t, p.Build(), pspf.Standard)
	if n := len(report.Warnings); !report.OK() || n != 51 || report.Warnings[50] != "further warnings are not listed" {
		t.Errorf("%v, %d warnings, the last is %q", report.Err(), n, report.Warnings[n-1])
	}
}

// TestAnotherKey: a package signed anew is as valid as it was. Only the
// fingerprint tells.
func TestAnotherKey(t *testing.T) {
	p := sample()
	before := verify(t, p.Build(), pspf.Paranoid)
	p.Key = pspftest.Key("b")
	after := verify(t, p.Build(), pspf.Paranoid)
	if !before.OK() || !after.OK() || after.Signature != pspf.SignatureValid || before.KeyFingerprint == after.KeyFingerprint {
		t.Errorf("%v by %s, %v by %s", before.Err(), before.KeyFingerprint, after.Err(), after.KeyFingerprint)
	}
}

// TestWeakKey: under a key of small order one signature fits any metadata.
func TestWeakKey(t *testing.T) {
	p := sample()
	p.Attest = false
	p.EditIndex = func(ix []byte) {
		identity := append([]byte{1}, make([]byte, 31)...)
		copy(ix[64:], identity)
		copy(ix[128:], append(identity, make([]byte, 32)...)) // R is the identity, S is 0
	}
	report := verify(t, p.Build(), pspf.Deep)
	rejectedBy(t, report, pspf.CheckSignature)
	if report.Signature != pspf.SignatureBad {
		t.Errorf("signature is %q", report.Signature)
	}
}
