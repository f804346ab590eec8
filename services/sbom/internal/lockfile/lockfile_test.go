package lockfile

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// sample is a lock file and its packages as show gives them.
type sample struct {
	title, name, data string
	want              []string
}

// samples of all formats.
func samples() (all []sample) {
	for _, some := range [][]sample{npmSamples, yarnSamples, pnpmSamples, pythonSamples, pythonListSamples, rubySamples, otherSamples, mobileSamples, moreSamples} {
		all = append(all, some...)
	}
	return all
}

// show puts a package on a line: purl, dev, hashes (the first eight digits) and
// dependencies.
func show(p Package) string {
	var b strings.Builder
	b.WriteString(p.PURL())
	if p.Dev {
		b.WriteString(" dev")
	}
	for _, h := range p.Hashes {
		fmt.Fprintf(&b, " %s:%.8s", h.Algorithm, h.Value)
	}
	if len(p.DependsOn) > 0 {
		b.WriteString(" -> " + strings.Join(p.DependsOn, " "))
	}
	return b.String()
}

func check(t *testing.T, got []Package, want []string) {
	t.Helper()
	var lines []string
	for _, p := range got {
		lines = append(lines, show(p))
	}
	if g, w := strings.Join(lines, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
}

// Hashes of samples: base64 and hexadecimal of bytes that are all the same.
var (
	sha512a = "sha512-" + strings.Repeat("qqqq", 21) + "qg=="
	sha512b = "sha512-" + strings.Repeat("u7u7", 21) + "uw=="
	sha1c   = "sha1-" + strings.Repeat("zMzM", 6) + "zMw="
	hexD    = strings.Repeat("d", 64)
	hexE    = strings.Repeat("e", 64)
	hexF1   = strings.Repeat("f", 40)
)

func TestParse(t *testing.T) {
	tried := make(map[string]bool)
	for _, s := range samples() {
		tried[s.name] = true
		t.Run(s.name+" "+s.title, func(t *testing.T) {
			got, err := Parse("some/folder/"+s.name, []byte(s.data))
			if err != nil {
				t.Error(err)
			}
			check(t, got, s.want)
			withCR, err := Parse(s.name, []byte("\xef\xbb\xbf"+strings.ReplaceAll(s.data, "\n", "\r\n")))
			if err != nil {
				t.Errorf("with other ends of lines: %v", err)
			}
			check(t, withCR, s.want)
		})
	}
	for name := range readers {
		if !tried[name] {
			t.Errorf("no sample of %s", name)
		}
	}
}

func TestKnown(t *testing.T) {
	for name, want := range map[string]bool{
		"package-lock.json": true, "a/b/Cargo.lock": true, "a.jar!/x/yarn.lock": true, "pylock.dev.toml": true,
		"": false, "go.mod": false, "cargo.lock": false, "Package.swift": false, "yarn.lock/x": false,
	} {
		if Known(name) != want {
			t.Errorf("Known(%q) is not %v", name, want)
		}
	}
	if _, err := Parse("go.mod", nil); err == nil {
		t.Error("go.mod is no lock file")
	}
}

func TestEmpty(t *testing.T) {
	for name := range readers {
		data := ""
		switch name {
		case "package-lock.json", "npm-shrinkwrap.json", "bun.lock", "deno.lock", "Pipfile.lock", "composer.lock",
			"packages.lock.json", "Package.resolved", "conan.lock", "renv.lock":
			data = "{}"
		}
		if got, err := Parse(name, []byte(data)); len(got) != 0 || err != nil {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

// fuzz runs Parse and holds what it gives against what it promises.
func fuzz(t *testing.T, name string, data []byte) {
	got, err := Parse(name, data)
	if err != nil && (strings.ContainsAny(err.Error(), "\n\r") || !strings.HasPrefix(err.Error(), name+": ")) {
		t.Errorf("error %q", err)
	}
	if err != nil && strings.Contains(err.Error(), "panicked") {
		t.Error(err)
	}
	known := make(map[string]bool)
	for _, p := range got {
		u := p.PURL()
		if u == "" || known[u] {
			t.Errorf("purl %q of %+v", u, p)
		}
		known[u] = true
	}
	for _, p := range got {
		for _, need := range p.DependsOn {
			if !known[need] || need == p.PURL() {
				t.Errorf("%s depends on %s", p.PURL(), need)
			}
		}
		for _, h := range p.Hashes {
			if len(hexHash(strings.ReplaceAll(h.Algorithm, "-", ""), h.Value)) != 1 {
				t.Errorf("%s has the hash %v", p.PURL(), h)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	names := slices.Sorted(maps.Keys(readers))
	add := func(name, data string) { f.Add(uint8(slices.Index(names, name)), []byte(data)) }
	for _, s := range samples() {
		add(s.name, s.data)
	}
	for _, b := range broken {
		if len(b.data) < 1000 { // more would only be slow
			add(b.name, b.data)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) { fuzz(t, names[int(which)%len(names)], data) })
}

// TestReal prints what files of LOCKFILES give, for a look by a person.
func TestReal(t *testing.T) {
	names := os.Getenv("LOCKFILES")
	if names == "" {
		t.Skip("LOCKFILES names no files")
	}
	for name := range strings.FieldsSeq(names) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(name, data)
		t.Logf("%s: %d packages, error %v", name, len(got), err)
		for _, p := range got {
			t.Log(show(p))
		}
	}
}
