// Package schema holds the official JSON schemas of the SBOM formats that are
// written, so that no document leaves that breaks its own.
//
// The files in official/ are unchanged: those of CycloneDX 1.5 to 1.7 and its
// SPDX and JSF parts (Apache-2.0) as the module cyclonedx-go v0.12.0 brings
// them, that of SPDX 2.3 (Community Specification License 1.0) as
// syft v1.54.1 does.
package schema

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed official/*.json
var official embed.FS

const (
	base       = "http://cyclonedx.org/schema/"
	licenseIDs = "spdx.schema.json"
)

// cryptography stands in for the part of CycloneDX 1.7 that lists the names of
// algorithms and curves: components of type cryptographic-asset, which are
// never written, are not held against the lists.
const cryptography = `{"definitions":{"algorithmFamiliesEnum":{"type":"string"},"ellipticCurvesEnum":{"type":"string"}}}`

// files names the schema of every format.
var files = map[string]string{
	"cyclonedx-1.5": "bom-1.5.schema.json",
	"cyclonedx-1.6": "bom-1.6.schema.json",
	"cyclonedx-1.7": "bom-1.7.schema.json",
	"spdx-2.3":      "spdx-schema-2.3.json",
}

var (
	mu       sync.Mutex
	compiled = map[string]*jsonschema.Schema{}
)

// Validate checks a JSON document against the official schema of its format:
// cyclonedx-1.5, cyclonedx-1.6, cyclonedx-1.7 or spdx-2.3. The error names the
// place in the document and the rule it breaks.
func Validate(format string, document []byte) error {
	s, err := of(format)
	if err != nil {
		return err
	}
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return fmt.Errorf("%s: not JSON: %w", format, err)
	}
	if err := s.Validate(instance); err != nil {
		return fmt.Errorf("the document breaks the schema of %s: %w", format, err)
	}
	return nil
}

// of compiles a schema once; CycloneDX's take some 40 ms each.
func of(format string) (*jsonschema.Schema, error) {
	mu.Lock()
	defer mu.Unlock()
	if s := compiled[format]; s != nil {
		return s, nil
	}
	name, ok := files[format]
	if !ok {
		return nil, fmt.Errorf("there is no schema of %q", format)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, part := range []string{name, licenseIDs, "jsf-0.82.schema.json"} {
		doc, err := read(part)
		if err != nil {
			return nil, err
		}
		if err := c.AddResource(base+part, doc); err != nil {
			return nil, fmt.Errorf("schema %s: %w", part, err)
		}
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(cryptography)))
	if err == nil {
		err = c.AddResource(base+"cryptography-defs.schema.json", doc)
	}
	if err != nil {
		return nil, fmt.Errorf("schema of cryptography: %w", err)
	}
	s, err := c.Compile(base + name)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	compiled[format] = s
	return s, nil
}

func read(name string) (any, error) {
	f, err := official.Open("official/" + name)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	return doc, nil
}

// LicenseIDs lists the SPDX licence and exception identifiers that CycloneDX
// documents may use.
var LicenseIDs = sync.OnceValue(func() map[string]bool {
	ids, err := licenseList()
	if err != nil {
		panic(err) // the embedded file is part of the program
	}
	return ids
})

func licenseList() (map[string]bool, error) {
	f, err := official.Open("official/" + licenseIDs)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	var list struct {
		Enum []string `json:"enum"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	if len(list.Enum) == 0 {
		return nil, errors.New("the list of SPDX identifiers is empty")
	}
	ids := make(map[string]bool, len(list.Enum))
	for _, id := range list.Enum {
		ids[id] = true
	}
	return ids, nil
}
