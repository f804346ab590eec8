package sbom_test

import (
	"bytes"
	"compress/zlib"
	"debug/elf"
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"assize.dev/services/sbom"
	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
	. "assize.dev/shared/identify/identifytest"
)

func catalogueBytes(t testing.TB, data []byte, filename string, limits archive.Limits) *sbom.Result {
	t.Helper()
	r := bytes.NewReader(data)
	id, err := identify.Identify(t.Context(), r, r.Size(), filename)
	if err != nil {
		t.Fatal(err)
	}
	result, err := sbom.Catalogue(t.Context(), r, r.Size(), filename, id, limits)
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, result)
	return result
}

// described lists what was found as "purl relation paths".
func described(r *sbom.Result) []string {
	var out []string
	for _, c := range r.Components {
		name := c.PURL
		if name == "" {
			name = "unnamed " + c.FullName()
		}
		if c.Relation == sbom.Requires {
			name = "requires " + name
		}
		out = append(out, name+" at "+strings.Join(c.Paths, ", "))
	}
	return out
}

func pkg(name, version string) string { return `{"name":"` + name + `","version":"` + version + `"}` }

func str(b []byte) string { return string(b) }

const (
	pyMeta  = "Name: Some_Thing\nVersion: 1.0\nLicense: MIT\n"
	pom     = "groupId=org.example\nartifactId=demo\nversion=1.0\n"
	control = "Package: demo\nVersion: 1.0\nArchitecture: amd64\n"
	gemYAML = "--- !ruby/object:Gem::Specification\nname: demo\nversion: !ruby/object:Gem::Version\n  version: 1.0.0\nplatform: ruby\n"
	nuspec  = `<package><metadata><id>Demo</id><version>1.0</version></metadata></package>`
	psp     = `{"package":{"name":"tool","version":"1.0"},"slots":[{"id":"a","target":"{workenv}"},{"id":"b","target":"{workenv}/app/package.json"},{"id":"c","target":"x/../../lib.jar"}]}`
)

func TestCatalogue(t *testing.T) {
	jar := func(name string) string {
		return str(Zip(File{"META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n"}, File{"META-INF/maven/org.example/" + name + "/pom.properties", strings.Replace(pom, "demo", name, 1)}))
	}
	rpm := RPM(map[uint32]string{1000: "demo", 1001: "1.0", 1002: "1", 1022: "noarch"}, File{"./usr/share/nodejs/q/package.json", pkg("q", "1.0.0")})
	audited := elfWith(".dep-v0", deflate(`{"packages":[{"name":"memchr","version":"2.5.0"},{"name":"cc","version":"1.0.0","kind":"build"},{"name":"app","version":"0.1.0","root":true}]}`))
	tests := []struct {
		name, filename string
		data           []byte
		want           []string
	}{
		{"plain text", "readme.txt", []byte("hello"), nil},
		{"metadata alone is no package", "package.json", []byte(pkg("x", "1")), nil},
		{"npm with bundled modules", "x.tgz", TarGz(File{"package/package.json", pkg("self", "1.0.0")}, File{"package/node_modules/@s/a/package.json", pkg("@s/a", "2.0.0")}, File{"package/node_modules/b/node_modules/@s/a/package.json", pkg("@s/a", "2.0.0")}, File{"package/esm/package.json", `{"type":"module"}`}),
			[]string{"pkg:npm/%40s/a@2.0.0 at package/node_modules/@s/a/package.json, package/node_modules/b/node_modules/@s/a/package.json"}},
		{"deb", "x.deb", Deb(control, File{"./usr/lib/python3/dist-packages/x-1.egg-info", pyMeta}, File{"./usr/share/java/demo.jar", jar("demo")}),
			[]string{"pkg:maven/org.example/demo@1.0 at data.tar.zst!usr/share/java/demo.jar", "pkg:pypi/some-thing@1.0 at data.tar.zst!usr/lib/python3/dist-packages/x-1.egg-info"}},
		{"rpm", "x.rpm", rpm, []string{"pkg:npm/q@1.0.0 at usr/share/nodejs/q/package.json"}},
		{"arch", "x.pkg.tar.zst", TarZstd(File{".PKGINFO", "pkgname = a\npkgbase = a\npkgver = 1-1\narch = any\n"}, File{"usr/bin/rg", str(audited)}),
			[]string{"pkg:cargo/app@0.1.0 at usr/bin/rg", "pkg:cargo/memchr@2.5.0 at usr/bin/rg"}},
		{"apk", "x.apk", APK("pkgname = a\npkgver = 1-r0\narch = x86\ndatahash = 0\n", File{"usr/lib/ruby/gems/specifications/rack-2.gemspec", "# stub: rack 2.0 ruby lib\n"}),
			[]string{"pkg:gem/rack@2.0 at usr/lib/ruby/gems/specifications/rack-2.gemspec"}},
		{"wheel with vendored distribution", "x.whl", Zip(File{"x-1.dist-info/METADATA", "Name: x\nVersion: 1\n"}, File{"x-1.dist-info/WHEEL", ""}, File{"x/_vendor/y-2.dist-info/METADATA", "Name: y\nVersion: 2\n"}),
			[]string{"pkg:pypi/y@2 at x/_vendor/y-2.dist-info/METADATA"}},
		{"crate with vendored crate", "x.crate", TarGz(File{"a-1.0.0/Cargo.toml.orig", ""}, File{"a-1.0.0/Cargo.toml", "[package]\nname=\"a\"\nversion=\"1.0.0\"\n"}, File{"a-1.0.0/vendor/b/Cargo.toml", "[package]\nname=\"b\"\nversion=\"2.0.0\"\n"}, File{"a-1.0.0/fuzz/Cargo.toml", "[package]\nname=\"a-fuzz\"\nversion=\"0.0.0\"\n"}),
			[]string{"pkg:cargo/b@2.0.0 at a-1.0.0/vendor/b/Cargo.toml"}},
		{"gomod", "m.zip", Zip(File{"example.org/M@v1.0.0/go.mod", "module example.org/M\nrequire example.org/Upper v1.2.3\n"}, File{"example.org/M@v1.0.0/sub/go.mod", "module x\nrequire a.org/b v1.0.0\n"}),
			[]string{"requires pkg:golang/example.org/Upper@v1.2.3 at example.org/M@v1.0.0/go.mod"}},
		{"packages inside a zip", "bundle.zip", Zip(
			File{"x.deb", str(Deb(control))}, File{"x.rpm", str(rpm)}, File{"x.gem", str(Gem(gemYAML))}, File{"x.nupkg", str(Zip(File{"Demo.nuspec", nuspec}))},
			File{"x.tar.gz", str(TarGz(File{"Some_Thing-1.0/PKG-INFO", pyMeta}))}, File{"x.apk", str(APK("pkgname = a\npkgver = 1-r0\narch = x86\ndatahash = 0\n"))},
			File{"x.crate", str(TarGz(File{"a-1.0.0/Cargo.toml", "[package]\nname=\"a\"\nversion=\"1.0.0\"\n"}))}, File{"x.tgz", str(TarGz(File{"package/package.json", pkg("n", "3.0.0")}))}),
			[]string{
				"pkg:apk/alpine/a@1-r0?arch=x86 at x.apk!.PKGINFO", "pkg:cargo/a@1.0.0 at x.crate!a-1.0.0/Cargo.toml", "pkg:deb/debian/demo@1.0?arch=amd64 at x.deb!control.tar.gz!control",
				"pkg:gem/demo@1.0.0 at x.gem!metadata.gz!metadata", "pkg:npm/n@3.0.0 at x.tgz!package/package.json", "pkg:npm/q@1.0.0 at x.rpm!usr/share/nodejs/q/package.json",
				"pkg:nuget/Demo@1.0 at x.nupkg!Demo.nuspec", "pkg:pypi/some-thing@1.0 at x.tar.gz!Some_Thing-1.0/PKG-INFO", "pkg:rpm/demo@1.0-1?arch=noarch at x.rpm",
			}},
		{"ear with nested jars", "shop-1.0.ear", Zip(File{"META-INF/application.xml", ""}, File{"shop.war", str(Zip(File{"WEB-INF/lib/demo.jar", jar("demo")}, File{"WEB-INF/lib/nameless.jar", str(Zip(File{"a/A.class", ""}))}))}),
			[]string{"unnamed shop.war at shop.war", "unnamed nameless.jar at shop.war!WEB-INF/lib/nameless.jar", "pkg:maven/org.example/demo@1.0 at shop.war!WEB-INF/lib/demo.jar"}},
		{"shaded jar", "demo-1.0.jar", Zip(File{"META-INF/maven/org.example/demo/pom.properties", pom}, File{"META-INF/maven/org.example/other/pom.properties", strings.Replace(pom, "demo", "other", 1)}),
			[]string{"pkg:maven/org.example/other@1.0 at demo-1.0.jar"}},
		{"hostile manifest", "x.zip", Zip(File{"y.jar", str(Zip(File{"META-INF/MANIFEST.MF", "Implementation-Title: unknown\nImplementation-Version: unknown\n"}))}),
			[]string{"unnamed y.jar at y.jar"}},
		{"image layers", "image.tar", Tar(File{"manifest.json", `[{"Config":"c","RepoTags":["demo:1"],"Layers":["1/layer.tar","2/layer.tar"]}]`},
			File{"1/layer.tar", str(Tar(File{"lib/apk/db/installed", "P:musl\nV:1.2-r0\nA:x86\n\n"}))}, File{"2/layer.tar", str(Tar(File{"usr/lib/os-release", "ID=wolfi\nVERSION_ID=\"20230201\"\n"}))}),
			[]string{"pkg:apk/wolfi/musl@1.2-r0?arch=x86&distro=wolfi-20230201 at 1/layer.tar!lib/apk/db/installed"}},
		{"rust program", "rg", audited, []string{"pkg:cargo/app@0.1.0 at rg", "pkg:cargo/memchr@2.5.0 at rg"}},
		{"pspf", "tool.psp", PSPF("#!/bin/sh\n", psp, TarGz(File{"node_modules/q/package.json", pkg("q", "1.0.0")}), []byte(pkg("w", "1.0.0")), []byte(jar("demo"))),
			[]string{"pkg:maven/org.example/demo@1.0 at lib.jar", "pkg:npm/q@1.0.0 at a!node_modules/q/package.json", "pkg:npm/w@1.0.0 at app/package.json"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			result := catalogueBytes(t, tt.data, tt.filename, archive.Limits{})
			if !result.Complete() || len(result.Notes) > 0 {
				t.Errorf("not complete: %s, notes %q", result.Reason(), result.Notes)
			}
			got := described(result)
			slices.Sort(got)
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// TestIncomplete: whatever hides a part is told, and what was found before it
// is listed.
func TestIncomplete(t *testing.T) {
	q := File{"node_modules/q/package.json", pkg("q", "1.0.0")}
	slots := PSPF("", psp, TarGz(q))
	overlapping := bytes.Clone(PSPF("", psp, TarGz(q), []byte("second slot")))
	index := len(overlapping) - 8196
	table := binary.LittleEndian.Uint64(overlapping[index+40:])
	copy(overlapping[table+64+16:], overlapping[table+16:table+32])
	outside := bytes.Clone(slots)
	binary.LittleEndian.PutUint64(outside[binary.LittleEndian.Uint64(outside[len(outside)-8196+40:])+24:], 1<<62)
	truncated := TarGz(q, File{"tail", strings.Repeat("x", 1<<16)})
	tests := []struct {
		name, filename string
		data           []byte
		limits         archive.Limits
		found          int
		reason         string
	}{
		{"truncated", "x.tgz", truncated[:len(truncated)-40], archive.Limits{}, 1, "damaged"},
		{"entry limit", "x.zip", Zip(q, File{"b", ""}, File{"c", ""}), archive.Limits{Entries: 2}, 1, "entries"},
		{"depth limit", "x.zip", Zip(q, File{"x.zip", str(Zip(q))}), archive.Limits{Depth: 1}, 1, "depth"},
		{"broken package.json where npm put it", "x.tgz", TarGz(q, File{"node_modules/r/package.json", "{"}), archive.Limits{}, 1, "node_modules/r/package.json: damaged: npm"},
		{"metadata too large", "x.tgz", TarGz(q, File{"r-1.dist-info/METADATA", strings.Repeat("Name: a\n", 1<<20)}), archive.Limits{Ratio: 1e9}, 1, "too large"},
		{"deb without control", "x.deb", Ar(File{"debian-binary", "2.0\n"}), archive.Limits{}, 0, "identity"},
		{"rpm database", "x.tar", Tar(q, File{"var/lib/rpm/rpmdb.sqlite", "SQLite format 3"}), archive.Limits{}, 1, "rpm database"},
		{"damaged audit section", "x", elfWith(".dep-v0", []byte("no zlib")), archive.Limits{}, 0, ".dep-v0"},
		{"pspf with a slot outside", "x.psp", outside, archive.Limits{}, 0, "slot 0: 4611686018427387904 bytes"},
		{"pspf with overlapping slots", "x.psp", overlapping, archive.Limits{}, 1, "slot 1: begins before"},
		{"pspf with a slot the metadata hides", "x.psp", PSPF("", `{"package":{"name":"a","version":"1"},"slots":[]}`, TarGz(q)), archive.Limits{}, 1, "describes 0 slots"},
		{"pspf shares its limits", "x.psp", PSPF("", strings.Replace(psp, `,{"id":"c","target":"x/../../lib.jar"}`, "", 1), TarGz(q), TarGz(q, File{"b", ""})), archive.Limits{Entries: 3}, 1, "entries"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			result := catalogueBytes(t, tt.data, tt.filename, tt.limits)
			if result.Complete() || !strings.Contains(result.Reason(), tt.reason) {
				t.Errorf("reason %q, want %q in it", result.Reason(), tt.reason)
			}
			if len(result.Components) != tt.found {
				t.Errorf("found %q, want %d", described(result), tt.found)
			}
		})
	}
}

func TestBrokenFixtureIsNoted(t *testing.T) {
	result := catalogueBytes(t, TarGz(File{"package/package.json", pkg("a", "1.0.0")}, File{"package/test/bad/package.json", "{"}), "x.tgz", archive.Limits{})
	if !result.Complete() || len(result.Notes) != 1 || !strings.Contains(result.Notes[0], "package/test/bad/package.json") {
		t.Errorf("complete %v, notes %q", result.Complete(), result.Notes)
	}
}

func TestGoProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	result := catalogueBytes(t, Tar(File{"usr/bin/tool", str(program)}), "x.tar", archive.Limits{})
	if !slices.ContainsFunc(result.Components, func(c sbom.Component) bool {
		return strings.HasPrefix(c.PURL, "pkg:golang/stdlib@1.") && c.Paths[0] == "usr/bin/tool"
	}) || !result.Complete() {
		t.Errorf("found %q; %s", described(result), result.Reason())
	}
}

func deflate(s string) []byte {
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return buf.Bytes()
}

// elfWith makes a program of nothing but one named section.
func elfWith(section string, content []byte) []byte {
	names := "\x00" + section + "\x00.shstrtab\x00"
	var out bytes.Buffer
	const header, sectionHeader = 64, 64
	put := func(v any) { _ = binary.Write(&out, binary.LittleEndian, v) }
	put(elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1}, Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64),
		Version: 1, Shoff: header, Ehsize: header, Shentsize: sectionHeader, Shnum: 3, Shstrndx: 2,
	})
	at := uint64(header + 3*sectionHeader)
	put(elf.Section64{})
	put(elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: at, Size: uint64(len(content))})
	put(elf.Section64{Name: uint32(len(section) + 2), Type: uint32(elf.SHT_STRTAB), Off: at + uint64(len(content)), Size: uint64(len(names))})
	out.Write(content)
	out.WriteString(names)
	return out.Bytes()
}
