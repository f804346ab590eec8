package sbom_test

import (
	"testing"

	"assize.dev/shared/archive"
	. "assize.dev/shared/identify/identifytest"
)

func TestFilesOfComponents(t *testing.T) {
	data := Zip(
		File{"lib/x.deb", str(Deb(control))}, File{"x.rpm", str(RPM(map[uint32]string{1000: "r", 1001: "1.0", 1002: "1", 1022: "noarch"}))}, File{"x.gem", str(Gem(gemYAML))},
		File{"x.nupkg", str(Zip(File{"Demo.nuspec", nuspec}))}, File{"x.apk", str(APK("pkgname = a\npkgver = 1-r0\narch = x86\ndatahash = 0\n"))},
		File{"x.crate", str(TarGz(File{"a-1.0.0/Cargo.toml", "[package]\nname=\"a\"\nversion=\"1.0.0\"\n"}))}, File{"x.tgz", str(TarGz(File{"package/package.json", pkg("n", "3.0.0")}))},
		File{"x.whl", str(Zip(File{"y-2.dist-info/METADATA", "Name: y\nVersion: 2\n"}, File{"y-2.dist-info/WHEEL", ""}))}, File{"some/package.json", pkg("loose", "1.0.0")},
		File{"x.jar", str(Zip(File{"META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n"}, File{"META-INF/maven/org.example/demo/pom.properties", pom}))},
	)
	want := map[string]string{
		"pkg:deb/debian/demo@1.0?arch=amd64": "x.deb deb", "pkg:rpm/r@1.0-1?arch=noarch": "x.rpm rpm", "pkg:gem/demo@1.0.0": "x.gem gem",
		"pkg:nuget/Demo@1.0": "x.nupkg nupkg", "pkg:apk/alpine/a@1-r0?arch=x86": "x.apk apk", "pkg:cargo/a@1.0.0": "x.crate crate",
		"pkg:npm/n@3.0.0": "x.tgz npm", "pkg:pypi/y@2": "x.whl wheel", "pkg:npm/loose@1.0.0": " ", "pkg:maven/org.example/demo@1.0": "x.jar jar",
	}
	for _, c := range catalogueBytes(t, data, "bundle.zip", archive.Limits{}).Components {
		if got := c.File + " " + c.Format; got != want[c.PURL] {
			t.Errorf("%s: %q, want %q", c.PURL, got, want[c.PURL])
		}
		if (c.Hashes["SHA-512"] != "") != (c.File != "") {
			t.Errorf("%s: hashes %v", c.PURL, c.Hashes)
		}
		delete(want, c.PURL)
	}
	if len(want) > 0 {
		t.Errorf("missed %v", want)
	}
}
