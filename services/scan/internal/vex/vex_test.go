package vex

import (
	"strings"
	"testing"

	"assize.dev/shared/event"
)

const openVEX = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://a.example/vex/1","author":"Vendor","timestamp":"2026-01-01T00:00:00Z","statements":[
 {"vulnerability":{"name":"CVE-2026-0001","aliases":["GHSA-1"]},"products":[{"@id":"pkg:npm/lib@1.2.0"}],"status":"not_affected","justification":"vulnerable_code_not_present"},
 {"vulnerability":{"name":"CVE-2026-0002"},"products":[{"@id":"pkg:npm/app","subcomponents":[{"@id":"pkg:npm/lib"}]}],"status":"not_affected","impact_statement":"never called"},
 {"vulnerability":{"name":"CVE-2026-0003"},"products":[{"@id":"pkg:npm/lib"}],"status":"affected","action_statement":"update"},
 {"vulnerability":{"name":"CVE-2026-0003"},"products":[{"@id":"pkg:npm/lib"}],"status":"fixed","timestamp":"2026-02-01T00:00:00Z"}]}`

const cycloneDX = `{"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:1","metadata":{"timestamp":"2026-01-01T00:00:00Z"},
 "components":[{"bom-ref":"lib","purl":"pkg:npm/lib@1.2.0","components":[{"bom-ref":"deep","purl":"pkg:npm/deep@1.0.0"}]}],"vulnerabilities":[
 {"id":"CVE-2026-0001","analysis":{"state":"not_affected","justification":"code_not_reachable"},"affects":[{"ref":"urn:cdx:1/1#lib"}]},
 {"id":"CVE-2026-0004","analysis":{"state":"in_triage"},"affects":[{"ref":"deep"}]},{"id":"CVE-2026-0009","affects":[{"ref":"lib"}]}]}`

const csaf = `{"document":{"category":"csaf_vex","publisher":{"name":"Distribution"},"tracking":{"id":"V-1","current_release_date":"2026-01-01T00:00:00Z"}},
 "product_tree":{"branches":[{"branches":[{"product":{"product_id":"L","product_identification_helper":{"purl":"pkg:npm/lib@1.2.0"}}},{"product":{"product_id":"A","product_identification_helper":{"purl":"pkg:npm/app"}}}]}],
 "relationships":[{"product_reference":"L","relates_to_product_reference":"A","full_product_name":{"product_id":"A:L"}}]},
 "vulnerabilities":[{"cve":"CVE-2026-0001","product_status":{"known_not_affected":["A:L"],"fixed":["L"]},"flags":[{"label":"component_not_present","product_ids":["A:L"]}]},
 {"cve":"CVE-2026-0005","product_status":{"known_not_affected":["L"]},"threats":[{"category":"impact","details":"not built"}]}]}`

func read(t *testing.T, documents ...string) *Statements {
	t.Helper()
	s := new(Statements)
	for _, d := range documents {
		if err := s.Add([]byte(d)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestAbout(t *testing.T) {
	const lib, app, other = "pkg:npm/lib@1.2.0", "pkg:npm/app@3.0.0", "pkg:npm/other@1.0.0"
	for _, test := range []struct {
		name, document, id, component, artifact, status string
	}{
		{"OpenVEX", openVEX, "CVE-2026-0001", lib, app, "not_affected"},
		{"OpenVEX alias", openVEX, "GHSA-1", lib, "", "not_affected"},
		{"OpenVEX other version", openVEX, "CVE-2026-0001", "pkg:npm/lib@1.3.0", app, ""},
		{"OpenVEX other flaw", openVEX, "CVE-2026-0009", lib, app, ""},
		{"OpenVEX subcomponent", openVEX, "CVE-2026-0002", lib, app, "not_affected"},
		{"OpenVEX subcomponent elsewhere", openVEX, "CVE-2026-0002", lib, other, ""},
		{"OpenVEX other part", openVEX, "CVE-2026-0002", other, app, ""},
		{"OpenVEX latest", openVEX, "CVE-2026-0003", lib, app, "fixed"},
		{"CycloneDX", cycloneDX, "CVE-2026-0001", lib, app, "not_affected"},
		{"CycloneDX nested", cycloneDX, "CVE-2026-0004", "pkg:npm/deep@1.0.0", app, "under_investigation"},
		{"CycloneDX without analysis", cycloneDX, "CVE-2026-0009", lib, app, ""},
		{"CSAF in a product", csaf, "CVE-2026-0001", lib, app, "fixed"}, // of two that cover it the last
		{"CSAF elsewhere", csaf, "CVE-2026-0001", lib, other, "fixed"},
		{"CSAF impact", csaf, "CVE-2026-0005", lib, app, "not_affected"},
	} {
		v := read(t, test.document).About([]string{"X-1", test.id}, test.component, test.artifact)
		switch {
		case v == nil && test.status != "":
			t.Errorf("%s: no statement", test.name)
		case v != nil && v.Status != test.status:
			t.Errorf("%s: %+v, want %q", test.name, v, test.status)
		}
	}
	if v := read(t, openVEX).About([]string{"CVE-2026-0001"}, lib, ""); v.Author != "Vendor" || v.Source == "" || v.Justification == "" {
		t.Errorf("%+v", v)
	}
	if new(Statements).About([]string{"CVE-2026-0001"}, lib, app) != nil {
		t.Error("no statements say something")
	}
}

func TestMeant(t *testing.T) {
	for _, test := range []struct {
		pattern, purl string
		want          bool
	}{
		{"pkg:npm/%40a/b", "pkg:npm/%40a/b@1.0.0", true}, {"pkg:npm/@a/b@1.0.0", "pkg:npm/%40a/b@1.0.0", true}, {"pkg:NPM/a", "pkg:npm/a@1", true},
		{"pkg:deb/debian/a@1?arch=amd64", "pkg:deb/debian/a@1?arch=amd64&distro=debian-12", true}, {"pkg:deb/debian/a?arch=arm64", "pkg:deb/debian/a@1?arch=amd64", false},
		{"pkg:npm/a@1.0%2B1", "pkg:npm/a@1.0+1", true}, {"pkg:npm/a", "pkg:npm/ab@1", false}, {"", "", false}, {"a", "a", false},
	} {
		if meant(test.pattern, test.purl) != test.want {
			t.Errorf("%s and %s: %v", test.pattern, test.purl, !test.want)
		}
	}
}

func TestRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"": "not JSON", "{}": "neither", `{"bomFormat":"CycloneDX","vulnerabilities":[]}`: "no statement",
		`{"@context":"https://openvex.dev/ns","statements":[{"vulnerability":"CVE-1","products":["pkg:npm/a"],"status":"harmless"}]}`:     "unknown",
		`{"@context":"https://openvex.dev/ns","statements":[{"vulnerability":"CVE-1","products":["pkg:npm/a"],"status":"not_affected"}]}`: "without a justification",
		`{"@context":"https://openvex.dev/ns","statements":[{"products":["pkg:npm/a"],"status":"fixed"}]}`:                                "no vulnerability",
		`{"@context":"https://openvex.dev/ns","statements":7}`:                                                                            "OpenVEX", `{"document":{},"product_tree":7}`: "CSAF",
	} {
		s := new(Statements)
		if err := s.Add([]byte(text)); err == nil || !strings.Contains(err.Error(), want) || s.About([]string{"CVE-1"}, "pkg:npm/a@1", "") != nil {
			t.Errorf("%.100q: %v, want %q", text, err, want)
		}
	}
}

func FuzzAdd(f *testing.F) {
	for _, d := range []string{openVEX, cycloneDX, csaf} {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		s := new(Statements)
		if s.Add(document) != nil {
			return
		}
		if v := s.About([]string{"CVE-2026-0001"}, "pkg:npm/lib@1.2.0", "pkg:npm/app@1"); v != nil && v.Status == event.VEXNotAffected && v.Justification+v.Statement == "" {
			t.Error("not affected, and nobody says why")
		}
	})
}
