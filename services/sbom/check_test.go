package sbom_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

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
	document, err := r.CycloneDX(subject)
	if err != nil {
		t.Fatalf("CycloneDX: %v", err)
	}
	if again, err := r.CycloneDX(subject); err != nil || !bytes.Equal(document, again) {
		t.Errorf("the document is not reproducible (%v)", err)
	}
	checkDocument(t, r, document)
}

func checkDocument(t testing.TB, r *sbom.Result, document []byte) {
	t.Helper()
	if schema := cycloneDXSchema(t); schema != nil {
		var instance any
		if err := json.Unmarshal(document, &instance); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); err != nil {
			t.Errorf("the document breaks the CycloneDX schema: %v", err)
		}
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(document), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if bom.SpecVersion != cdx.SpecVersion1_5 || bom.Metadata.Timestamp != "2026-01-02T02:04:05Z" {
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
