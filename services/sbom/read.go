package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	spdxjson "github.com/spdx/tools-golang/json"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	"assize.dev/services/sbom/internal/license"
)

// Listing is what any SBOM says, by whomever it was made.
type Listing struct {
	Format  string // as "CycloneDX 1.6"
	Subject Listed
	Parts   []Listed // sorted by identity, each once
}

// Listed is one component of a Listing.
type Listed struct {
	PURL     string `json:"purl,omitempty"`
	Name     string `json:"name"`
	Version  string `json:"version,omitempty"`
	Licenses string `json:"licenses,omitempty"` // expression or words
}

// Bounds of a foreign document.
const (
	maxForeign = 64 << 20  // bytes
	maxObjects = 1_000_000 // opening braces; a parsed one takes up to a kilobyte
	maxListed  = 200_000
)

// Read understands CycloneDX JSON of any version and SPDX 2.2 and 2.3 JSON.
func Read(document []byte) (*Listing, error) {
	if len(document) > maxForeign {
		return nil, fmt.Errorf("read SBOM: %d bytes, at most %d", len(document), maxForeign)
	}
	if n := bytes.Count(document, []byte("{")); n > maxObjects {
		return nil, fmt.Errorf("read SBOM: %d objects, at most %d", n, maxObjects)
	}
	var kind struct {
		BOMFormat   string `json:"bomFormat"`
		SPDXVersion string `json:"spdxVersion"`
	}
	if err := json.Unmarshal(document, &kind); err != nil {
		return nil, fmt.Errorf("read SBOM: not JSON: %w", err)
	}
	var l *Listing
	var err error
	switch {
	case kind.BOMFormat == cdx.BOMFormat:
		l, err = readCycloneDX(document)
	case strings.HasPrefix(kind.SPDXVersion, "SPDX-2."):
		l, err = readSPDX(document, kind.SPDXVersion)
	default:
		err = errors.New("neither CycloneDX nor SPDX 2")
	}
	if err != nil {
		return nil, fmt.Errorf("read SBOM: %w", err)
	}
	slices.SortStableFunc(l.Parts, func(a, b Listed) int { return strings.Compare(a.identity(), b.identity()) })
	l.Parts = slices.CompactFunc(l.Parts, func(a, b Listed) bool { return a.identity() == b.identity() })
	return l, nil
}

// identity is what makes two mentions the same component.
func (l Listed) identity() string {
	if l.PURL != "" {
		return l.PURL
	}
	return "\x00" + l.Name + "\x00" + l.Version
}

func readCycloneDX(document []byte) (l *Listing, err error) {
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(document), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return nil, fmt.Errorf("CycloneDX: %w", err)
	}
	l = &Listing{Format: "CycloneDX " + bom.SpecVersion.String()}
	var pending []cdx.Component
	if bom.Metadata != nil && bom.Metadata.Component != nil {
		root := *bom.Metadata.Component
		l.Subject = listedCycloneDX(&root)
		if root.Components != nil {
			pending = append(pending, *root.Components...)
		}
	}
	if bom.Components != nil {
		pending = append(pending, *bom.Components...)
	}
	for i := 0; i < len(pending); i++ {
		if i >= maxListed {
			return nil, fmt.Errorf("more than %d components", maxListed)
		}
		c := pending[i]
		if c.Components != nil {
			pending = append(pending, *c.Components...)
		}
		if c.Type != cdx.ComponentTypeFile || c.PackageURL != "" {
			l.Parts = append(l.Parts, listedCycloneDX(&c))
		}
	}
	return l, nil
}

func listedCycloneDX(c *cdx.Component) Listed {
	name := c.Name
	if c.Group != "" {
		name = c.Group + "/" + c.Name
	}
	var words []string
	if c.Licenses != nil {
		for _, choice := range *c.Licenses {
			switch {
			case choice.Expression != "":
				words = append(words, choice.Expression)
			case choice.License != nil && choice.License.ID != "":
				words = append(words, choice.License.ID)
			case choice.License != nil:
				words = append(words, choice.License.Name)
			}
		}
	}
	return Listed{PURL: c.PackageURL, Name: name, Version: c.Version, Licenses: together(words)}
}

func together(words []string) string {
	expression, rest := license.Any(words)
	if expression != "" {
		rest = append([]string{expression}, rest...)
	}
	return strings.Join(rest, ", ")
}

func readSPDX(document []byte, version string) (l *Listing, err error) {
	// The library asks for shapes with type assertions.
	defer func() {
		if p := recover(); p != nil {
			l, err = nil, fmt.Errorf("SPDX: reading it panicked: %v", p)
		}
	}()
	doc, err := spdxjson.Read(bytes.NewReader(document))
	if err != nil {
		return nil, fmt.Errorf("SPDX: %w", err)
	}
	if len(doc.Packages) > maxListed {
		return nil, fmt.Errorf("more than %d packages", maxListed)
	}
	l = &Listing{Format: "SPDX " + strings.TrimPrefix(version, "SPDX-")}
	described := map[string]bool{}
	for _, r := range doc.Relationships {
		if r != nil && strings.EqualFold(r.Relationship, "DESCRIBES") && r.RefA.ElementRefID == "DOCUMENT" {
			described[string(r.RefB.ElementRefID)] = true
		}
	}
	words := map[string]string{}
	for _, o := range doc.OtherLicenses {
		if o != nil {
			words[o.LicenseIdentifier] = o.LicenseName
		}
	}
	for _, p := range doc.Packages {
		if p == nil {
			continue
		}
		listed := listedSPDX(p, words)
		if described[string(p.PackageSPDXIdentifier)] && l.Subject.Name == "" {
			l.Subject = listed
			continue
		}
		l.Parts = append(l.Parts, listed)
	}
	return l, nil
}

func listedSPDX(p *spdx.Package, words map[string]string) Listed {
	l := Listed{Name: p.PackageName, Version: p.PackageVersion}
	for _, ref := range p.PackageExternalReferences {
		if ref != nil && ref.RefType == "purl" && l.PURL == "" {
			l.PURL = ref.Locator
		}
	}
	l.Licenses = p.PackageLicenseDeclared
	if l.Licenses == "" || l.Licenses == noAssertion || l.Licenses == "NONE" {
		l.Licenses = p.PackageLicenseConcluded
	}
	if l.Licenses == noAssertion || l.Licenses == "NONE" {
		l.Licenses = ""
	}
	if name := words[l.Licenses]; name != "" {
		l.Licenses = name
	}
	return l
}
