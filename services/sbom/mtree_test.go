package sbom

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
	. "assize.dev/shared/identify/identifytest"
)

// archPackage is one with a list of files, as makepkg writes it.
func archPackage(list string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(h tar.Header, content string) {
		h.Mode, h.Size = 0o644, int64(len(content))
		w.WriteHeader(&h)
		w.Write([]byte(content))
	}
	add(tar.Header{Name: ".MTREE"}, string(Gzip([]byte(list))))
	add(tar.Header{Name: ".PKGINFO"}, archInfo)
	add(tar.Header{Name: "usr/bin/a b"}, "one")
	add(tar.Header{Name: "usr/bin/c", Typeflag: tar.TypeLink, Linkname: "usr/bin/a b"}, "")
	add(tar.Header{Name: "usr/share/d.zip"}, string(Zip(File{"x", "y"})))
	w.Close()
	return b.Bytes()
}

const archInfo = "pkgname = a\npkgbase = a\npkgver = 1-1\narch = any\n"

func TestFileLists(t *testing.T) {
	line := func(name, content string) string {
		return fmt.Sprintf("./%s time=1.0 size=%d sha256digest=%x\n", name, len(content), sha256.Sum256([]byte(content)))
	}
	const head = "#mtree\n/set type=file uid=0 gid=0 mode=644\n./usr time=1.0 mode=755 type=dir\n"
	whole := head + line(".PKGINFO", archInfo) + line(`usr/bin/a\040b`, "one") + line("usr/bin/c", "one") + line("usr/share/d.zip", string(Zip(File{"x", "y"})))
	for name, tt := range map[string]struct{ list, want string }{
		"the same":      {whole, ""},
		"another file":  {strings.Replace(whole, line("usr/bin/c", "one"), line("usr/bin/c", "two"), 1), "usr/bin/c: damaged: differs from the package's own list, .MTREE: SHA-256 is 7692"},
		"a file more":   {strings.Replace(whole, line("usr/share/d.zip", string(Zip(File{"x", "y"}))), "", 1), "usr/share/d.zip: damaged: is not in the package's own list"},
		"a file less":   {whole + line("gone", ""), "gone: damaged: the package's own list, .MTREE, has this file"},
		"no list":       {"x", ".MTREE: damaged: mtree: it does not begin with #mtree"},
		"a broken name": {head + `./a\9 sha256digest=00` + "\n", ".PKGINFO: damaged: is not in"},
	} {
		data := archPackage(tt.list)
		id, err := identify.Identify(t.Context(), bytes.NewReader(data), int64(len(data)), "a-1-1-any.pkg.tar")
		if err != nil || id.Format != identify.Arch {
			t.Fatalf("format %q, %v", id.Format, err)
		}
		r, err := Catalogue(t.Context(), bytes.NewReader(data), int64(len(data)), "a-1-1-any.pkg.tar", id, archive.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Reason(); tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func FuzzFileList(f *testing.F) {
	f.Add([]byte("#mtree\n./a\\040b sha256digest=00\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := fileList{listed: map[string]string{}}
		if err := l.parse(data); err == nil && len(l.listed) > bytes.Count(data, []byte("\n"))+1 {
			t.Errorf("%d files in %q", len(l.listed), data)
		}
	})
}
