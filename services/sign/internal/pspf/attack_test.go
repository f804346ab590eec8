package pspf_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/pspf"
	"assize.dev/services/sign/internal/pspf/pspftest"
)

func sumHex(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// TestEveryBit flips each bit of a package. Whatever lies in a region that is
// signed, hashed or constrained must be noticed; the rest is listed here, so
// that a region falling out of the checks fails the test.
func TestEveryBit(t *testing.T) {
	p := sample()
	file := p.Build()
	if !verify(t, file, pspf.Deep).OK() {
		t.Fatal("the package is not valid to begin with")
	}
	trailer := len(file) - 8200
	index := file[trailer+4:]
	u64 := func(off int) int { return int(binary.LittleEndian.Uint64(index[off:])) }
	metadataEnd, table := u64(24)+u64(32), u64(40)
	slotEnd := table + 64*len(p.Slots)
	free := make([]bool, len(file)) // bytes that nothing constrains
	mark := func(from, to int) {
		for i := from; i < to; i++ {
			free[i] = true
		}
	}
	mark(metadataEnd, table)
	for i := range p.Slots {
		entry := table + 64*i
		off, size := int(binary.LittleEndian.Uint64(file[entry+16:])), int(binary.LittleEndian.Uint64(file[entry+24:]))
		mark(entry+32, entry+40) // original size
		mark(entry+56, entry+60) // purpose, lifecycle, priority, platform
		if size > 0 {
			mark(slotEnd, off)
			slotEnd = off + size
		} else if !p.Slots[i].SelfRef {
			mark(entry+16, entry+24) // where nothing is
		}
	}
	mark(slotEnd, trailer)
	step := 1
	if testing.Short() {
		step = 7
	}
	for i := 0; i < len(file); i += step {
		if (i > trailer+4+1600 || i > trailer+4+860 && i < trailer+4+1376) && i < len(file)-8 {
			continue // far inside the reserved bytes: the Adler-32 is the same check
		}
		bad := bytes.Clone(file)
		bad[i] ^= 1 << (i % 8)
		report := verify(t, bad, pspf.Deep)
		if free[i] || report.Err() != nil {
			continue
		}
		t.Errorf("flipping byte %d of %d (trailer at %d) is not noticed", i, len(file), trailer)
	}
}

// TestConsistentAttacks changes things and repairs every unsigned checksum
// over them, as an attacker would.
func TestConsistentAttacks(t *testing.T) {
	table64 := func(slot, off int, value uint64) func(*pspftest.Package) {
		return func(p *pspftest.Package) {
			p.EditTable = func(table []byte) { binary.LittleEndian.PutUint64(table[64*slot+off:], value) }
		}
	}
	index64 := func(off int, value uint64) func(*pspftest.Package) {
		return func(p *pspftest.Package) {
			p.EditIndex = func(ix []byte) { binary.LittleEndian.PutUint64(ix[off:], value) }
		}
	}
	text := func(old, new string) func(*pspftest.Package) {
		return func(p *pspftest.Package) {
			p.EditJSON = func(doc []byte) []byte {
				if !bytes.Contains(doc, []byte(old)) {
					panic("test: no " + old)
				}
				return bytes.Replace(doc, []byte(old), []byte(new), 1)
			}
		}
	}
	slot := func(i int, member string, value any) func(*pspftest.Package) {
		return func(p *pspftest.Package) {
			p.Slots[i].Edit = func(m map[string]any) { m[member] = value }
		}
	}
	for _, c := range []struct {
		name, want string
		edit       func(*pspftest.Package)
	}{
		{"unsigned", pspf.CheckSignature, func(p *pspftest.Package) { p.Key, p.Attest = nil, false }},
		{"signature zeroed, key kept", pspf.CheckSignature, func(p *pspftest.Package) {
			p.EditIndex = func(ix []byte) { clear(ix[128:192]) }
		}},
		{"key of another", pspf.CheckSignature, func(p *pspftest.Package) {
			p.EditIndex = func(ix []byte) { ix[64] ^= 1 }
		}},
		{"long signature", pspf.CheckIndex, func(p *pspftest.Package) { p.EditIndex = func(ix []byte) { ix[300] = 1 } }},
		{"version", pspf.CheckIndex, func(p *pspftest.Package) { p.EditIndex = func(ix []byte) { ix[0] = 2 } }},
		{"package size", pspf.CheckIndex, index64(8, 1)},
		{"launcher size", pspf.CheckIndex, index64(16, 3)},
		{"metadata before the launcher's end", pspf.CheckIndex, index64(24, 3)},
		{"metadata size 0", pspf.CheckIndex, index64(32, 0)},
		{"metadata size 2^62", pspf.CheckIndex, index64(32, 1<<62)},
		{"metadata size 2^64-1", pspf.CheckIndex, index64(32, math.MaxUint64)},
		{"table at 2^64-1", pspf.CheckIndex, index64(40, math.MaxUint64)},
		{"table inside metadata", pspf.CheckIndex, index64(40, 20)},
		{"table size", pspf.CheckIndex, index64(48, 64)},
		{"no slots", pspf.CheckIndex, func(p *pspftest.Package) { p.EditIndex = func(ix []byte) { clear(ix[56:60]) } }},
		{"no slots, empty table", pspf.CheckSlotTable, func(p *pspftest.Package) {
			p.EditIndex = func(ix []byte) { clear(ix[48:60]) }
		}},
		{"2^32-1 slots", pspf.CheckIndex, func(p *pspftest.Package) {
			p.EditIndex = func(ix []byte) {
				binary.LittleEndian.PutUint32(ix[56:], math.MaxUint32)
				binary.LittleEndian.PutUint64(ix[48:], 64*math.MaxUint32)
			}
		}},
		{"second gzip member", pspf.CheckIntegrity, func(p *pspftest.Package) {
			p.EditGzip = func(z []byte) []byte { return append(bytes.Clone(z), z...) }
		}},
		{"bytes after gzip", pspf.CheckIntegrity, func(p *pspftest.Package) {
			p.EditGzip = func(z []byte) []byte { return append(bytes.Clone(z), 0) }
		}},
		{"gzip cut", pspf.CheckIntegrity, func(p *pspftest.Package) { p.EditGzip = func(z []byte) []byte { return z[:len(z)-3] } }},
		{"gzip checksum", pspf.CheckIntegrity, func(p *pspftest.Package) {
			p.EditGzip = func(z []byte) []byte { z[len(z)-5] ^= 1; return z }
		}},
		{"not gzip", pspf.CheckIntegrity, func(p *pspftest.Package) { p.EditGzip = func([]byte) []byte { return []byte("{}") } }},
		{"metadata bomb", pspf.CheckIntegrity, func(p *pspftest.Package) {
			p.EditJSON = func(doc []byte) []byte { return append(doc, bytes.Repeat([]byte(" "), 10<<20)...) }
		}},
		{"duplicate name", pspf.CheckMetadata, text(`"format":`, `"format": "PSPF/2025", "format":`)},
		{"duplicate name, escaped", pspf.CheckMetadata, text(`"format":`, `"form\u0061t": "PSPF/2025", "format":`)},
		{"duplicate name deep down", pspf.CheckMetadata, text(`"A": "b"`, `"A": "b", "A": "c"`)},
		{"other case", pspf.CheckMetadata, text(`"checksum":`, `"Checksum":`)},
		{"other case of the top level", pspf.CheckMetadata, text(`"slots":`, `"\u017flots":`)},
		{"not UTF-8", pspf.CheckMetadata, text(`"A": "b"`, "\"A\": \"\xff\"")},
		{"two values", pspf.CheckMetadata, func(p *pspftest.Package) {
			p.EditJSON = func(doc []byte) []byte { return append(doc, "{}"...) }
		}},
		{"too deep", pspf.CheckMetadata, text(`"A": "b"`, `"A": `+strings.Repeat("[", 100)+strings.Repeat("]", 100))},
		{"too many items", pspf.CheckMetadata, text(`"A": "b"`, `"A": [0`+strings.Repeat(",0", 65535)+"]")},
		{"too many values", pspf.CheckMetadata, text(`"A": "b"`, `"A": [[]`+strings.Repeat(",["+strings.Repeat("0,", 60000)+"0]", 9)+"]")},
		{"huge number", pspf.CheckMetadata, text(`"slot": 0`, `"slot": `+strings.Repeat("1", 100_000))},
		{"other format", pspf.CheckMetadata, func(p *pspftest.Package) { p.Extra["format"] = "PSPF/2024" }},
		{"an array", pspf.CheckMetadata, func(p *pspftest.Package) { p.EditJSON = func([]byte) []byte { return []byte("[]") } }},
		{"empty metadata", pspf.CheckMetadata, func(p *pspftest.Package) { p.EditJSON = func([]byte) []byte { return nil } }},
		{"attested key", pspf.CheckAttestationKey, func(p *pspftest.Package) {
			p.EditIndex = func(ix []byte) { copy(ix[1376:], strings.Repeat("0", 64)) }
		}},
		{"attestation in capitals", pspf.CheckAttestationKey, func(p *pspftest.Package) {
			p.EditIndex = func(ix []byte) { copy(ix[1376:], strings.ToUpper(string(ix[1376:1440]))) }
		}},
		{"slot number", pspf.CheckSlotTable, table64(0, 0, 7)},
		{"name hash", pspf.CheckSlotTable, table64(0, 8, 7)},
		{"name hash 0", pspf.CheckSlotTable, table64(0, 8, 0)},
		{"slot size 2^62", pspf.CheckSlotTable, table64(0, 24, 1<<62)},
		{"slot at 2^64-1", pspf.CheckSlotTable, table64(0, 16, math.MaxUint64)},
		{"slot over the launcher", pspf.CheckSlotTable, table64(0, 16, 0)},
		{"content in a self reference", pspf.CheckSlotTable, table64(1, 24, 8)},
		{"operations other", pspf.CheckSlotTable, table64(3, 40, 0x10)},
		{"operations with a gap", pspf.CheckSlotTable, table64(3, 40, 0x100001)},
		{"operations where none are signed", pspf.CheckSlotTable, table64(0, 40, 0x10)},
		{"setuid", pspf.CheckSlotTable, table64(0, 56, uint64(0o4644)<<48)},
		{"setuid, signed", pspf.CheckSlotTable, func(p *pspftest.Package) { p.Slots[0].Mode = 0o4755 }},
		{"permissions a number", pspf.CheckSlotTable, slot(0, "permissions", 420)},
		{"permissions nonsense", pspf.CheckSlotTable, func(p *pspftest.Package) {
			p.Slots[0].Mode = 0o777
			slot(0, "permissions", "rwxrwxrwx")(p)
		}},
		{"reserved byte", pspf.CheckSlotTable, table64(0, 56, uint64(0o644)<<48|1<<32)},
		{"id taken", pspf.CheckSlotTable, func(p *pspftest.Package) { p.Slots[2].ID = "hello" }},
		{"target above", pspf.CheckSlotTable, func(p *pspftest.Package) { p.Slots[0].Target = "{workenv}/../x" }},
		{"target absolute", pspf.CheckSlotTable, func(p *pspftest.Package) { p.Slots[0].Target = "/etc/passwd" }},
		{"target absolute in disguise", pspf.CheckSlotTable, func(p *pspftest.Package) { p.Slots[0].Target = "{workenv}//etc" }},
		{"target backslash", pspf.CheckSlotTable, func(p *pspftest.Package) { p.Slots[0].Target = `..\x` }},
		{"target drive", pspf.CheckSlotTable, func(p *pspftest.Package) { p.Slots[0].Target = "c:x" }},
		{"metadata slot numbers", pspf.CheckSlotTable, slot(2, "slot", 3)},
		{"content replaced", pspf.CheckSlotContent, slot(0, "checksum", "sha256:"+sumHex([]byte("the original")))},
		{"checksum of another algorithm", pspf.CheckSlotContent, slot(0, "checksum", "adler32:00000000")},
		{"no checksum", pspf.CheckSlotContent, slot(0, "checksum", "")},
		{"checksum of an empty slot", pspf.CheckSlotContent, slot(2, "checksum", "")},
		{"table sum", pspf.CheckSlotContent, table64(0, 48, 1)},
		{"launcher replaced", pspf.CheckLauncher, func(p *pspftest.Package) {
			p.Extra["launcher"] = map[string]any{"checksum": "sha256:" + sumHex([]byte("the original"))}
		}},
		{"launcher size", pspf.CheckLauncher, func(p *pspftest.Package) {
			p.Extra["launcher"] = map[string]any{"checksum": sumHex(p.Launcher), "size": 1}
		}},
		{"launcher checksum broken", pspf.CheckLauncher, func(p *pspftest.Package) {
			p.Extra["launcher"] = map[string]any{"checksum": "sha512:00"}
		}},
		{"SBOM digest", pspf.CheckAttestationSBOM, func(p *pspftest.Package) {
			p.EditIndex = func(ix []byte) { copy(ix[1440:], strings.Repeat("0", 64)) }
		}},
		{"SBOM without slot", pspf.CheckAttestationSBOM, func(p *pspftest.Package) {
			p.Slots = p.Slots[:4]
			p.EditIndex = func(ix []byte) { copy(ix[1440:], strings.Repeat("0", 64)) }
		}},
		{"two SBOMs", pspf.CheckAttestationSBOM, func(p *pspftest.Package) { p.Slots[0].Lifecycle = 11 }},
		{"policy hash", pspf.CheckAttestationPolicy, func(p *pspftest.Package) {
			p.EditIndex = func(ix []byte) { copy(ix[1504:], strings.Repeat("0", 64)) }
		}},
		{"policy missing", pspf.CheckAttestationPolicy, func(p *pspftest.Package) {
			delete(p.Extra, "policy")
			p.EditIndex = func(ix []byte) { copy(ix[1504:], strings.Repeat("0", 64)) }
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := sample()
			c.edit(&p)
			report := verify(t, p.Build(), pspf.Deep)
			rejectedBy(t, report, c.want)
			for _, check := range report.Checks {
				if len(check.Detail) > 600 {
					t.Errorf("%s says %d bytes", check.Name, len(check.Detail))
				}
			}
		})
	}
}

func TestLauncherReplaced(t *testing.T) {
	file := sample().Build()
	file[3] ^= 0x20
	report := verify(t, file, pspf.Deep)
	rejectedBy(t, report, pspf.CheckLauncher)
	if report.Launcher != pspf.LauncherMismatch {
		t.Errorf("launcher is %q", report.Launcher)
	}
}

func TestNotAtTheEnd(t *testing.T) {
	file := sample().Build()
	for name, bad := range map[string][]byte{
		"empty": nil, "short": file[:8199], "appended": append(bytes.Clone(file), 0), "cut": file[:len(file)-1],
	} {
		rejectedBy(t, verify(t, bad, pspf.Quick), pspf.CheckTrailer)
		if found, err := pspf.Detect(bytes.NewReader(bad), int64(len(bad))); found || err != nil {
			t.Errorf("%s: detected as a package: %v %v", name, found, err)
		}
	}
	if found, err := pspf.Detect(bytes.NewReader(file), int64(len(file))); !found || err != nil {
		t.Errorf("a package is not detected: %v", err)
	}
}

// TestMemory shows that nothing is allocated from header numbers: the reader
// is asked for no byte outside the file and for no more than the file has.
func TestMemory(t *testing.T) {
	file := sample().Build()
	for off := 8; off < 60; off += 8 {
		for _, value := range []uint64{0, 1, 1 << 31, 1 << 62, math.MaxInt64, math.MaxUint64} {
			bad := bytes.Clone(file)
			index := bad[len(bad)-8196 : len(bad)-4]
			binary.LittleEndian.PutUint64(index[off:], value)
			pspftest.SealIndex(index)
			r := &bounded{t: t, r: bytes.NewReader(bad), size: int64(len(bad)), name: fmt.Sprintf("index+%d = %#x", off, value)}
			report, err := pspf.Verify(context.Background(), r, r.size, pspf.Options{Level: pspf.Deep})
			if err != nil || report.OK() {
				t.Errorf("%s: %v, report %v", r.name, err, report)
			}
		}
	}
}

type bounded struct {
	t    *testing.T
	r    io.ReaderAt
	size int64
	name string
}

func (b *bounded) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > b.size+1 {
		b.t.Errorf("%s: %d bytes at %d of %d were asked for", b.name, len(p), off, b.size)
	}
	return b.r.ReadAt(p, off)
}

func FuzzVerify(f *testing.F) {
	f.Add(sample().Build())
	p := sample()
	p.Slots, p.Attest = nil, false
	f.Add(p.Build())
	f.Add(p.Build()[:8000])
	f.Add(encoded("tar|gzip", 0x1001, pspftest.Gzip(tarOf(tar.Header{Name: "../x", Mode: 0o4755}))).Build())
	f.Add(encoded("tar|xz", 0x1601, pspftest.XZ(tarOf(tar.Header{Name: "x"}))).Build())
	f.Add(encoded("zstd", 0, pspftest.Zstd([]byte("x"))).Build())
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) >= 8200 { // let mutations past the checksum
			pspftest.SealIndex(file[len(file)-8196 : len(file)-4])
		}
		accepted := true // by the levels before
		for _, level := range levels {
			report := verify(t, file, level)
			if report.OK() && !accepted {
				t.Errorf("level %s accepts what an earlier level does not", level)
			}
			accepted = report.OK()
			if report.OK() && (report.Signature != pspf.SignatureValid || report.Metadata == nil || report.KeyFingerprint == "" ||
				report.Structure != pspf.Sound || report.Integrity != pspf.Sound) {
				t.Errorf("level %s accepts %+v", level, report)
			}
			if report.OK() && level >= pspf.Deep && (report.Launcher == "" || report.Launcher == pspf.LauncherMismatch) {
				t.Errorf("level %s accepts the launcher of %+v", level, report)
			}
			if report.OK() && (report.Extraction == pspf.ExtractionSafe) != (level == pspf.Paranoid) {
				t.Errorf("level %s: extraction %q", level, report.Extraction)
			}
			if report.Metadata != nil {
				report.Metadata.Claims()
			}
		}
	})
}
