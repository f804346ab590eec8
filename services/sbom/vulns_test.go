package sbom_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"assize.dev/services/sbom"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
	. "assize.dev/shared/identify/identifytest"
)

func TestVulnerabilitiesInDocuments(t *testing.T) {
	r := catalogueBytes(t, TarGz(File{"package/package.json", pkg("self", "1.0.0")}, File{"package/node_modules/a/package.json", pkg("a", "1.0.0")}, File{"package/node_modules/b/package.json", pkg("b", "2.0.0")}), "x.tgz", archive.Limits{})
	found := func(component string, vex *event.VEX) event.Finding {
		return event.Finding{
			ID: "GHSA-1", Class: event.ClassVulnerability, Severity: event.High, Message: "bad things", Component: component, Aliases: []string{"CVE-1"},
			Fixed: []string{"3.0.0"}, Score: 7.5, KEV: "2026-01-01", EPSS: 0.5, Published: time.Unix(1e9, 0), VEX: vex,
		}
	}
	r.Vulnerabilities = []event.Finding{
		found("pkg:npm/b@2.0.0", nil), found("pkg:npm/a@1.0.0", nil), found("pkg:npm/gone@1", nil),
		found("pkg:npm/self@1.0.0", &event.VEX{Status: event.VEXNotAffected, Justification: "vulnerable_code_not_in_execute_path", Statement: "never called", Author: "us"}),
	}
	r.Unevaluated = []string{"pkg:npm/b@2.0.0: why"}
	checkResult(t, r)
	document, err := r.Document(sbom.CycloneDX16, subject)
	if err != nil {
		t.Fatal(err)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(document), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	if len(*bom.Vulnerabilities) != 2 {
		t.Fatalf("%d vulnerabilities", len(*bom.Vulnerabilities))
	}
	plain, excused := (*bom.Vulnerabilities)[0], (*bom.Vulnerabilities)[1]
	if len(*plain.Affects) != 2 || (*plain.Affects)[0].Ref != "pkg:npm/a@1.0.0" || *(*plain.Ratings)[0].Score != 7.5 || plain.Analysis != nil {
		t.Errorf("%+v", plain)
	}
	if (*excused.Affects)[0].Ref != "pkg:npm/self@1.0.0" || excused.Analysis.State != cdx.IASNotAffected || excused.Analysis.Justification != cdx.IAJCodeNotReachable {
		t.Errorf("%+v", excused)
	}
	text, err := r.Document(sbom.SPDX23, subject)
	if err != nil || strings.Count(string(text), "vulnerability GHSA-1, high") != 3 || !strings.Contains(string(text), "VEX: not_affected") {
		t.Errorf("the SPDX document does not tell them (%v)", err)
	}
	for _, d := range [][]byte{document, text} {
		if !strings.Contains(string(d), "pkg:npm/b@2.0.0: why") {
			t.Error("the document does not say what was not evaluated")
		}
	}
}
