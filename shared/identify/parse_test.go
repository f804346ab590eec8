package identify

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

func TestReplaced(t *testing.T) {
	tests := []struct{ module, replace, want string }{
		{"github.com/BurntSushi/toml@v1.0.0", "", "pkg:golang/github.com/BurntSushi/toml@v1.0.0"},
		{"a.org/x@v1.0.0", "b.org/y@v2.0.0", "pkg:golang/b.org/y@v2.0.0"},
		{"a.org/x@v1.0.0", "../x@", "pkg:golang/a.org/x"},
		{"a.org/x@(devel)", "", "pkg:golang/a.org/x"},
	}
	module := func(s string) *debug.Module {
		path, version, ok := strings.Cut(s, "@")
		if !ok {
			return nil
		}
		return &debug.Module{Path: path, Version: version}
	}
	for _, tt := range tests {
		m := module(tt.module)
		m.Replace = module(tt.replace)
		if got := replaced(m).PURL(); got != tt.want {
			t.Errorf("%s => %s: %q, want %q", tt.module, tt.replace, got, tt.want)
		}
	}
}

func TestPURL(t *testing.T) {
	tests := []struct {
		p    Package
		want string
	}{
		{Package{Type: "pypi", Name: "Zope.Inter_face", Version: "1"}, "pkg:pypi/zope.inter-face@1"},
		{Package{Type: "maven", Name: "unknown", Version: "unknown"}, ""},
		{Package{Type: "npm", Name: "a\x00b", Version: "1"}, ""},
		{Package{Type: "npm", Name: "a", Version: strings.Repeat("1", 2000)}, ""},
		{Package{Type: "npm", Name: "a", Version: "\xff"}, ""},
		{Package{Type: "npm", Name: "a", Version: "${v}"}, ""},
		{Package{Type: "rpm", Name: "a", Version: "1", Qualifiers: map[string]string{"arch": "", "epoch": "2"}}, "pkg:rpm/a@1?epoch=2"},
	}
	for _, tt := range tests {
		if got := tt.p.PURL(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.p, got, tt.want)
		}
	}
}

func TestInstalledDatabases(t *testing.T) {
	var got []string
	add := func(p Package) { got = append(got, p.PURL()) }
	ParseDebianStatus([]byte("Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\nConffiles:\n /etc/x 00\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\nPackage: b\nStatus: hold ok installed\nVersion: 2\n"), add)
	many := strings.Repeat("F:dir\nR:file\n", maxFields)
	ParseAPKInstalled([]byte("C:Q1\nP:musl\nV:1.2-r0\nA:x86_64\nL:MIT\no:musl-src\np:so:libc.so\na:0:0:755\n"+many+"\nP:zlib\nV:1.3-r1\nA:x86_64\n\n"), add)
	want := []string{
		"pkg:deb/debian/a@1?arch=amd64", "pkg:deb/debian/b@2",
		"pkg:apk/alpine/musl@1.2-r0?arch=x86_64&upstream=musl-src", "pkg:apk/alpine/zlib@1.3-r1?arch=x86_64",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestParsers(t *testing.T) {
	tests := []struct {
		name  string
		parse func([]byte) (Package, error)
		data  string
		want  string // purl and licences; "" for an error
	}{
		{"toml: literal string, comment, multi-line", ParseCargoToml, "[package] # x\ndescription = \"\"\"\nname = \"no\"\n\"\"\"\nname = 'a' # c\nversion=\"1\\u002e0\"\n", "pkg:cargo/a@1.0 []"},
		{"toml: workspace version", ParseCargoToml, "[package]\nname = \"a\"\nversion.workspace = true\n", ""},
		{"gemspec: stub", ParseGemspec, "# -*- encoding: utf-8 -*-\n# stub: rack 2.2.22 ruby lib\n\nGem::Specification.new do |s|\n  s.name = \"rack\".freeze\n  s.license = 'MIT'\n", "pkg:gem/rack@2.2.22 [MIT]"},
		{"gemspec: computed", ParseGemspec, "s.name = \"x\"\ns.version = Rack::VERSION\n", ""},
		{"npm: not an object", ParsePackageJSON, "[]", ""},
		{"npm: no version", ParsePackageJSON, `{"type":"module"}`, ""},
		{"npm: byte order mark", ParsePackageJSON, "\xef\xbb\xbf{\"name\":\"a\",\"version\":\"1\",\"author\":{\"name\":\"x\"},\"license\":3}", "pkg:npm/a@1 []"},
		{"npm: slash without scope", ParsePackageJSON, `{"name":"a/b","version":"1"}`, ""},
		{"python: licence text", ParsePythonMetadata, "Name: a\nVersion: 1\nLicense: BSD\n  all rights\n", "pkg:pypi/a@1 [BSD]"},
		{"python: expression", ParsePythonMetadata, "Name: a\nVersion: 1\nLicense: x\nLicense-Expression: MIT\n", "pkg:pypi/a@1 [MIT]"},
		{"nuspec: placeholder", ParseNuspec, "<package><metadata><id>$id$</id><version>1</version></metadata></package>", ""},
		{"nuspec: UTF-16 label on ASCII", ParseNuspec, `<?xml version="1.0" encoding="utf-16"?><package><metadata><id>a</id><version>1</version><licenseUrl>http://l</licenseUrl></metadata></package>`, "pkg:nuget/a@1 [http://l]"},
		{"gem: no specification", ParseGemMetadata, "name: a\n", ""},
		{"gem: alias", ParseGemMetadata, "--- !ruby/object:Gem::Specification\nname: &a demo\nversion: {version: 1}\nlicenses: [*a]\n", "pkg:gem/demo@1 []"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := tt.parse([]byte(tt.data))
			got := ""
			if err == nil {
				got = fmt.Sprint(p.PURL(), " ", p.Licenses)
			}
			if got != tt.want {
				t.Errorf("got %q (%v), want %q", got, err, tt.want)
			}
		})
	}
	mods, err := ParseGoMod([]byte("module a.org/x\n\nrequire (\n\tb.org/y v1.0.0\n\tc.org/z v2.0.0+incompatible // indirect\n)\n"))
	if err != nil || len(mods) != 2 || mods[1].PURL() != "pkg:golang/c.org/z@v2.0.0%2Bincompatible" {
		t.Errorf("go.mod: %v, %v", mods, err)
	}
}

func TestGroupOf(t *testing.T) {
	for _, tt := range [][3]string{
		{"org.apache.maven.core", "maven-core", "org.apache.maven"},
		{"org.springframework.core", "spring-core", "org.springframework"},
		{"org.example.demo", "demo", "org.example"},
		{"org.springframework", "spring-core", "org.springframework"},
		{"single", "demo", ""},
		{"com.demo", "demo", "com.demo"},
	} {
		if got := groupOf(tt[0], tt[1]); got != tt[2] {
			t.Errorf("groupOf(%q, %q) = %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
}

// FuzzParsers feeds every metadata parser; none may panic or hand out a
// package URL longer than an event may carry.
func FuzzParsers(f *testing.F) {
	for _, seed := range []string{
		"Name: a\nVersion: 1\n x\n", "[package]\nname = \"a\"\nversion = '1'\n", `{"name":"@a/b","version":"1","licenses":[{"type":"x"}]}`,
		"--- !ruby/object:Gem::Specification\nname: a\nversion: {version: 1}\n", "<package><metadata><id>a</id></metadata></package>",
		"groupId=a\nartifactId=b\nversion=1\n", "module a\nrequire b v1.0.0\n", "P:a\nV:1\n\n", "pkgname = a\npkgver = 1\n",
		"# stub: rack 2.2.22 ruby lib\n", `{"schemaVersion":2,"manifests":[{"digest":"x"}]}`, "ID=alpine\nVERSION_ID=3.1\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		check := func(p Package) {
			if len(p.PURL()) > maxPURL {
				t.Errorf("purl of %d bytes", len(p.PURL()))
			}
			if id := identityOf("x", p); len(id.Description) > maxText || len(id.Licenses) > maxLicenses {
				t.Errorf("identity too large: %+v", id)
			}
		}
		for _, parse := range []func([]byte) (Package, error){
			ParsePackageJSON, ParsePythonMetadata, ParseCargoToml, ParseGemMetadata, ParseGemspec, ParseNuspec,
			ParsePomProperties, ParsePomXML, ParseDebianControl, ParsePSPFMetadata, ParseRPMHeader,
			func(b []byte) (Package, error) {
				all, err := ParseBuildInfo(b)
				return Package{Licenses: bundleLicenses(string(b)), Requires: debianRequires(string(b)), Name: fmt.Sprint(len(all))}, err
			},
			func(b []byte) (Package, error) { return ParsePKGINFO(b, Arch) },
		} {
			if p, err := parse(data); err == nil {
				check(p)
			}
		}
		mods, _ := ParseGoMod(data)
		for _, p := range mods {
			check(p)
		}
		ParseDebianStatus(data, check)
		ParseAPKInstalled(data, check)
		OSRelease(data)
		parseImage("index.json", data)
		parseImage("manifest.json", data)
		var j Jar
		j.manifest = parseManifest(data)
		j.Note(string(data))
		self, _ := j.Packages(string(data[:min(len(data), 100)]))
		check(self)
	})
}
