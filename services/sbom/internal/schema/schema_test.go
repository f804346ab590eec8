package schema

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	const cdx = `{"bomFormat":"CycloneDX","specVersion":"$version","version":1,"components":[{"type":"library","name":"a"}]}`
	const spdx = `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"a","dataLicense":"CC0-1.0","documentNamespace":"https://a.example/1","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: t-1"]}}`
	for format := range files {
		good := spdx
		if v, ok := strings.CutPrefix(format, "cyclonedx-"); ok {
			good = strings.Replace(cdx, "$version", v, 1)
		}
		if err := Validate(format, []byte(good)); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		bad := strings.NewReplacer(`"name":"a"`, `"name":7`).Replace(good)
		if err := Validate(format, []byte(bad)); err == nil || !strings.Contains(err.Error(), "name") {
			t.Errorf("%s: a number for a name: %v", format, err)
		}
		if err := Validate(format, []byte("{")); err == nil {
			t.Errorf("%s: half a document is valid", format)
		}
	}
	if err := Validate("cyclonedx-1.6", []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"a","licenses":[{"license":{"id":"Nonsense"}}]}]}`)); err == nil {
		t.Error("an identifier that is on no list is valid")
	}
	if err := Validate("cyclonedx-9", nil); err == nil {
		t.Error("a format that there is not has a schema")
	}
}

func TestLicenseIDs(t *testing.T) {
	ids := LicenseIDs()
	for _, id := range []string{"MIT", "Apache-2.0", "GPL-2.0-only", "GPL-2.0+", "Classpath-exception-2.0"} {
		if !ids[id] {
			t.Errorf("%s is not on the list of %d", id, len(ids))
		}
	}
}
