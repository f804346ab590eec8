package content

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"assize.dev/services/scan/internal/testdata"
	"assize.dev/services/scan/internal/unpack"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
	"assize.dev/shared/realdata"
)

// entry is a member of a tar made by a test.
type entry struct {
	tar.Header
	body string
}

func file(name, body string) entry {
	return entry{tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg}, body}
}

func tgz(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for _, e := range entries {
		e.Size = int64(len(e.body))
		if err := w.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func examine(t testing.TB, format string, data []byte, limits archive.Limits) *evidence.Answer {
	t.Helper()
	a := &Analyser{limits: limits}
	answer, err := a.examine(context.Background(), unpack.Artifact{Bytes: bytes.NewReader(data), Size: int64(len(data)), Name: "package.tgz", Format: format})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status == event.Partial && answer.Reason == "" {
		t.Error("partial without a reason")
	}
	return answer
}

func brief(a *evidence.Answer) []string {
	var out []string
	for _, f := range a.Findings {
		out = append(out, fmt.Sprintf("%s %s %s", f.ID, f.Severity, f.Location))
	}
	slices.Sort(out)
	return out
}

func TestHazards(t *testing.T) {
	link := func(name, to string) entry {
		return entry{tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink, Mode: 0o777}, ""}
	}
	dir := func(name string, mode int64) entry {
		return entry{tar.Header{Name: name + "/", Mode: mode, Typeflag: tar.TypeDir}, ""}
	}
	mode := func(name string, mode int64) entry {
		return entry{tar.Header{Name: name, Mode: mode, Typeflag: tar.TypeReg}, "x"}
	}
	for name, test := range map[string]struct {
		format  string
		entries []entry
		want    []string
	}{
		"harmless":             {"npm", []entry{file("package/index.js", "x"), link("package/a", "index.js")}, nil},
		"traversal":            {"npm", []entry{file("../../etc/passwd", "x")}, []string{"content/traversal high etc/passwd"}},
		"absolute":             {"deb", []entry{file("/etc/passwd", "x")}, []string{"content/absolute high etc/passwd"}},
		"link out":             {"npm", []entry{link("package/a", "/etc/passwd")}, []string{"content/link-out high package/a"}},
		"link out of a system": {"deb", []entry{link("usr/a", "/etc/alternatives/a")}, []string{"content/link-out info usr/a"}},
		"climbing system link": {"deb", []entry{link("usr/a", "../../../etc/a")}, []string{"content/link-out high usr/a"}},
		"device":               {"wheel", []entry{{tar.Header{Name: "dev", Typeflag: tar.TypeBlock}, ""}}, []string{"content/device high dev"}},
		"setuid":               {"npm", []entry{mode("package/su", 0o4755)}, []string{"content/setid high package/su"}},
		"setuid of a system":   {"arch", []entry{mode("usr/bin/su", 0o4755)}, []string{"content/setid medium usr/bin/su"}},
		"setgid directory":     {"sdist", []entry{dir("a-1", 0o2755)}, []string{"content/setgid-directory low a-1"}},
		"sticky":               {"npm", []entry{mode("package/a", 0o1644)}, []string{"content/sticky low package/a"}},
		"sticky of a system":   {"deb", []entry{dir("tmp", 0o1777)}, []string{"content/sticky info tmp"}},
		"through a link":       {"npm", []entry{link("a", "b"), file("a/c", "x")}, []string{"content/through-link high a/c"}},
		"chain":                {"npm", []entry{link("d/a", ".."), link("b", "d/a/../c")}, []string{"content/link-chain high b"}},
		"chain, backwards":     {"npm", []entry{link("b", "d/a/../c"), link("d/a", "..")}, []string{"content/link-chain high b"}},
		"chain to absolute":    {"npm", []entry{link("a", "/etc"), link("b", "a/passwd")}, []string{"content/link-chain high b", "content/link-out high a"}},
		"hard link to a chain": {"npm", []entry{link("a", "/etc"), {tar.Header{Name: "h", Linkname: "a/passwd", Typeflag: tar.TypeLink}, ""}}, []string{"content/link-chain high h", "content/link-out high a"}},
		"chain inside":         {"npm", []entry{link("d/e/a", ".."), link("b", "d/e/a/../c")}, nil},
		"chain of a system":    {"deb", []entry{link("usr/a", "/etc"), link("b", "usr/a/../x")}, []string{"content/link-out info usr/a"}},
		"circle":               {"npm", []entry{link("a", "b/x"), link("b", "a/x")}, nil},
		"device name":          {"npm", []entry{file("package/aux.js", "x"), file("package/auxiliary.js", "x")}, []string{"content/reserved-name low package/aux.js"}},
		"name that ends oddly": {"npm", []entry{file("package/a. ", "x")}, []string{"content/reserved-name low package/a. "}},
		"name shown backwards": {"npm", []entry{file("package/a\u202egnp.exe", "x")}, []string{"content/deceptive-name high package/a\u202egnp.exe"}},
		"invisible in a name":  {"npm", []entry{file("package/a\u200b.js", "x")}, []string{"content/deceptive-name high package/a\u200b.js"}},
		"Persian name":         {"npm", []entry{file("package/می\u200cخواهم.txt", "x")}, nil},
		"mixed alphabets":      {"npm", []entry{file("package/p\u0430ypal.js", "x")}, []string{"content/lookalike-name medium package/p\u0430ypal.js"}},
		"full width":           {"npm", []entry{file("package/in\uff44ex.js", "x")}, []string{"content/lookalike-name medium package/in\uff44ex.js"}},
		"Russian name":         {"npm", []entry{file("package/README-Читайте.md", "x"), file("package/μTorrent.txt", "x")}, nil},
		"composed differently": {"npm", []entry{file("e\u0301", "x"), file("\u00e9", "x")}, []string{"content/case-conflict low \u00e9"}},
		"in a test archive":    {"npm", []entry{file("package/test/in.tgz", string(tgz(t, file("../x", "x"))))}, []string{"content/traversal low package/test/in.tgz!x"}},
		"in an archive":        {"npm", []entry{file("package/in.tgz", string(tgz(t, file("../x", "x"))))}, []string{"content/traversal medium package/in.tgz!x"}},
		"second data":          {"deb", []entry{file("debian-binary", "2.0\n"), file("control.tar.gz", ""), file("data.tar.gz", ""), file("data.tar.xz", "")}, []string{"content/deb-members high data.tar.xz"}},
		"data first":           {"deb", []entry{file("debian-binary", "2.0\n"), file("data.tar.gz", ""), file("control.tar.gz", "")}, []string{"content/deb-members high data.tar.gz"}},
		"parts as they should": {"deb", []entry{file("debian-binary", "2.0\n"), file("control.tar.gz", ""), file("data.tar.gz", ""), file("_gpgorigin", "")}, nil},
		"world-writable":       {"npm", []entry{mode("package/a", 0o666)}, []string{"content/world-writable medium package/a"}},
		"twice":                {"npm", []entry{file("a", "1"), file("a", "2")}, []string{"content/duplicate medium a"}},
		"case":                 {"npm", []entry{file("a", "1"), file("A", "2")}, []string{"content/case-conflict low A"}},
	} {
		t.Run(name, func(t *testing.T) {
			answer := examine(t, test.format, tgz(t, test.entries...), archive.Limits{})
			if got := brief(answer); !slices.Equal(got, test.want) || answer.Status != event.Complete {
				t.Errorf("%s %q: %q, want %q", answer.Status, answer.Reason, got, test.want)
			}
		})
	}
}

func TestScripts(t *testing.T) {
	manifest := `{"name":"a","scripts":{"postinstall":"node good.js\nrm -r x","test":"x","preinstall":"echo ` + strings.Repeat("é", 300) + `"}}`
	control := string(tgz(t, file("./postinst", "#!/bin/sh"), file("./control", "Package: a")))
	for name, test := range map[string]struct {
		format  string
		entries []entry
		want    []string
	}{
		"npm":            {"npm", []entry{file("package/package.json", manifest), file("package/test/package.json", manifest)}, []string{"content/install-script info package/package.json", "content/install-script info package/package.json"}},
		"bundled":        {"npm", []entry{file("package/node_modules/b/package.json", manifest)}, []string{"content/install-script info package/node_modules/b/package.json", "content/install-script info package/node_modules/b/package.json"}},
		"unreadable":     {"npm", []entry{file("package/package.json", "{")}, []string{"content/install-script-unread low package/package.json"}},
		"odd":            {"npm", []entry{file("package/package.json", "\xEF\xBB\xBF"+`{"scripts":["postinstall"]}`)}, nil},
		"binding.gyp":    {"npm", []entry{file("package/binding.gyp", "{}")}, []string{"content/install-script info package/binding.gyp"}},
		"arch":           {"arch", []entry{file(".INSTALL", "x"), file("usr/.INSTALL", "x")}, []string{"content/install-script info .INSTALL"}},
		"sdist":          {"sdist", []entry{file("a-1/setup.py", "x"), file("a-1/b/setup.py", "x")}, []string{"content/install-script info a-1/setup.py"}},
		"crate":          {"crate", []entry{file("a-1/build.rs", "x")}, []string{"content/install-script info a-1/build.rs"}},
		"deb-like":       {"deb", []entry{file("debian-binary", "2.0\n"), file("control.tar.gz", control)}, []string{"content/install-script info control.tar.gz!postinst"}},
		"another format": {"wheel", []entry{file("a-1/setup.py", "x")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			answer := examine(t, test.format, tgz(t, test.entries...), archive.Limits{})
			if got := brief(answer); !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
			for _, f := range answer.Findings {
				if strings.Contains(f.Message, "\n") || len([]rune(f.Message)) > 300 {
					t.Errorf("message %q", f.Message)
				}
			}
		})
	}
}

func TestBombsAndDamage(t *testing.T) {
	zeros := tgz(t, file("zeros", strings.Repeat("\x00", 20<<20)))
	for name, test := range map[string]struct {
		data   []byte
		limits archive.Limits
		want   string // id of a finding, empty for none
	}{
		"ratio":         {zeros, archive.Limits{Ratio: 100}, "content/bomb"},
		"inflated":      {zeros, archive.Limits{Inflated: 1 << 20}, "content/bomb"},
		"entries":       {tgz(t, file("a", ""), file("b", ""), file("c", "")), archive.Limits{Entries: 2}, ""},
		"cut short":     {zeros[:len(zeros)/2], archive.Limits{Ratio: 1e9}, "content/damaged"},
		"broken zip":    {[]byte("PK\x03\x04 and nothing more of it"), archive.Limits{}, "content/damaged"},
		"nested damage": {tgz(t, file("in.tgz", string(tgz(t, file("a", strings.Repeat("text", 5000)))[:60]))), archive.Limits{}, "content/damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := examine(t, "npm", test.data, test.limits)
			if answer.Status != event.Partial {
				t.Errorf("status %s, want partial", answer.Status)
			}
			got := brief(answer)
			if test.want == "" && len(got) > 0 || test.want != "" && !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, test.want+" ") }) {
				t.Errorf("%q, want %q (%s)", got, test.want, answer.Reason)
			}
		})
	}
}

func TestManyFindings(t *testing.T) {
	var entries []entry
	for i := range maxPerRule + 50 {
		entries = append(entries, file(fmt.Sprintf("../%d", i), ""))
	}
	answer := examine(t, "npm", tgz(t, entries...), archive.Limits{})
	if n := len(answer.Findings); n != maxPerRule+1 || !strings.HasPrefix(answer.Findings[n-1].Message, "50 more") {
		t.Errorf("%d findings, last %+v", n, answer.Findings[n-1])
	}
}

func TestNotAContainer(t *testing.T) {
	for _, data := range []string{"", "plain text", "\x7fELF and so on"} {
		if a := examine(t, "unknown", []byte(data), archive.Limits{}); a.Status != event.Complete || len(a.Findings) > 0 {
			t.Errorf("%q: %s %q", data, a.Status, brief(a))
		}
	}
}

// TestRealFiles walks real hostile and honest packages, in bounded memory.
func TestRealFiles(t *testing.T) {
	dir := realdata.Dir(t)
	for path, test := range map[string]struct {
		format string
		status event.Status
		want   string
	}{
		"hostile/bomb-manifest.jar":                           {"jar", event.Partial, "content/bomb high"},
		"hostile/many.tar.gz":                                 {"tar", event.Partial, ""},
		"hostile/traversal.tar.gz":                            {"tar", event.Complete, "content/traversal high"},
		"hostile/traversal.zip":                               {"zip", event.Complete, "content/traversal high"},
		"hostile/trunc.tgz":                                   {"npm", event.Partial, "content/damaged medium"},
		"pspf/evil/dotdot.psp":                                {"pspf", event.Complete, "content/traversal high"},
		"pspf/evil/bomb.psp":                                  {"pspf", event.Partial, "content/bomb high"},
		"pspf/valid/py-explicit-pagealigned.psp":              {"pspf", event.Complete, "content/install-script info metadata"},
		"pspf/valid/go-codecs-seed.psp":                       {"pspf", event.Complete, ""},
		"packages/npm/express-4.21.2.tgz":                     {"npm", event.Complete, ""},
		"packages/arch/ripgrep-13.0.0-4-x86_64.pkg.tar.zst":   {"arch", event.Complete, ""},
		"packages/deb/openssl_3.0.22-1~deb12u2_amd64.deb":     {"deb", event.Complete, "content/install-script info"},
		"packages/whl/PyYAML-6.0.tar.gz":                      {"sdist", event.Complete, "content/stray-executable medium"},
		"packages/rpm/commons-io-2.11.0-1.noarch.rpm":         {"rpm", event.Complete, ""},
		"packages/deb/python3-requests_2.28.1+dfsg-1_all.deb": {"deb", event.Complete, "content/install-script info"},
	} {
		if testdata.Race && strings.Contains(path, "bomb") {
			continue // hundreds of megabytes to inflate, on one goroutine
		}
		f, err := os.Open(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		answer, err := New().examine(context.Background(), unpack.Artifact{Bytes: f, Size: info.Size(), Name: filepath.Base(path), Format: test.format})
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		got := brief(answer)
		if answer.Status != test.status || test.want != "" && !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, test.want) }) {
			t.Errorf("%s: %s %q %q, want %s %q", path, answer.Status, answer.Reason, got, test.status, test.want)
		}
		for _, g := range got {
			if strings.HasPrefix(path, "packages/") && !strings.Contains(g, " low ") && !strings.Contains(g, " info ") && !strings.HasPrefix(g, "content/stray-executable") {
				t.Errorf("%s: unexpected %s", path, g)
			}
		}
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	if mem.HeapSys > 256<<20 {
		t.Errorf("heap grew to %d MiB", mem.HeapSys>>20)
	}
}

func TestZipWithoutModes(t *testing.T) {
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, name := range []string{"ok.txt", `..\..\windows.txt`} {
		if _, err := z.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	got := brief(examine(t, "wheel", buf.Bytes(), archive.Limits{}))
	if len(got) != 1 || !strings.HasPrefix(got[0], "content/traversal high") {
		t.Errorf("%q", got)
	}
}

func FuzzManifests(f *testing.F) {
	f.Add([]byte(`{"scripts":{"install":"x"},"setup_commands":["a",{"type":"execute"}],"execution":{"command":"b"}}`))
	f.Add([]byte(`{"scripts":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, read := range []func([]byte) ([]command, error){npmScripts, pspfCommands} {
			list, err := read(data)
			if err != nil && len(list) > 0 {
				t.Errorf("%d commands and error %v", len(list), err)
			}
			for _, c := range list {
				if q := quoted(c.text); strings.ContainsAny(q, "\n\x1b") || len([]rune(q)) > 10*maxQuoted {
					t.Errorf("%s is quoted as %s", c.what, q)
				}
			}
		}
	})
}

func gzipOf(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// slowly gives a few bytes at a time.
type slowly struct {
	rest []byte
	step int
}

func (s *slowly) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.rest[:min(s.step, len(s.rest))])
	s.rest = s.rest[n:]
	return n, nil
}
