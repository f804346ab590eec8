package sbom_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	spdxjson "github.com/spdx/tools-golang/json"

	"assize.dev/services/sbom"
	"assize.dev/shared/digest"
)

var subject = sbom.Subject{
	Filename: "artifact", Digest: digest.Of([]byte("artifact")), SHA512: strings.Repeat("ab", 64),
	Received: time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("x", 3600)),
}

// checkResult verifies what is promised of every result and its document.
func checkResult(t testing.TB, r *sbom.Result) {
	t.Helper()
	if r.Complete() != (r.Reason() == "") {
		t.Errorf("complete %v with reason %q", r.Complete(), r.Reason())
	}
	seen := map[string]bool{r.Identity.PURL: r.Identity.PURL != ""}
	for _, c := range r.Components {
		if c.PURL != "" && seen[c.PURL] {
			t.Errorf("component %s is listed twice or is the artifact", c.PURL)
		}
		seen[c.PURL] = true
		if c.Name == "" || len(c.Paths) == 0 || c.Found < len(c.Paths) || c.Relation == "" {
			t.Errorf("component lacks its evidence: %+v", c)
		}
	}
	for _, f := range sbom.Formats {
		document, err := r.Document(f, subject) // which validates it
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if again, err := r.Document(f, subject); err != nil || !bytes.Equal(document, again) {
			t.Errorf("%s is not reproducible (%v)", f, err)
		}
		if f == sbom.SPDX23 {
			checkSPDX(t, r, document)
		} else {
			checkCycloneDX(t, r, f, document)
		}
	}
}

// checkSPDX reads the document as others do and writes it again.
func checkSPDX(t testing.TB, r *sbom.Result, document []byte) {
	t.Helper()
	doc, err := spdxjson.Read(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := spdxjson.Write(doc, &again, spdxjson.EscapeHTML(false)); err != nil || !bytes.Equal(again.Bytes(), document) {
		t.Errorf("reading and writing the SPDX document changes it (%v)", err)
	}
	if len(doc.Packages) != 1+len(r.Components) {
		t.Fatalf("%d packages, want the artifact and %d", len(doc.Packages), len(r.Components))
	}
	for i, p := range doc.Packages[1:] {
		purl := ""
		if len(p.PackageExternalReferences) > 0 {
			purl = p.PackageExternalReferences[0].Locator
		}
		if purl != r.Components[i].PURL || p.PackageLicenseDeclared == "" || p.PackageLicenseConcluded == "" {
			t.Errorf("package %d: %q, %q, %q", i, purl, p.PackageLicenseDeclared, p.PackageLicenseConcluded)
		}
	}
}

func checkCycloneDX(t testing.TB, r *sbom.Result, f sbom.Format, document []byte) {
	t.Helper()
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(document), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := cdx.NewBOMEncoder(&again, cdx.BOMFileFormatJSON).SetEscapeHTML(false).EncodeVersion(&bom, bom.SpecVersion); err != nil || !bytes.Equal(again.Bytes(), document) {
		i := 0
		for i < min(again.Len(), len(document)) && again.Bytes()[i] == document[i] {
			i++
		}
		t.Errorf("reading and writing %s changes it (%v): %.200s", f, err, document[i:])
	}
	if !strings.HasSuffix(string(f), bom.SpecVersion.String()) || bom.Metadata.Timestamp != "2026-01-02T02:04:05Z" {
		t.Errorf("spec %v, time %q", bom.SpecVersion, bom.Metadata.Timestamp)
	}
	root := bom.Metadata.Component
	if root.PackageURL != r.Identity.PURL || len(*root.Hashes) != 2 {
		t.Errorf("root %+v", root)
	}
	want := cdx.CompositionAggregateIncomplete
	if r.Complete() {
		want = cdx.CompositionAggregateComplete
	}
	if got := (*bom.Compositions)[0]; got.Aggregate != want || string((*got.Assemblies)[0]) != root.BOMRef {
		t.Errorf("composition %+v, want %s", got, want)
	}
	refs := []string{root.BOMRef}
	var listed []cdx.Component
	if bom.Components != nil {
		listed = *bom.Components
	}
	if len(listed) != len(r.Components) {
		t.Fatalf("the document lists %d components, want %d", len(listed), len(r.Components))
	}
	for i, c := range listed {
		if slices.Contains(refs, c.BOMRef) && len(refs) < 1000 {
			t.Errorf("bom-ref %q is not unique", c.BOMRef)
		}
		refs = append(refs, c.BOMRef)
		if c.PackageURL != r.Components[i].PURL || (c.PackageURL != "" && c.BOMRef != c.PackageURL) {
			t.Errorf("component %d: %q with ref %q, want %q", i, c.PackageURL, c.BOMRef, r.Components[i].PURL)
		}
	}
}
