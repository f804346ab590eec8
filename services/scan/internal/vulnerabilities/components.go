package vulnerabilities

import (
	"bytes"
	"fmt"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// Bounds of an SBOM that is read.
const (
	maxDocument   = 64 << 20
	maxComponents = 200_000
)

// componentsOf lists the package URLs of a CycloneDX JSON document, the
// described artifact first, each once. A component without one counts as
// its name.
func componentsOf(data []byte) ([]string, error) {
	if len(data) > maxDocument {
		return nil, fmt.Errorf("%d bytes, at most %d", len(data), maxDocument)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return nil, fmt.Errorf("not CycloneDX JSON: %w", err)
	}
	if bom.BOMFormat != cdx.BOMFormat {
		return nil, fmt.Errorf("not CycloneDX: bomFormat is %.40q", bom.BOMFormat)
	}
	var purls []string
	seen := make(map[string]bool)
	var pending []cdx.Component
	if bom.Metadata != nil && bom.Metadata.Component != nil {
		pending = append(pending, *bom.Metadata.Component)
	}
	if bom.Components != nil {
		pending = append(pending, *bom.Components...)
	}
	for n := 0; n < len(pending); n++ {
		if n >= maxComponents {
			return nil, fmt.Errorf("more than %d components", maxComponents)
		}
		c := &pending[n]
		if c.Components != nil {
			pending = append(pending, *c.Components...)
		}
		id := c.PackageURL
		if id == "" {
			if c.Type == cdx.ComponentTypeFile {
				continue
			}
			id = c.Name
		}
		if !seen[id] {
			seen[id] = true
			purls = append(purls, id)
		}
	}
	return purls, nil
}
