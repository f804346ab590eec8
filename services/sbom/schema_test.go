package sbom_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiled is the official CycloneDX 1.5 schema, which the cyclonedx-go
// module brings along; nil where the module's source is not at hand.
var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil || strings.TrimSpace(string(dir)) == "" {
		return nil, nil
	}
	c := jsonschema.NewCompiler()
	for _, name := range []string{"bom-1.5.schema.json", "spdx.schema.json", "jsf-0.82.schemax.json"} {
		raw, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "schema", name))
		if err != nil {
			return nil, err
		}
		var schema any
		if err := json.Unmarshal(raw, &schema); err != nil {
			return nil, err
		}
		name = strings.Replace(name, "schemax", "schema", 1)
		if err := c.AddResource("http://cyclonedx.org/schema/"+name, schema); err != nil {
			return nil, err
		}
	}
	return c.Compile("http://cyclonedx.org/schema/bom-1.5.schema.json")
})

var missing sync.Once

func cycloneDXSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	schema, err := compiled()
	if err != nil {
		t.Fatalf("CycloneDX schema: %v", err)
	}
	if schema == nil {
		missing.Do(func() {
			t.Log("documents are not checked against the schema: the source of cyclonedx-go is not at hand")
		})
	}
	return schema
}
