package content

import (
	"archive/tar"
	"slices"
	"strconv"
	"strings"
	"testing"

	"assize.dev/services/scan/internal/testdata"
	"assize.dev/shared/archive"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Beginnings of programs, as far as archive.Sniff looks at them.
var (
	elf   = "\x7fELF\x02\x01\x01"
	macho = "\xcf\xfa\xed\xfe"
	pe    = "MZ" + strings.Repeat("\x00", 58) + "\x40\x00\x00\x00PE\x00\x00"
)

func TestDisguise(t *testing.T) {
	for name, test := range map[string]struct {
		format string
		entry  entry
		want   []string
	}{
		"ELF as a picture":     {formatNPM, file("package/logo.PNG", elf), []string{"hidden-executable high package/logo.PNG:0"}},
		"PE as text":           {formatNPM, file("package/README.md", pe), []string{"hidden-executable high package/README.md:0"}},
		"Mach-O as JSON":       {formatNPM, file("package/a.json", macho), []string{"hidden-executable high package/a.json:0"}},
		"among tests":          {formatNPM, file("package/test/a.png", elf), []string{"hidden-executable low package/test/a.png:0"}},
		"as itself":            {formatNPM, file("package/a.node", elf), nil},
		"a picture":            {formatNPM, file("package/logo.png", "\x89PNG\r\n\x1a\n"), nil},
		"text that begins so":  {formatNPM, file("package/MZ.txt", "MZ is how programs of DOS begin, and PE files too, as it happens to be"), nil},
		"script as text":       {formatNPM, file("package/LICENSE.txt", "#!/bin/sh\nx"), []string{"hidden-script medium package/LICENSE.txt:1"}},
		"script as a script":   {formatNPM, file("package/x.sh", "#!/bin/sh\nx"), nil},
		"shebang of Markdown":  {formatNPM, file("package/x.md", "#!important\n"), nil},
		"command with a dot":   {formatDeb, file("usr/sbin/update.conf", "#!/bin/sh\n"), nil},
		"program in a crate":   {formatCrate, file("a-1/x", elf), []string{"stray-executable medium a-1/x:0"}},
		"program in an sdist":  {formatSdist, file("a-1/x.exe", pe), []string{"stray-executable medium a-1/x.exe:0"}},
		"launcher in an sdist": {formatSdist, file("a-1/setuptools/cli-64.exe", pe), []string{"stray-executable low a-1/setuptools/cli-64.exe:0"}},
		"program among tests":  {formatSdist, file("a-1/tests/x.so", elf), []string{"stray-executable low a-1/tests/x.so:0"}},
		"program of a module":  {formatGoMod, file("a@v1/x", elf), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := short(examine(t, test.format, tgz(t, test.entry), archive.Limits{}).Findings); !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	for tags, want := range map[string][]string{
		"Tag: py2-none-any\nTag: py3-none-any\n":    {"stray-executable low pip/_vendor/distlib/w64.exe:0", "stray-executable medium a/x.so:0"},
		"Tag: cp312-cp312-manylinux2014_x86_64\n":   nil,
		"Tag: py3-none-any\nTag: py3-none-win32\n":  nil,
		"Wheel-Version: 1.0\nRoot-Is-Purelib: true": nil,
	} {
		wheel := zipOf(t, "a/x.so", elf, "pip/_vendor/distlib/w64.exe", pe, "a-1.dist-info/WHEEL", tags)
		if got := short(examine(t, formatWheel, wheel, archive.Limits{}).Findings); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", tags, got, want)
		}
	}
}

func TestInvisible(t *testing.T) {
	payload := strings.Repeat("\U000E0141", longRun)
	for name, test := range map[string]struct {
		path, body string
		want       []string
	}{
		"Trojan Source":      {"a.js", "x\nif (a !== 'user\u202e \u2066// admin\u2069 \u2066') {\n", []string{"bidi-control high a.js:2"}},
		"last line":          {"a.py", "x = '\u202e'", []string{"bidi-control high a.py:1"}},
		"closed in its line": {"a.go", "s := \"\u2067\u05d0\u2069\"\n", []string{"invisible-text low a.go:1"}},
		"among tests":        {"tests/a.c", "\u202e\n", []string{"bidi-control medium tests/a.c:1"}},
		"marks of Hebrew":    {"a.js", "'\u200f\u05d0\u200e'", nil},
		"in a translation":   {"locale/he.js", "'\u202b\u05d0'\n", nil},
		"in prose":           {"a.md", "\u202b\u05d0\n", nil},
		"in data":            {"a.json", "\u202b\u05d0\n", nil},
		"emoji":              {"a.ts", "'\U0001F468\u200d\U0001F469\u200d\U0001F467 \u2764\ufe0f \U0001F3F4\U000E0067\U000E0062\U000E0073\U000E0063\U000E0074\U000E007F'", []string{"invisible-text low a.ts:1"}},
		"no room":            {"a.py", "x\u200by = 1", []string{"invisible-text low a.py:1"}},
		"filler":             {"a.js", "x\ny\nconst \u3164 = 1", []string{"invisible-text low a.js:3"}},
		"payload":            {"a.js", "\n\n\neval(decode(`" + payload + "`))", []string{"invisible-code high a.js:4"}},
		"a little less":      {"a.js", "`" + payload[:len(payload)-4] + "`", []string{"invisible-text low a.js:1"}},
		"interrupted":        {"a.js", "`" + payload[:8] + "x" + payload[:len(payload)-8] + "`", []string{"invisible-text low a.js:1"}},
		"byte order mark":    {"a.cs", "\ufeffusing System;", nil},
		"not UTF-8":          {"a.c", "\xe2\x80", nil},
		"across blocks":      {"a.c", strings.Repeat("x", 32<<10-1) + "\u202e\n", []string{"bidi-control high a.c:1"}},
		"many lines":         {"a.c", strings.Repeat("\n", 100_000) + "\u202e", []string{"bidi-control high a.c:100001"}},
		"install script":     {"package/binding.gyp", "{}", []string{"install-script info package/binding.gyp:0"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := short(examine(t, formatNPM, tgz(t, file(test.path, test.body)), archive.Limits{}).Findings); !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// TestReadByTools has archives that tools read differently, in packages where
// that matters and in such where it is normal.
func TestReadByTools(t *testing.T) {
	z := zipOf(t, "a", "alpha")
	g := tgz(t, file("package/a", "x"))
	for name, test := range map[string]struct {
		format string
		data   []byte
		want   []string
	}{
		"tar behind a zip":       {formatWheel, slices.Concat(z, rawTar(t, "b")), []string{"zip-tail high :0"}},
		"bytes behind a zip":     {formatWheel, slices.Concat(z, []byte("\r\n")), []string{"zip-stray-bytes low :0"}},
		"zip behind a zip":       {formatWheel, slices.Concat(zipOf(t, "b", "beta"), z), []string{"zip-hidden-entry high :0"}},
		"bytes before a zip":     {formatWheel, slices.Concat([]byte("GIF89a"), z), []string{"zip-prefix medium :0"}},
		"script before a jar":    {"jar", slices.Concat([]byte("#!/bin/sh\n"), z), []string{"zip-prefix low :0"}},
		"same name twice":        {formatWheel, zipOf(t, "a", "1", "a", "2"), []string{"duplicate medium a:0"}},
		"two gzip members":       {formatNPM, slices.Concat(g, gzipOf(t, "")), []string{"gzip-members medium :0"}},
		"two of a layer":         {formatTar, slices.Concat(g, gzipOf(t, "")), []string{"gzip-members low :0"}},
		"two of an apk":          {formatAPK, slices.Concat(g, gzipOf(t, "")), nil},
		"tar behind a tar":       {formatNPM, slices.Concat(rawTar(t, "a"), rawTar(t, "b")), []string{"second-tar high :0"}},
		"tar behind one, apk":    {formatAPK, slices.Concat(rawTar(t, "a"), rawTar(t, "b")), nil},
		"in an archive of tests": {formatNPM, tgz(t, file("package/test/a.whl", string(slices.Concat(z, rawTar(t, "b"))))), []string{"zip-tail low package/test/a.whl:0"}},
		"as it should be":        {formatWheel, z, nil},
	} {
		t.Run(name, func(t *testing.T) {
			answer := examine(t, test.format, test.data, archive.Limits{})
			if got := short(answer.Findings); !slices.Equal(got, test.want) || answer.Status != "complete" {
				t.Errorf("%s %q, want %q", answer.Status, got, test.want)
			}
		})
	}
	// A zip behind a tar ends it with bytes that are not examined.
	answer := examine(t, formatSdist, slices.Concat(rawTar(t, "a"), z), archive.Limits{})
	if got := short(answer.Findings); answer.Status != "partial" || !slices.Equal(got, []string{"damaged medium :0", "polyglot high :0"}) {
		t.Errorf("%s %q", answer.Status, got)
	}
}

func TestStrangeness(t *testing.T) {
	f := findings{count: map[string]int{}}
	f.anomaly(archive.Anomaly{Kind: "of a newer package"}, "")
	f.entry("x", &archive.Entry{Path: "x", RawPath: "x", Parents: []string{"p"}, Hazards: []archive.Hazard{"of a newer package"}})
	if got := short(f.list); !slices.Equal(got, []string{"unknown-anomaly unknown :0", "unknown-hazard unknown x:0"}) {
		t.Errorf("%q", got)
	}
}

func TestLinkLimits(t *testing.T) {
	if testdata.Race {
		t.Skip("tens of thousands of links take half a minute under the race detector")
	}
	f := findings{count: map[string]int{}}
	for i := range 40_000 {
		e := &archive.Entry{Path: itoa(i), Type: archive.Symlink, Linkname: strings.Repeat("x/", 100) + itoa(i+1), Parents: []string{"p"}}
		f.links.add(e.Path, e, false)
	}
	if f.chains(); !strings.Contains(f.reason(), "links") {
		t.Errorf("reason %q", f.reason())
	}
	slow := links{work: 1000}
	for i := range 100 {
		slow.add("", &archive.Entry{Path: itoa(i), Type: archive.Symlink, Linkname: strings.Repeat("y/", 50) + ".", Parents: []string{"p"}}, false)
	}
	if slow.leadsOut(slow.list[0], false) || !slow.full {
		t.Error("followed beyond its bound")
	}
}

func TestRules(t *testing.T) {
	ids := map[string]bool{}
	for _, r := range rules {
		if ids[r.id] || !strings.HasPrefix(r.id, "content/") || r.means == "" || r.advice == "" || r.class == "" || r.severity == "" {
			t.Errorf("rule %+v", *r)
		}
		ids[r.id] = true
	}
	was := rulesDigest()
	sticky.advice += " "
	changed := rulesDigest()
	sticky.advice = strings.TrimSuffix(sticky.advice, " ")
	if was == changed || was != rulesDigest() || len(was) != 64 {
		t.Errorf("digests %s and %s", was, changed)
	}
	if got := examine(t, formatNPM, tgz(t, file("a", "")), archive.Limits{}).Basis["rules"]; got != was {
		t.Errorf("basis %q", got)
	}
}

func FuzzSource(f *testing.F) {
	f.Add([]byte("a\u202eb\n\u2066\u2069"), 3)
	f.Add([]byte(strings.Repeat("\U000E0141", 20)), 7)
	f.Fuzz(func(t *testing.T, text []byte, step int) {
		// In whatever pieces it comes, it is the same text.
		whole, err := readSource(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		pieces, err := readSource(&slowly{text, 1 + abs(step)%11})
		if err != nil || *pieces != *whole {
			t.Errorf("%+v, in pieces %+v, %v", whole, pieces, err)
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add("a/aux.js", "b/../c")
	f.Add("p\u0430y", "/x")
	f.Fuzz(func(t *testing.T, name, target string) {
		if r := nameRule(name); r != nil && !slices.Contains(rules, r) {
			t.Errorf("%q: %v", name, r)
		}
		l := links{work: 1 << 20}
		for _, e := range []*archive.Entry{
			{Path: "a", Type: archive.Symlink, Linkname: target, Parents: []string{"p"}},
			{Path: "d/b", Type: archive.Symlink, Linkname: name, Parents: []string{"p"}},
		} {
			l.add(e.Path, e, false)
		}
		for _, one := range l.list {
			if l.leadsOut(one, true) {
				t.Errorf("%q leads out of the root of a system", one.target)
			}
		}
	})
}

func abs(n int) int { return max(n, -n, 0) }

func rawTar(t testing.TB, name string) []byte {
	t.Helper()
	var b strings.Builder
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return []byte(b.String())
}
