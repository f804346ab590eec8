package archive

import (
	"archive/tar"
	"bytes"
	"slices"
	"testing"
)

func TestHazards(t *testing.T) {
	file := func(name string) []item { return files(name, "x") }
	link := func(name, to string) []item { return []item{{name: name, link: to, kind: tar.TypeSymlink}} }
	hard := func(name, to string) []item { return []item{{name: name, link: to, kind: tar.TypeLink}} }
	mode := func(kind byte, m int64) []item { return []item{{name: "x", kind: kind, mode: m}} }
	tars := []struct {
		name  string
		items []item
		want  []Hazard // of the last entry
		path  string
	}{
		{"ordinary", file("usr/bin/x"), nil, "usr/bin/x"},
		{"root", []item{{name: "./", kind: tar.TypeDir, mode: 0o755}}, nil, "."},
		{"up", file("../../etc/passwd"), []Hazard{Traversal}, "etc/passwd"},
		{"up and back", file("a/../../b"), []Hazard{Traversal}, "b"},
		{"dots inside", file("a/../b"), nil, "b"},
		{"absolute", file("/etc/passwd"), []Hazard{Absolute}, "etc/passwd"},
		{"drive", file(`C:\x`), []Hazard{Absolute}, `C:\x`},
		{"UNC", file(`\\host\x`), []Hazard{Absolute}, `\\host\x`},
		{"backslashes are a name in tar", file(`..\x`), nil, `..\x`},
		{"link inside", link("usr/lib/a", "../bin/b"), nil, "usr/lib/a"},
		{"link out", link("usr/lib/a", "../../../b"), []Hazard{LinkOut}, "usr/lib/a"},
		{"link to absolute", link("a", "/etc"), []Hazard{LinkOut}, "a"},
		{"hard link inside", hard("d/a", "b"), nil, "d/a"},
		{"hard link counts from the root", hard("d/a", "../b"), []Hazard{LinkOut}, "d/a"},
		{"through a link", append(link("d", "e"), file("d/x")...), []Hazard{LinkOut}, "d/x"},
		{"link without target", link("a", ""), []Hazard{BadName}, "a"},
		{"device", mode(tar.TypeChar, 0o600), []Hazard{DeviceNode}, "x"},
		{"fifo", mode(tar.TypeFifo, 0o600), []Hazard{DeviceNode}, "x"},
		{"setuid", mode(0, 0o4755), []Hazard{SetID}, "x"},
		{"setgid", mode(0, 0o2755), []Hazard{SetID}, "x"},
		{"world file", mode(0, 0o666), []Hazard{WorldWrite}, "x"},
		{"world dir", mode(tar.TypeDir, 0o777), []Hazard{WorldWrite}, "x"},
		{"sticky dir", mode(tar.TypeDir, 0o1777), nil, "x"},
		{"symlinks have no mode", []item{{name: "x", link: "y", kind: tar.TypeSymlink, mode: 0o6777}}, nil, "x"},
		{"duplicate", append(file("a/b"), file("./a//b")...), []Hazard{Duplicate}, "a/b"},
		{"directories may repeat", []item{{name: "d/", kind: tar.TypeDir, mode: 0o755}, {name: "d/", kind: tar.TypeDir, mode: 0o755}}, nil, "d"},
		{"directory, then file", append([]item{{name: "d/", kind: tar.TypeDir, mode: 0o755}}, file("d")...), []Hazard{Duplicate}, "d"},
		{"case", append(file("README"), file("readme")...), []Hazard{CaseConflict}, "readme"},
		{"composed differently", append(file("e\u0301"), file("\u00e9")...), []Hazard{CaseConflict}, "\u00e9"},
		{"case, thrice", append(append(file("A"), file("a")...), file("A")...), []Hazard{Duplicate}, "A"},
		{"control", file("a\nb"), []Hazard{BadName}, "a\nb"},
		{"not UTF-8", file("a\xff"), []Hazard{BadName}, "a\uFFFD"},
		{"several", append(file("x"), mode(0, 0o4777)...), []Hazard{SetID, WorldWrite, Duplicate}, "x"},
	}
	for _, c := range tars {
		t.Run("tar "+c.name, func(t *testing.T) {
			checkHazards(t, tarOf(c.items...), c.want, c.path)
		})
	}
	zips := []struct {
		name  string
		items []item
		want  []Hazard
		path  string
	}{
		{"backslashes", file(`..\..\x`), []Hazard{Traversal}, "x"},
		{"drive", file(`c:x`), []Hazard{Absolute}, "c:x"},
		{"rooted", file(`\x`), []Hazard{Absolute}, "x"},
		{"no Unix mode", file("x"), nil, "x"},
		{"world", []item{{name: "x", mode: 0o100666}}, []Hazard{WorldWrite}, "x"},
		{"setuid", []item{{name: "x", mode: 0o104755}}, []Hazard{SetID}, "x"},
		{"symlink", []item{{name: "x", body: "../y", mode: 0o120777}}, []Hazard{LinkOut}, "x"},
		{"symlink inside", []item{{name: "d/x", body: `..\y`, mode: 0o120777}}, nil, "d/x"},
		{"duplicate", append(file("x"), file("x")...), []Hazard{Duplicate}, "x"},
		{"empty name", file(""), []Hazard{BadName}, "."},
	}
	for _, c := range zips {
		t.Run("zip "+c.name, func(t *testing.T) { checkHazards(t, zipOf(c.items...), c.want, c.path) })
	}
	t.Run("cpio", func(t *testing.T) {
		checkHazards(t, cpioNewc(item{name: "../x", mode: 0o4002}), []Hazard{Traversal, SetID, WorldWrite}, "x")
		b := bytes.Replace(cpioNewc(item{name: "l", body: "/etc"}), []byte("000081a4"), []byte("0000a1ff"), 1)
		checkHazards(t, b, []Hazard{LinkOut}, "l")
	})
}

func checkHazards(t *testing.T, b []byte, want []Hazard, path string) {
	t.Helper()
	var last *Entry
	report, err := Walk(t.Context(), bytes.NewReader(b), int64(len(b)), "p", Limits{}, func(_ ctx, e *Entry, _ reader) error {
		last = e
		return nil
	})
	if err != nil || !report.Complete() || last == nil {
		t.Fatalf("%+v, %v", report, err)
	}
	if !slices.Equal(last.Hazards, want) || last.Path != path {
		t.Errorf("%q: hazards %q, want %q; path %q, want %q", last.RawPath, last.Hazards, want, last.Path, path)
	}
}
