package sbom_test

import (
	"bytes"
	"slices"
	"testing"

	"assize.dev/services/sbom"
	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
	. "assize.dev/shared/identify/identifytest"
)

// TestImported: SBOMs of the artifact count, those of something else do not.
func TestImported(t *testing.T) {
	list := func(subject string, purls ...string) string {
		s := `{"bomFormat":"CycloneDX","specVersion":"1.4","version":1,"metadata":{"component":{"type":"library","name":"x","purl":"` + subject + `"}},"components":[`
		for i, p := range purls {
			if i > 0 {
				s += ","
			}
			s += `{"type":"library","name":"n","purl":"` + p + `"}`
		}
		return s + `]}`
	}
	own := File{"package/package.json", `{"name":"self","version":"1.0.0"}`}
	found := File{"package/node_modules/b/package.json", pkg("b", "2.0.0")}
	for name, tt := range map[string]struct {
		files  []File
		beside []sbom.Beside
		want   []string
		notes  int
	}{
		"its own":              {[]File{own, found, {"package/bom.json", list("pkg:npm/self@1.0.0", "pkg:npm/c@3.0.0")}}, nil, []string{"contains pkg:npm/b@2.0.0", "stated pkg:npm/c@3.0.0", "package/bom.json: CycloneDX 1.4, 1 listed, 1 by SBOMs alone; it lacks 1 that are there"}, 0},
		"found as well":        {[]File{own, found, {"package/x.cdx.json", list("pkg:npm/self@1.0.0", "pkg:npm/b@2.0.0")}}, nil, []string{"contains pkg:npm/b@2.0.0", "package/x.cdx.json: CycloneDX 1.4, 1 listed, 0 by SBOMs alone"}, 0},
		"of another version":   {[]File{own, {"package/bom.json", list("pkg:npm/self@2.0.0", "pkg:npm/c@3.0.0")}}, nil, nil, 1},
		"test data":            {[]File{own, {"package/test/bom.json", list("pkg:npm/other@1", "pkg:npm/c@3.0.0")}}, nil, nil, 1},
		"of an installed part": {[]File{own, {"package/x.dist-info/sboms/auditwheel.cdx.json", list("pkg:pypi/x@1", "pkg:rpm/almalinux/libfoo@1")}}, nil, []string{"stated pkg:rpm/almalinux/libfoo@1", "package/x.dist-info/sboms/auditwheel.cdx.json: CycloneDX 1.4, 1 listed, 1 by SBOMs alone"}, 0},
		"beside":               {[]File{own}, []sbom.Beside{{Name: "vendor.json", Document: []byte(list("pkg:npm/self@1.0.0", "pkg:npm/c@3.0.0", ""))}}, []string{"stated pkg:npm/c@3.0.0", "vendor.json: CycloneDX 1.4, 2 listed, 1 by SBOMs alone, 1 without a package URL left out"}, 0},
		"damaged":              {[]File{own, {"package/sbom.json", `{"bomFormat":`}}, nil, nil, 1},
	} {
		data := TarGz(tt.files...)
		id, err := identify.Identify(t.Context(), bytes.NewReader(data), int64(len(data)), "a.tgz")
		if err != nil {
			t.Fatal(err)
		}
		result, err := sbom.Catalogue(t.Context(), bytes.NewReader(data), int64(len(data)), "a.tgz", id, archive.Limits{}, tt.beside...)
		if err != nil {
			t.Fatal(err)
		}
		checkResult(t, result)
		var got []string
		for _, c := range result.Components {
			got = append(got, string(c.Relation)+" "+c.PURL)
		}
		for _, i := range result.Imported {
			got = append(got, i.String())
		}
		if !slices.Equal(got, tt.want) || len(result.Notes) != tt.notes || !result.Complete() {
			t.Errorf("%s: got %q, want %q; notes %q", name, got, tt.want, result.Notes)
		}
	}
}
