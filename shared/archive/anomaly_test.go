package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// TestAnomalies holds each kind against its near misses. None of them is a
// problem: everything was seen, but other readers may see something else.
func TestAnomalies(t *testing.T) {
	le := binary.LittleEndian
	ab := zipMethod(zip.Store, files("a", "alpha", "b", "beta")...)
	zipped := zipMethod(zip.Store, files("a", "content")...)
	// unlisted takes the first record out of the directory.
	unlisted := func() []byte {
		b := bytes.Clone(ab)
		at := bytes.Index(b, []byte(zipRecordSign))
		n := bytes.Index(b[at+4:], []byte(zipRecordSign)) + 4
		b = append(b[:at], b[at+n:]...)
		end := b[len(b)-zipEndLen:]
		le.PutUint16(end[8:], 1)
		le.PutUint16(end[10:], 1)
		le.PutUint32(end[12:], le.Uint32(end[12:])-uint32(n))
		return b
	}
	// between puts a whole entry of another zip between the two.
	between := func() []byte {
		hidden := zipped[:bytes.Index(zipped, []byte(zipRecordSign))]
		second := bytes.Index(ab[4:], []byte("PK\x03\x04")) + 4
		b := slices.Concat(ab[:second], hidden, ab[second:])
		at := bytes.Index(b, []byte(zipRecordSign))
		next := at + bytes.Index(b[at+4:], []byte(zipRecordSign)) + 4
		le.PutUint32(b[next+42:], uint32(second+len(hidden)))
		le.PutUint32(b[len(b)-zipEndLen+16:], uint32(at))
		return b
	}
	overlapping := func() []byte {
		inner := zipMethod(zip.Store, files("q", "x")...)
		b := zipMethod(zip.Store, append(files("a", string(inner[:bytes.Index(inner, []byte(zipRecordSign))])), files("q", "x")...)...)
		at := bytes.Index(b, []byte(zipRecordSign))
		second := at + bytes.LastIndex(b[at:len(b)-zipEndLen], []byte(zipRecordSign))
		le.PutUint32(b[second+42:], uint32(bytes.Index(b[4:], []byte("PK\x03\x04"))+4)) // into the content of a
		return b
	}
	commented := func(comment string) []byte {
		b := bytes.Clone(zipped)
		le.PutUint16(b[len(b)-2:], uint16(len(comment)))
		return append(b, comment...)
	}
	unicodePath := func(name, other string) []byte {
		field := le.AppendUint32([]byte{1}, crcOf(name))
		field = append(field, other...)
		extra := le.AppendUint16(le.AppendUint16(nil, 0x7075), uint16(len(field)))
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store, Extra: append(extra, field...)})
		must(err)
		_, err = io.WriteString(f, "x")
		must(err)
		must(w.Close())
		return b.Bytes()
	}
	second := gz(tarOf(files("b", "beta")...))
	cases := []struct {
		name  string
		bytes []byte
		want  []AnomalyKind
	}{
		{"zip", ab, nil},
		{"zip with a comment", commented("hello"), nil},
		{"zip behind a script", append([]byte("#!/bin/sh\n"), zipped...), []AnomalyKind{Prefixed}},
		{"zip behind a zip", append(bytes.Clone(ab), zipped...), []AnomalyKind{HiddenEntry}},
		{"zip with a tar tail", append(bytes.Clone(zipped), tarOf(files("b", "beta")...)...), []AnomalyKind{Trailed}},
		{"zip with a newline behind", append(bytes.Clone(zipped), '\n'), []AnomalyKind{Trailed}},
		{"zip behind a tar", append(tarOf(files("b", "beta")...), zipped...), []AnomalyKind{Polyglot}},
		{"zip last in a tar", tarOf(item{name: "in.zip", body: string(zipped)}), nil},
		{"zip last in an ar", arOf(item{name: "in.zip", body: string(zipped)}), nil},
		{"end record far in the comment", commented(strings.Repeat("x", 5000) + string(zipped[len(zipped)-zipEndLen:])), []AnomalyKind{TwoEnds}},
		{"end record in the comment", commented(string(zipped[len(zipped)-zipEndLen:])), []AnomalyKind{TwoEnds}},
		{"entry that is not listed, first", unlisted(), []AnomalyKind{HiddenEntry}},
		{"entry that is not listed, between", between(), []AnomalyKind{HiddenEntry}},
		{"overlapping", overlapping(), []AnomalyKind{Overlap, HiddenEntry}},
		{"local size", patchedZip(func(l, _ []byte) { l[6] &^= 8; le.PutUint32(l[18:], 9) }), []AnomalyKind{HeaderMismatch}},
		{"local checksum", patchedZip(func(l, c []byte) { l[6] &^= 8; copy(l[14:26], c[16:28]); l[14]++ }), []AnomalyKind{HeaderMismatch}},
		{"local header that agrees", patchedZip(func(l, c []byte) { l[6] &^= 8; copy(l[14:26], c[16:28]) }), nil},
		{"Unicode path", unicodePath("a", "../b"), []AnomalyKind{HeaderMismatch}},
		{"Unicode path that agrees", unicodePath("a", "a"), nil},
		{"gzip members", append(gz(tarUnended(files("a", "x")...)), second...), []AnomalyKind{GzipMembers}},
		{"gzip with zeros behind", append(bytes.Clone(second), 0, 0), nil},
		{"tar behind a tar", append(tarOf(files("a", "x")...), tarOf(files("b", "y")...)...), []AnomalyKind{SecondTar}},
		{"tar cut and continued", append(tarUnended(files("a", "x")...), tarOf(files("b", "y")...)...), nil},
		{"PAX size", tarWithPAXSize(4, 4), nil},
		{"PAX size that differs", tarWithPAXSize(4, 0), []AnomalyKind{HeaderMismatch}},
		{"PAX size and a binary one", tarWithPAXSize(4, -1), []AnomalyKind{HeaderMismatch}},
		{"global path", tarWithGlobal("9 path=x\n"), []AnomalyKind{HeaderMismatch}},
		{"global comment", tarWithGlobal("13 comment=x\n"), nil},
		{"directory with a size", tarTyped(tar.TypeDir, 512), []AnomalyKind{HeaderMismatch}},
		{"hard link with a size", tarTyped(tar.TypeLink, 512), nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := look(t, c.bytes, "p", Limits{})
			var got []AnomalyKind
			for _, a := range s.Anomalies {
				got = append(got, a.Kind)
				if !strings.HasPrefix(a.Path, "p") || a.Detail == "" {
					t.Errorf("%+v", a)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%+v, want %q; problems %+v", s.Anomalies, c.want, s.Problems)
			}
		})
	}
}

// tarHeader is one block for a file in the ustar form.
func tarHeader(kind byte, name string, size int) []byte {
	h := make([]byte, tarBlock)
	copy(h, name)
	copy(h[100:], "0000644\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x00%011o\x00", max(size, 0), 0))
	if size < 0 { // zero in GNU's binary form
		copy(h[124:136], append([]byte{0x80}, make([]byte, 11)...))
	}
	copy(h[148:], "        ")
	h[156] = kind
	if kind == tar.TypeLink {
		copy(h[157:], "target")
	}
	copy(h[257:], "ustar\x0000")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

func padded(s string) []byte { return append([]byte(s), make([]byte, -len(s)&(tarBlock-1))...) }

// tarWithPAXSize says the one thing in the extended header and the other in
// the file's own.
func tarWithPAXSize(pax, own int) []byte {
	record := fmt.Sprintf("%d size=%d\n", 9, pax)
	return slices.Concat(tarHeader(tar.TypeXHeader, "pax", len(record)), padded(record),
		tarHeader(tar.TypeReg, "a", own), padded("body"), make([]byte, 2*tarBlock))
}

// tarWithGlobal has a header for all entries, and one entry.
func tarWithGlobal(record string) []byte {
	return slices.Concat(tarHeader(tar.TypeXGlobalHeader, "g", len(record)), padded(record), tarHeader(tar.TypeReg, "a", 0), make([]byte, 2*tarBlock))
}

// tarTyped has an entry of a kind that has no content, with a size.
func tarTyped(kind byte, size int) []byte {
	return slices.Concat(tarHeader(kind, "a", size), make([]byte, 2*tarBlock))
}

func TestManyAnomalies(t *testing.T) {
	b := bytes.Repeat(tarOf(files("a", "x")...), 2*maxAnomalies)
	if s := look(t, b, "p", Limits{}); len(s.Anomalies) != maxAnomalies {
		t.Errorf("%d anomalies", len(s.Anomalies))
	}
}

func TestReadRPMScripts(t *testing.T) {
	b := rpmWith(map[uint32]string{1024: "echo hello", 1086: "/bin/sh", 1088: "/sbin/ldconfig"}, nil)
	got, err := ReadRPMScripts(bytes.NewReader(b))
	want := []RPMScript{{"post-install", "/bin/sh", "echo hello"}, {"post-uninstall", "/sbin/ldconfig", ""}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err := ReadRPMScripts(bytes.NewReader(rpmOf(nil))); err != nil || len(got) > 0 {
		t.Errorf("without scripts: %+v, %v", got, err)
	}
	for cut := range len(b) {
		if got, err := ReadRPMScripts(bytes.NewReader(b[:cut])); err == nil || len(got) > 0 {
			t.Fatalf("%d of %d bytes: %+v, %v", cut, len(b), got, err)
		}
	}
}

func FuzzReadRPMScripts(f *testing.F) {
	f.Add(rpmWith(map[uint32]string{1024: "echo", 1065: "trigger"}, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := ReadRPMScripts(bytes.NewReader(b))
		if err != nil && len(all) > 0 || len(all) > len(rpmScripts)*maxRPMScripts {
			t.Errorf("%d scripts and %v", len(all), err)
		}
	})
}
