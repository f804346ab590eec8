package purl

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]PURL{
		"pkg:npm/%40babel/core@7.0.0":           {Type: "npm", Namespace: "@babel", Name: "core", Version: "7.0.0"},
		"pkg:npm/@babel/core":                   {Type: "npm", Namespace: "@babel", Name: "core"},
		"pkg:NPM//a@1%2B2#sub":                  {Type: "npm", Name: "a", Version: "1+2"},
		"pkg:golang/github.com/A/b/v2@v2.0.0":   {Type: "golang", Namespace: "github.com/A/b", Name: "v2", Version: "v2.0.0"},
		"pkg:deb/debian/a@1:2?distro=debian-12": {Type: "deb", Namespace: "debian", Name: "a", Version: "1:2"},
	} {
		got, err := Parse(text)
		if err != nil || got.Type != want.Type || got.Namespace != want.Namespace || got.Name != want.Name || got.Version != want.Version {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "npm/a", "pkg:", "pkg:npm", "pkg:npm/", "pkg:npm/%zz", "pkg:npm/a@%zz", "pkg:npm/a?b=%zz", "pkg:npm/" + strings.Repeat("a", 5000)} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%.40q: %+v", text, got)
		}
	}
}

func TestEcosystem(t *testing.T) {
	for text, want := range map[string]string{
		"pkg:cargo/a": "crates.io", "pkg:deb/Debian/a": "Debian", "pkg:deb/other/a": "", "pkg:alpm/arch/a": "Arch", "pkg:generic/a": "",
	} {
		u, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := u.Ecosystem(); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("pkg:npm/%40babel/core@7.0.0?a=b#c")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := Parse(text)
		if err == nil && (u.Type == "" || u.Name == "") {
			t.Errorf("%q: %+v", text, u)
		}
	})
}
