package sbom_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"assize.dev/services/sbom"
	"assize.dev/shared/archive"
	. "assize.dev/shared/identify/identifytest"
)

// needsOf lists "who -> whom" and "who lacks what"; the artifact is ".".
func needsOf(r *sbom.Result) (out []string) {
	tell := func(who string, n sbom.Needs) {
		for _, i := range n.Met {
			out = append(out, who+" -> "+r.Components[i].PURL)
		}
		for _, m := range n.Missing {
			out = append(out, who+" lacks "+m)
		}
	}
	tell(".", r.Needs)
	for _, c := range r.Components {
		tell(c.PURL, c.Needs)
	}
	return out
}

// rpmHeader is what rpm's database has of a package.
func rpmHeader(name string, provides, requires string) []byte {
	type tag struct {
		number, kind uint32
		value        string
	}
	var index, store []byte
	tags := []tag{{1000, 6, name}, {1001, 6, "1.0"}, {1002, 6, "1.fc40"}, {1022, 6, "x86_64"}, {1011, 6, "Fedora Project"}, {1047, 8, provides}, {1049, 8, requires}}
	for _, t := range tags {
		for _, n := range []uint32{t.number, t.kind, uint32(len(store)), 1} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
		store = append(store, t.value+"\x00"...)
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(len(tags)))
	return slices.Concat(binary.BigEndian.AppendUint32(out, uint32(len(store))), index, store)
}

// ndb is rpm's database of one page of slots (rpmpkg.c).
func ndb(headers ...[]byte) string {
	u32 := binary.LittleEndian.AppendUint32
	head := append([]byte("RpmP"), make([]byte, 28)...)
	head[12] = 1
	var blobs []byte
	for i, h := range headers {
		head = u32(u32(u32(append(head, "Slot"...), uint32(i+1)), uint32(4096+len(blobs))/16), 0)
		blobs = append(u32(u32(u32(append(blobs, "BlbS"...), uint32(i+1)), 0), uint32(len(h))), h...)
		blobs = append(blobs, make([]byte, -len(blobs)&15)...)
	}
	for len(head) < 4096 {
		head = append(append(head, "Slot"...), make([]byte, 12)...)
	}
	return string(append(head, blobs...))
}

func TestNeeds(t *testing.T) {
	npm := func(name, version, needs string) string {
		return `{"name":"` + name + `","version":"` + version + `","dependencies":{` + needs + `}}`
	}
	audited := elfWith(".dep-v0", deflate(`{"packages":[{"name":"memchr","version":"2.5.0"},{"name":"app","version":"0.1.0","root":true,"dependencies":[0,7]}]}`))
	layer := func(files ...File) string { return str(Tar(files...)) }
	image := func(files ...File) []byte {
		return Tar(File{"manifest.json", `[{"Config":"c","RepoTags":["demo:1"],"Layers":["1/layer.tar"]}]`}, File{"1/layer.tar", layer(files...)})
	}
	tests := []struct {
		name, filename string
		data           []byte
		want           []string
	}{
		{"npm takes the nearest", "a.tgz", TarGz(
			File{"package/package.json", npm("self", "1.0.0", `"b":"^2","c":"*","d":"^9"`)},
			File{"package/node_modules/b/package.json", npm("b", "2.0.0", `"c":"1"`)},
			File{"package/node_modules/b/node_modules/c/package.json", npm("c", "1.0.0", ``)},
			File{"package/node_modules/c/package.json", npm("c", "3.0.0", `"b":"*"`)}),
			[]string{". -> pkg:npm/b@2.0.0", ". -> pkg:npm/c@3.0.0", ". lacks d ^9", "pkg:npm/b@2.0.0 -> pkg:npm/c@1.0.0", "pkg:npm/c@3.0.0 -> pkg:npm/b@2.0.0"}},
		{"dpkg with alternatives and provided names", "image.tar", image(File{"var/lib/dpkg/status", "Package: a\nVersion: 1\nStatus: install ok installed\nDepends: x | mta (>= 2), gone\n\n" +
			"Package: b\nVersion: 2\nStatus: install ok installed\nProvides: mta (= 2)\n\n"}),
			[]string{"pkg:deb/debian/a@1 -> pkg:deb/debian/b@2", "pkg:deb/debian/a@1 lacks gone"}},
		{"apk", "image.tar", image(File{"lib/apk/db/installed", "P:a\nV:1-r0\nD:so:libc.so.1 !bad\n\nP:musl\nV:1-r1\np:so:libc.so.1=1\n\n"}),
			[]string{"pkg:apk/alpine/a@1-r0 -> pkg:apk/alpine/musl@1-r1"}},
		{"rpm database", "image.tar", image(File{"etc/os-release", "ID=fedora\nVERSION_ID=40\n"},
			File{"usr/lib/sysimage/rpm/Packages.db", ndb(rpmHeader("a", "a", "libz.so.1"), rpmHeader("zlib", "libz.so.1", "rpmlib(X)"), rpmHeader("gpg-pubkey", "x", "y"))}),
			[]string{"pkg:rpm/fedora/a@1.0-1.fc40?arch=x86_64&distro=fedora-40 -> pkg:rpm/fedora/zlib@1.0-1.fc40?arch=x86_64&distro=fedora-40"}},
		{"wheels", "x.whl", Zip(
			File{"x-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: x\nVersion: 1\nRequires-Dist: Foo.Bar[s] (>=1)\nRequires-Dist: extra-only; extra == 'y'\nRequires-Dist: gone>=2; python_version > '3'\n"},
			File{"x/_vendor/foo_bar-2.dist-info/METADATA", "Metadata-Version: 2.1\nName: foo_bar\nVersion: 2\n"}, File{"x-1.dist-info/WHEEL", ""}),
			[]string{". -> pkg:pypi/foo-bar@2", ". lacks gone >=2"}},
		{"gem", "x.gem", Gem(gemYAML + "dependencies:\n- !ruby/object:Gem::Dependency\n  name: rack\n  type: :runtime\n- !ruby/object:Gem::Dependency\n  name: rspec\n  type: :development\n"),
			[]string{". lacks rack"}},
		{"nuget", "x.nupkg", Zip(File{"Demo.nuspec", `<package><metadata><id>Demo</id><version>1.0</version><dependencies><group targetFramework="net6"><dependency id="Other" version="[2,)"/></group></dependencies></metadata></package>`}),
			[]string{". lacks Other [2,)"}},
		{"cargo-auditable", "rg", audited, []string{"pkg:cargo/app@0.1.0 -> pkg:cargo/memchr@2.5.0"}},
		{"arch", "x.pkg.tar.zst", TarZstd(File{".PKGINFO", "pkgname = a\npkgbase = a\npkgver = 1-1\narch = any\ndepend = glibc>=2\n"}),
			[]string{". lacks glibc >=2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			result := catalogueBytes(t, tt.data, tt.filename, archive.Limits{})
			if got := needsOf(result); !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
			document, err := result.Document(sbom.CycloneDX16, subject)
			if err != nil {
				t.Fatal(err)
			}
			var bom cdx.BOM
			if err := cdx.NewBOMDecoder(bytes.NewReader(document), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
				t.Fatal(err)
			}
			edges := 0
			for _, d := range *bom.Dependencies {
				if d.Dependencies != nil {
					edges += len(*d.Dependencies)
				}
			}
			want := 0
			for _, w := range tt.want {
				if strings.Contains(w, " -> ") {
					want++
				}
			}
			if edges != want {
				t.Errorf("the document has %d edges, want %d", edges, want)
			}
		})
	}
}
