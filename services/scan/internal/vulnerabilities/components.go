package vulnerabilities

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// Bounds of an SBOM that is read.
const (
	maxDocument   = 64 << 20
	maxComponents = 200_000
)

// ComponentsOf lists the components of an SBOM, CycloneDX or SPDX 2 in JSON:
// the package URL of each, or its name where there is none, the described
// artifact first, each once. artifact is its package URL; one that has none is
// no component.
func ComponentsOf(data []byte) (artifact string, components []string, err error) {
	if len(data) > maxDocument {
		return "", nil, fmt.Errorf("%d bytes, at most %d", len(data), maxDocument)
	}
	var kind struct {
		SPDXVersion string `json:"spdxVersion"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return "", nil, fmt.Errorf("not JSON: %w", err)
	}
	l := &listing{seen: map[string]bool{}}
	if strings.HasPrefix(kind.SPDXVersion, "SPDX-2.") {
		err = l.spdx(data)
	} else {
		err = l.cycloneDX(data)
	}
	if err != nil {
		return "", nil, err
	}
	return l.artifact, l.components, nil
}

// listing collects components.
type listing struct {
	artifact   string
	components []string
	seen       map[string]bool
}

func (l *listing) add(id string) {
	if id != "" && !l.seen[id] {
		l.seen[id] = true
		l.components = append(l.components, id)
	}
}

func (l *listing) cycloneDX(data []byte) error {
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return fmt.Errorf("neither CycloneDX nor SPDX 2 JSON: %w", err)
	}
	if bom.BOMFormat != cdx.BOMFormat {
		return fmt.Errorf("neither CycloneDX nor SPDX 2: bomFormat is %.40q", bom.BOMFormat)
	}
	var pending []cdx.Component
	if bom.Metadata != nil && bom.Metadata.Component != nil {
		root := *bom.Metadata.Component
		l.artifact = root.PackageURL
		l.add(root.PackageURL)
		if root.Components != nil {
			pending = append(pending, *root.Components...)
		}
	}
	if bom.Components != nil {
		pending = append(pending, *bom.Components...)
	}
	for n := 0; n < len(pending); n++ {
		if n >= maxComponents {
			return fmt.Errorf("more than %d components", maxComponents)
		}
		c := &pending[n]
		if c.Components != nil {
			pending = append(pending, *c.Components...)
		}
		switch {
		case c.PackageURL != "":
			l.add(c.PackageURL)
		case c.Type != cdx.ComponentTypeFile:
			l.add(c.Name)
		}
	}
	return nil
}

// spdx reads of SPDX 2.2 and 2.3 only what is needed here.
func (l *listing) spdx(data []byte) error {
	var doc struct {
		Packages []struct {
			ID           string `json:"SPDXID"`
			Name         string `json:"name"`
			Purpose      string `json:"primaryPackagePurpose"`
			ExternalRefs []struct {
				Type    string `json:"referenceType"`
				Locator string `json:"referenceLocator"`
			} `json:"externalRefs"`
		} `json:"packages"`
		Relationships []struct {
			From string `json:"spdxElementId"`
			Type string `json:"relationshipType"`
			To   string `json:"relatedSpdxElement"`
		} `json:"relationships"`
		Describes []string `json:"documentDescribes"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("SPDX: %w", err)
	}
	if len(doc.Packages) > maxComponents {
		return fmt.Errorf("more than %d components", maxComponents)
	}
	if len(doc.Packages) == 0 {
		return errors.New("SPDX: it lists no packages")
	}
	described := map[string]bool{}
	for _, id := range doc.Describes {
		described[id] = true
	}
	for _, r := range doc.Relationships {
		if r.From == "SPDXRef-DOCUMENT" && r.Type == "DESCRIBES" {
			described[r.To] = true
		}
	}
	for _, p := range doc.Packages {
		purl := ""
		for _, ref := range p.ExternalRefs {
			if ref.Type == "purl" && purl == "" {
				purl = ref.Locator
			}
		}
		if described[p.ID] && l.artifact == "" {
			l.artifact = purl
		}
		switch {
		case purl != "":
			l.add(purl)
		case p.Purpose != "FILE" && !described[p.ID]:
			l.add(p.Name)
		}
	}
	return nil
}
