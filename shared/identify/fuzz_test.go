package identify_test

import (
	"bytes"
	"testing"

	"assize.dev/shared/identify"
	. "assize.dev/shared/identify/identifytest"
)

func FuzzIdentify(f *testing.F) {
	for _, seed := range [][]byte{
		PSPF("x", pspfMetadata), Deb(control), RPM(map[uint32]string{1000: "a", 1001: "1"}), APK(apkInfo), TarZstd(File{".PKGINFO", archInfo}),
		TarGz(File{"package/package.json", `{"name":"a","version":"1"}`}), Gem(gemYAML), Zip(File{"x.nuspec", nuspec}),
		Zip(File{"META-INF/maven/org.example/demo/pom.properties", pomProps}), Tar(File{"manifest.json", dockerList}), []byte("\x7fELF"),
	} {
		f.Add(seed, "name-1.0.jar")
	}
	f.Fuzz(func(t *testing.T, data []byte, filename string) {
		id, err := identify.Identify(t.Context(), bytes.NewReader(data), int64(len(data)), filename)
		if err != nil {
			t.Fatal(err)
		}
		if id.Format == "" || id.MediaType == "" || (id.PURL != "" && id.Reason != "") {
			t.Errorf("identity %+v", id)
		}
	})
}
