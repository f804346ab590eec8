package pspf_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/pspf"
	"assize.dev/services/sign/internal/pspf/pspftest"
	"assize.dev/shared/realdata"
)

func tarOf(headers ...tar.Header) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			panic(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

var codes = map[string]uint64{"tar": 0x01, "gzip": 0x10, "bzip2": 0x13, "xz": 0x16, "zstd": 0x1B}

func chainOf(operations string) (chain uint64) {
	for i, word := range strings.FieldsFunc(operations, func(r rune) bool { return r == '|' }) {
		chain |= codes[word] << (8 * i)
	}
	return chain
}

// encoded is a package with one slot that holds data as it is.
func encoded(operations string, chain uint64, data []byte) pspftest.Package {
	p := sample()
	p.Attest = false
	p.Slots = []pspftest.Slot{{ID: "app", Target: "{workenv}", Operations: operations, Chain: chain, Data: data}}
	return p
}

// unsafeBy fails unless the package is valid but for extraction, and that for
// the one reason; none means that it is safe.
func unsafeBy(t *testing.T, p pspftest.Package, reason string) {
	t.Helper()
	report := verify(t, p.Build(), pspf.Paranoid)
	state := pspf.ExtractionUnsafe
	if reason == "" {
		reason, state = "extraction", pspf.ExtractionSafe
	} else {
		reason = "extraction." + reason
	}
	if report.Extraction != state {
		t.Errorf("extraction is %q, want %s", report.Extraction, state)
	}
	var found []string
	for _, check := range report.Checks[11:] {
		if check.OK != (state == pspf.ExtractionSafe) || check.Detail == "" {
			t.Errorf("check %+v", check)
		}
		found = append(found, check.Name)
	}
	if strings.Join(found, " ") != reason {
		t.Errorf("got %+v, want %s", report.Checks[11:], reason)
	}
	for _, check := range report.Checks[:11] {
		if !check.OK {
			t.Errorf("check %+v", check)
		}
	}
}

// TestHazards puts each hazard into a tar behind each codec, with the
// operations in the table and without.
func TestHazards(t *testing.T) {
	for _, c := range []struct {
		name, want string
		entries    []tar.Header
	}{
		{"safe", "", []tar.Header{
			{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755}, {Name: "./bin/run", Mode: 0o755, Size: 3000},
			{Name: "./bin/link", Typeflag: tar.TypeSymlink, Linkname: "../lib/x"}, {Name: "hard", Typeflag: tar.TypeLink, Linkname: "bin/run"},
		}},
		{"parent", "traversal", []tar.Header{{Name: "../x"}}},
		{"parent below", "traversal", []tar.Header{{Name: "a/../../x"}}},
		{"absolute", "absolute", []tar.Header{{Name: "/etc/cron.d/x"}}},
		{"drive", "absolute", []tar.Header{{Name: `c:\x`}}},
		{"symlink to a parent", "link-out", []tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../x"}}},
		{"symlink to a root", "link-out", []tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}}},
		{"hard link to a root", "link-out", []tar.Header{{Name: "l", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}}},
		{"hard link to a parent", "link-out", []tar.Header{{Name: "a/l", Typeflag: tar.TypeLink, Linkname: "../x"}}},
		{"through a link", "link-out", []tar.Header{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "d"}, {Name: "l/x"}}},
		{"character device", "device", []tar.Header{{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}}},
		{"block device", "device", []tar.Header{{Name: "sda", Typeflag: tar.TypeBlock, Devmajor: 8}}},
		{"fifo", "device", []tar.Header{{Name: "pipe", Typeflag: tar.TypeFifo}}},
		{"setuid", "setid", []tar.Header{{Name: "su", Mode: 0o4755}}},
		{"setgid", "setid", []tar.Header{{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o2755}}},
		{"sticky file", "sticky", []tar.Header{{Name: "x", Mode: 0o1755}}},
		{"sticky directory", "sticky", []tar.Header{{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777}}},
		{"name twice", "duplicate", []tar.Header{{Name: "x"}, {Name: "y"}, {Name: "./x"}}},
		{"control character", "bad-name", []tar.Header{{Name: "a\x1b[2Jb"}}},
		{"not UTF-8", "bad-name", []tar.Header{{Name: "a\xff"}}},
	} {
		data := tarOf(c.entries...)
		t.Run(c.name+"/tar", func(t *testing.T) {
			unsafeBy(t, encoded("tar", 0x01, data), c.want)
			unsafeBy(t, encoded("", 0, data), c.want)
		})
		for codec, compress := range pspftest.Codecs {
			t.Run(c.name+"/"+codec, func(t *testing.T) {
				unsafeBy(t, encoded("tar|"+codec, chainOf("tar|"+codec), compress(data)), c.want)
				unsafeBy(t, encoded("raw", 0, compress(data)), c.want)
				unsafeBy(t, encoded("sealed", 0, compress(data)), c.want) // a word the builder does not know
			})
		}
	}
}

// TestSeveralHazards: each has its own check, and cases of one are counted.
func TestSeveralHazards(t *testing.T) {
	p := encoded("tar", 0x01, tarOf(tar.Header{Name: "../a"}, tar.Header{Name: "../b", Mode: 0o4755}, tar.Header{Name: "../c"}))
	report := verify(t, p.Build(), pspf.Paranoid)
	got := fmt.Sprint(report.Checks[11:])
	want := `[{extraction.setid false slot 0: "../b"} {extraction.traversal false slot 0: "../a"; and 2 more}]`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestToleratedHazards(t *testing.T) {
	p := encoded("tar", 0x01, tarOf(tar.Header{Name: "x/A"}, tar.Header{Name: "x/a"}, tar.Header{Name: "w", Mode: 0o666}))
	report := verify(t, p.Build(), pspf.Paranoid)
	if err := report.Err(); err != nil {
		t.Error(err)
	}
	if got := strings.Join(report.Warnings, "\n"); len(report.Warnings) != 2 ||
		!strings.Contains(got, `extraction.case-conflict: slot 0: "x/a"`) || !strings.Contains(got, `extraction.world-write: slot 0: "w"`) {
		t.Errorf("warnings %q", report.Warnings)
	}
}

// TestOperations: what is stored must be what the chain makes.
func TestOperations(t *testing.T) {
	plain := []byte("just a text\n")
	files := tarOf(tar.Header{Name: "a", Size: 10})
	evil := tarOf(tar.Header{Name: "../x"})
	gzip, xz, zstd := pspftest.Gzip, pspftest.XZ, pspftest.Zstd
	newc := []byte("070701" + strings.Repeat("0", 13*8))
	copy(newc[6+11*8:], "0000000B")
	cpio := append(append(newc, "TRAILER!!!\x00"...), 0, 0, 0)
	for _, c := range []struct {
		name, operations string
		data             []byte
		want             string
	}{
		{"gzip", "gzip", gzip(plain), ""},
		{"gzip of nothing", "gzip", gzip(nil), ""},
		{"two members", "gzip", append(gzip(plain), gzip(plain)...), ""},
		{"stored as it was", "gzip", gzip(files), ""},
		{"stored as it was, unsafe", "gzip", gzip(evil), "traversal"},
		{"two compressors", "tar|gzip|xz", xz(gzip(files)), ""},
		{"two compressors, unsafe", "tar|gzip|xz", xz(gzip(evil)), "traversal"},
		{"four compressors, unsafe", "tar|zstd|bzip2|gzip|xz", xz(gzip(pspftest.Bzip2(zstd(evil)))), "traversal"},
		{"containers in files", "tar|gzip", gzip(tarWith("inner.tar.gz", gzip(evil))), ""},
		{"package in a file", "tar|gzip", gzip(tarWith("inner.psp", sample().Build())), ""},
		{"script in a file", "tar|gzip", gzip(tarWith("run.sh", []byte("#!/bin/sh\n"))), ""},
		{"empty tar", "tar", make([]byte, 10240), ""},
		{"empty tar, gzip", "tar|gzip", gzip(make([]byte, 1024)), ""},
		{"raw text", "", plain, ""},
		{"raw zip", "", []byte("PK\x05\x06" + strings.Repeat("\x00", 18)), ""},

		{"not compressed", "gzip", plain, "operations"},
		{"not a tar", "tar", plain, "operations"},
		{"another compressor", "tar|gzip", zstd(files), "operations"},
		{"no tar inside", "tar|gzip", gzip(plain), "operations"},
		{"nothing inside", "tar|gzip", gzip(nil), "operations"},
		{"zeros, then text", "tar|gzip", gzip(append(make([]byte, 2048), plain...)), "operations"},
		{"zeros, then text, no compressor", "tar", append(make([]byte, 2048), plain...), "operations"},
		{"one compressor of two", "tar|gzip|xz", xz(files), "operations"},
		{"another second compressor", "tar|gzip|xz", xz(zstd(files)), "operations"},
		{"no second compressor", "gzip|xz", xz(plain), "operations"},
		{"cpio inside", "tar|gzip", gzip(cpioWith(cpio)), "operations"},
		{"empty cpio for gzip", "gzip|xz", xz(cpio), "operations"},
		{"tar that looks like a zip", "tar", tarOf(tar.Header{Name: "PK\x03\x04"}), "operations"},
		{"tar after gzip", "gzip|tar", tarWith("x", gzip(plain)), "operations"},
		{"tar twice", "tar|tar", tarWith("x", files), "operations"},

		{"cut", "gzip", gzip(plain)[:20], "damaged"},
		{"bytes after gzip", "gzip", append(gzip(plain), 'x'), "damaged"},
		{"bytes after tar", "tar", append(files, plain...), "damaged"},
		{"package after tar", "tar", append(files, sample().Build()...), "damaged"},
		{"tar without its end", "tar", files[:len(files)-1024], "damaged"},
		{"tar header", "tar|xz", xz(files[:100]), "operations"},
		{"CRC", "tar|gzip", flipped(gzip(files), -8), "damaged"},
		{"window of 512 MiB", "zstd", []byte("\x28\xb5\x2f\xfd\x00\x98\x01\x00\x00"), "unsupported"},
	} {
		t.Run(c.name, func(t *testing.T) { unsafeBy(t, encoded(c.operations, chainOf(c.operations), c.data), c.want) })
	}
}

func tarWith(name string, content []byte) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		panic(err)
	}
	if _, err := w.Write(content); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// cpioWith puts a file in front of the trailer.
func cpioWith(trailer []byte) []byte {
	entry := []byte("070701" + strings.Repeat("0", 13*8))
	copy(entry[6+8:], "000081A4") // mode
	copy(entry[6+11*8:], "00000002")
	return append(append(entry, "x\x00"...), trailer...)
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[len(b)+at] ^= 1
	return b
}

// TestLimits: what is not seen to its end is not safe, and memory is bounded.
func TestLimits(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for name, compress := range map[string]func([]byte) []byte{"gzip": pspftest.Gzip, "xz": pspftest.XZ, "zstd": pspftest.Zstd} {
		bomb := encoded(name, codes[name], compress(make([]byte, 20<<20)))
		t.Run(name, func(t *testing.T) { unsafeBy(t, bomb, "limit") })
	}
	many := make([]tar.Header, 60_000)
	for i := range many {
		many[i] = tar.Header{Name: fmt.Sprint(i)}
	}
	half := pspftest.Gzip(tarOf(many...))
	p := encoded("tar|gzip", 0x1001, half)
	t.Run("60,000 entries", func(t *testing.T) { unsafeBy(t, p, "") })
	second := p.Slots[0]
	second.ID = "second"
	p.Slots = append(p.Slots, second)
	t.Run("120,000 entries in two slots", func(t *testing.T) { unsafeBy(t, p, "limit") })
	third := second
	third.ID, third.Data = "third", pspftest.Gzip(tarOf(tar.Header{Name: "../x"}))
	p.Slots = append(p.Slots, third)
	t.Run("and a third", func(t *testing.T) {
		report := verify(t, p.Build(), pspf.Paranoid)
		if check := report.Checks[len(report.Checks)-1]; check.Name != "extraction.limit" || !strings.Contains(check.Detail, "entries") ||
			!strings.HasSuffix(check.Detail, "and 1 more") {
			t.Errorf("got %+v", check)
		}
	})
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 256<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
}

// TestEvilSamples holds level paranoid against packages of FlavorPack's own
// builder that are validly signed and unsafe.
func TestEvilSamples(t *testing.T) {
	dir := filepath.Join(realdata.Dir(t), "pspf", "evil")
	for name, want := range map[string]string{"bomb.psp": "extraction.limit", "dotdot.psp": "extraction.traversal"} {
		file, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if report := verify(t, file, pspf.Deep); !report.OK() || report.Extraction != "" {
			t.Errorf("%s: %v, extraction %q at level deep", name, report.Err(), report.Extraction)
		}
		report := verify(t, file, pspf.Paranoid)
		rejectedBy(t, report, want)
		if report.Extraction != pspf.ExtractionUnsafe || report.Signature != pspf.SignatureValid {
			t.Errorf("%s: extraction %q, signature %q", name, report.Extraction, report.Signature)
		}
	}
}
