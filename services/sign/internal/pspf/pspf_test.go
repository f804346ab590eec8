package pspf_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
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
			{ID: "app", Target: "{workenv}", Data: []byte("not really a tar"), Operations: "tar|gzip", Chain: 0x1001},
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
	report, err := pspf.Verify(context.Background(), bytes.NewReader(file), int64(len(file)), level)
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
}

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
		{"format version, algorithm", func(p *pspftest.Package) {
			p.Extra["format_version"] = ""
			p.Extra["verification"] = map[string]any{"signed": false, "integrity_seal": map[string]any{"algorithm": "ecdsa-p256"}}
		}, 0},
		{"original size", func(p *pspftest.Package) {
			p.EditTable = func(table []byte) { binary.LittleEndian.PutUint64(table[32:], 1<<62) }
		}, 0},
		{"policy in the document's order", func(p *pspftest.Package) {
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

func TestErrorsOfReadingAreNotVerdicts(t *testing.T) {
	file := sample().Build()
	if report, err := pspf.Verify(context.Background(), bytes.NewReader(file[:100]), int64(len(file)), pspf.Deep); err == nil {
		t.Errorf("a file shorter than its size gave the report %+v", report)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if report, err := pspf.Verify(ctx, bytes.NewReader(file), int64(len(file)), pspf.Deep); err == nil {
		t.Errorf("a cancelled verification gave the report %+v", report)
	}
}

func TestParseLevel(t *testing.T) {
	for _, level := range []pspf.Level{pspf.Quick, pspf.Standard, pspf.Deep} {
		if got, err := pspf.ParseLevel(level.String()); err != nil || got != level {
			t.Errorf("ParseLevel(%s) = %v, %v", level, got, err)
		}
	}
	if _, err := pspf.ParseLevel("paranoid"); err == nil {
		t.Error("paranoid is accepted")
	}
}

// TestRealPackages holds the reader against packages of FlavorPack's own
// builders and against attacks that its readers accept.
func TestRealPackages(t *testing.T) {
	root := testdata(t)
	seedKey, err := os.ReadFile(filepath.Join(root, "pspf", "keys", "seed-public.hex"))
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := fingerprintOf(t, strings.TrimSpace(string(seedKey)))
	want := map[string]string{
		"attack-metasize-huge":             pspf.CheckIndex,
		"attack-perm-07777":                pspf.CheckSlotTable,
		"attack-slot0-replaced-tablefixed": pspf.CheckSlotContent,
		"index-signature+adlerfixed":       pspf.CheckSignature,
		"meta-body":                        pspf.CheckIntegrity,
		"slot1-data":                       pspf.CheckSlotContent,
		"trunc-half":                       pspf.CheckTrailer,
		"wrongkey-resigned":                "", // only an unknown key tells
	}
	files, err := filepath.Glob(filepath.Join(root, "pspf", "*", "*.psp"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no packages in %s: %v", root, err)
	}
	for _, path := range files {
		folder, name := filepath.Base(filepath.Dir(path)), strings.TrimSuffix(filepath.Base(path), ".psp")
		t.Run(folder+"/"+name, func(t *testing.T) {
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			report := verify(t, file, pspf.Deep)
			check, listed := want[name]
			if folder == "corrupt" && !listed {
				t.Fatal("not in the table of this test")
			}
			if check != "" {
				rejectedBy(t, report, check)
				return
			}
			if err := report.Err(); err != nil {
				t.Fatal(err)
			}
			seeded := strings.HasSuffix(name, "-seed") || folder == "evil"
			if known := report.KeyFingerprint == fingerprint; seeded != known {
				t.Errorf("key %s; is the seed's key: %v", report.KeyFingerprint, known)
			}
			launcher := pspf.LauncherUnauthenticated
			if strings.HasPrefix(name, "py-") {
				launcher = pspf.LauncherAuthenticated
			}
			if report.Launcher != launcher {
				t.Errorf("launcher is %s, want %s", report.Launcher, launcher)
			}
		})
	}
}

func fingerprintOf(t *testing.T, publicHex string) string {
	t.Helper()
	raw, err := hex.DecodeString(publicHex)
	if err != nil {
		t.Fatal(err)
	}
	return sumHex(raw)
}

// testdata is the folder of real samples: ASSIZE_TESTDATA, or shared/data
// beside or above the repository. Tests of them are skipped where it is not.
func testdata(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("ASSIZE_TESTDATA"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for parent := filepath.Dir(dir); parent != dir; dir, parent = parent, filepath.Dir(parent) {
		if data := filepath.Join(parent, "shared", "data"); isDir(data) {
			return data
		}
	}
	t.Skip("no real samples: set ASSIZE_TESTDATA to their folder")
	return ""
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
