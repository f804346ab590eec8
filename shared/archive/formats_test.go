package archive

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestWalk(t *testing.T) {
	two := files("a.txt", "alpha", "dir/b.txt", "beta")
	inner := gz(tarOf(files("deep", "found")...))
	apk := slices.Concat(gz(tarUnended(files(".SIGN", "s")...)), gz(tarUnended(files(".PKGINFO", "p")...)), gz(tarOf(files("usr/x", "d")...)))
	long := strings.Repeat("long-name/", 12) + "end"
	cases := []struct {
		name   string
		bytes  []byte
		format Format
		want   []string // path below the artifact's name = content
	}{
		{"p.tar", tarOf(two...), Tar, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"p.tgz", gz(tarOf(two...)), Gzip, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"p.tar.zst", zst(tarOf(two...)), Zstd, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"p.tar.xz", xzOf(tarOf(two...), 1<<20), XZ, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"p.tar.lzma", lzmaOf(tarOf(two...)), LZMA, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"p.zip", zipOf(two...), Zip, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"stored.zip", zipMethod(zip.Store, two...), Zip, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"zstd.zip", zipMethod(zipZstd, two...), Zip, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"empty.zip", zipOf(), Zip, nil},
		{"backslash.zip", zipOf(files(`dir\b.txt`, "beta")...), Zip, []string{"dir/b.txt=beta"}},
		{"p.ar", arOf(two...), Ar, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"long.ar", arOf(files("a-name-of-more-than-16-bytes", "odd", "b", "x")...), Ar, []string{"a-name-of-more-than-16-bytes=odd", "b=x"}},
		{"p.deb", arOf(files("debian-binary", "2.0\n", "data.tar.gz", string(inner))...), Ar,
			[]string{"debian-binary=2.0\n", "data.tar.gz=" + string(inner), "data.tar.gz!deep=found"}},
		{"newc.cpio", cpioNewc(two...), Cpio, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"odc.cpio", cpioOdc(two...), Cpio, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"twice.cpio", slices.Concat(cpioNewc(two[:1]...), cpioNewc(two[1:]...)), Cpio, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"p.cpio.gz", gz(cpioNewc(two...)), Gzip, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"p.rpm", rpmOf(gz(cpioNewc(two...))), RPM, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"xz.rpm", rpmOf(xzOf(cpioNewc(two...), 1<<20)), RPM, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"plain.rpm", rpmOf(cpioNewc(two...)), RPM, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"p.apk", apk, Gzip, []string{".SIGN=s", ".PKGINFO=p", "usr/x=d"}},
		{"two.tar.gz", gz(append(tarOf(two[:1]...), tarOf(two[1:]...)...)), Gzip, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"two.tar", append(tarOf(two[:1]...), tarOf(two[1:]...)...), Tar, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"padded.tgz", append(gz(tarOf(two...)), make([]byte, 700)...), Gzip, []string{"a.txt=alpha", "dir/b.txt=beta"}},
		{"notes.txt.gz", gz([]byte("text")), Gzip, []string{"notes.txt=text"}},
		{"noname", gz([]byte("text")), Gzip, []string{"data=text"}},
		{"empty.gz", gz(nil), Gzip, []string{"empty="}},
		{"hello.bz2", bzip2Hello(), Bzip2, []string{"hello=hello\n"}},
		{"long.tar", tarOf(files(long, "x")...), Tar, []string{long + "=x"}},
		{"plain.txt", []byte("no container"), Unknown, nil},
		{"nothing", nil, Unknown, nil},
		{"nest.tar", tarOf(files("z.zip", string(zipOf(files("t.tgz", string(inner))...)), "after", "!")...), Tar, []string{
			"z.zip=" + string(zipOf(files("t.tgz", string(inner))...)), "z.zip!t.tgz=" + string(inner), "z.zip!t.tgz!deep=found", "after=!"}},
		{"zip.gz", gz(zipOf(two...)), Gzip, []string{"zip=" + string(zipOf(two...)), "zip!a.txt=alpha", "zip!dir/b.txt=beta"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := look(t, c.bytes, c.name, Limits{})
			if s.Format != c.format || !s.Complete() {
				t.Errorf("format %s, problems %v", s.Format, s.Problems)
			}
			var got []string
			for _, p := range s.paths {
				got = append(got, strings.TrimPrefix(p, c.name+"!")+"="+s.bodies[p])
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestGNULongNamesOfAr(t *testing.T) {
	b := arOf(files("//", "a-long-name.o/\nanother-long-name.o/\n", "/", "index", "/15", "body", "/0", "first")...)
	s := look(t, b, "lib.a", Limits{})
	if want := []string{"lib.a!another-long-name.o", "lib.a!a-long-name.o"}; !slices.Equal(s.paths, want) || !s.Complete() {
		t.Errorf("got %q, problems %v", s.paths, s.Problems)
	}
}

// TestZipBehindProgram covers what Sniff cannot see: self-extractors.
func TestZipBehindProgram(t *testing.T) {
	z := zipOf(files("__main__.py", "print(1)")...)
	pex := append([]byte("#!/usr/bin/env python3\n"), z...)
	report, err := Walk(t.Context(), bytes.NewReader(pex), int64(len(pex)), "tool.pex", Limits{}, (&seen{entries: map[string]*Entry{}, bodies: map[string]string{}}).note(t))
	if err != nil || report.Entries != 1 || report.Format != Zip || !report.Complete() {
		t.Errorf("top level: %+v, %v", report, err)
	}
	for name, outer := range map[string][]byte{"o.tar": tarOf(files("tool", string(pex))...), "o.zip": zipOf(files("tool", string(pex))...)} {
		if s := look(t, outer, name, Limits{}); s.bodies[name+"!tool!__main__.py"] != "print(1)" || !s.Complete() {
			t.Errorf("%s: saw %q, problems %v", name, s.paths, s.Problems)
		}
	}
}

func TestReadRPMHeader(t *testing.T) {
	r := bytes.NewReader(rpmOf([]byte("PAYLOAD")))
	h, err := ReadRPMHeader(r)
	want := RPMHeader{Name: "tool", Epoch: "7", Version: "1.2", Release: "3", Arch: "noarch", Summary: "A tool", License: "MIT", Vendor: "Us"}
	if err != nil || !reflect.DeepEqual(h, want) {
		t.Errorf("got %+v, %v", h, err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "PAYLOAD" {
		t.Errorf("left at %q", rest)
	}
}

func TestSniff(t *testing.T) {
	pe := make([]byte, 0x90)
	copy(pe, "MZ")
	pe[0x3c] = 0x80
	copy(pe[0x80:], "PE\x00\x00")
	v7 := make([]byte, 512)
	copy(v7, "name")
	var sum int64 = 8 * ' '
	for _, c := range v7 {
		sum += int64(c)
	}
	copy(v7[148:], []byte{'0' + byte(sum>>9&7), '0' + byte(sum>>6&7), '0' + byte(sum>>3&7), '0' + byte(sum&7)})
	cases := []struct {
		head string
		want Format
	}{
		{"", Unknown}, {"\x1f", Unknown}, {"hello", Unknown}, {string(make([]byte, 512)), Unknown},
		{"\x7fELF\x02", ELF}, {string(pe), PE}, {"MZ is a word", Unknown},
		{"\xcf\xfa\xed\xfe\x07", MachO}, {"\xca\xfe\xba\xbe\x00\x00\x00\x02", MachO},
		{"\xca\xfe\xba\xbe\x00\x00\x00\x34", Unknown}, // a Java class
		{string(v7), Tar}, {"BZhello", Unknown}, {string(bzip2Hello()), Bzip2},
		{"\x50\x2a\x4d\x18\x01\x00\x00\x00x", Zstd},
	}
	for _, c := range cases {
		if got := Sniff([]byte(c.head)); got != c.want {
			t.Errorf("Sniff(%.20q) = %s, want %s", c.head, got, c.want)
		}
	}
}

func TestZipFaults(t *testing.T) {
	le := binary.LittleEndian
	cases := []struct {
		name, kind, detail string
		bytes              []byte
	}{
		{"checksum", KindDamaged, "checksum", patchedZip(func(_, c []byte) { le.PutUint32(c[16:], crcOf("other")) })},
		{"encrypted", KindUnsupported, "encrypted", patchedZip(func(_, c []byte) { c[8] |= 1 })},
		{"method", KindUnsupported, "method 14", patchedZip(func(l, c []byte) { l[8], c[10] = 14, 14 })},
		{"two methods", KindDamaged, "method 8 in its own header", patchedZip(func(l, _ []byte) { l[8] = 8 })},
		{"two names", KindDamaged, "in its own header", patchedZip(func(l, _ []byte) { l[30] = 'b' })},
		{"outside", KindDamaged, "outside", patchedZip(func(_, c []byte) { le.PutUint32(c[42:], 1<<30) })},
		{"too long", KindDamaged, "outside", patchedZip(func(_, c []byte) { le.PutUint32(c[20:], 1<<30); le.PutUint32(c[24:], 1<<30) })},
		{"count", KindDamaged, "claims 9", patchedZip(func(_, c []byte) { le.PutUint16(c[bytes.Index(c, []byte("PK\x05\x06"))+10:], 9) })},
		{"no end", KindDamaged, "no end", patchedZip(func(_, c []byte) { c[bytes.Index(c, []byte("PK\x05\x06"))] = 'X' })},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := look(t, c.bytes, "p.zip", Limits{})
			if len(s.Problems) != 1 || s.Problems[0].Kind != c.kind || !strings.Contains(s.Problems[0].Detail, c.detail) {
				t.Errorf("problems %+v", s.Problems)
			}
		})
	}
}

func TestDecompress(t *testing.T) {
	text := []byte(strings.Repeat("text ", 1000))
	for f, packed := range map[Format][]byte{Gzip: gz(text), Zstd: zst(text), XZ: xzOf(text, 1<<20), LZMA: lzmaOf(text)} {
		for limit, want := range map[int64]int{5000: 5000, 4999: 4999, 1 << 30: 5000} {
			r, err := Decompress(bytes.NewReader(packed), f, limit)
			if err != nil {
				t.Fatal(f, err)
			}
			got, err := io.ReadAll(r)
			_, limited := err.(*LimitError)
			if len(got) != want || limited != (limit < 5000) || !limited && err != nil {
				t.Errorf("%s, limit %d: %d bytes, %v", f, limit, len(got), err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := Decompress(strings.NewReader("text"), Tar, 10); err == nil {
		t.Error("a tar was decompressed")
	}
}
