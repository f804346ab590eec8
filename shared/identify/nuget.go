package identify

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	purl "github.com/package-url/packageurl-go"
)

// ParseNuspec reads a NuGet package's manifest.
func ParseNuspec(data []byte) (Package, error) {
	var m struct {
		Metadata struct {
			ID          string `xml:"id"`
			Version     string `xml:"version"`
			Authors     string `xml:"authors"`
			Description string `xml:"description"`
			License     string `xml:"license"`
			LicenseURL  string `xml:"licenseUrl"`
			Needs       struct {
				Dependency []nuspecDependency `xml:"dependency"` // before NuGet 2.0
				Group      []struct {
					Dependency []nuspecDependency `xml:"dependency"`
				} `xml:"group"`
			} `xml:"dependencies"`
		} `xml:"metadata"`
	}
	if err := decodeXML(data, &m); err != nil {
		return Package{}, fmt.Errorf("nuspec: %w", err)
	}
	p := Package{
		Type: purl.TypeNuget, Name: strings.TrimSpace(m.Metadata.ID), Version: strings.TrimSpace(m.Metadata.Version),
		Supplier: m.Metadata.Authors, Description: m.Metadata.Description,
	}
	needs := m.Metadata.Needs.Dependency
	for _, g := range m.Metadata.Needs.Group {
		needs = append(needs, g.Dependency...) // one group for each framework
	}
	ranges := map[string]string{}
	for _, d := range needs {
		ranges[d.ID] = d.Version
	}
	p.Requires, p.NeedsStated = needAll(nil, ranges), true
	if p.Name == "" || p.Version == "" || strings.Contains(p.Name+p.Version, "$") {
		return Package{}, fmt.Errorf("nuspec %w: no id and version", ErrNoPackage)
	}
	if l := strings.TrimSpace(m.Metadata.License); l != "" {
		p.Licenses = []string{l}
	} else if l := strings.TrimSpace(m.Metadata.LicenseURL); l != "" {
		p.Licenses = []string{l}
	}
	return p, nil
}

type nuspecDependency struct {
	ID      string `xml:"id,attr"`
	Version string `xml:"version,attr"`
}

// decodeXML reads UTF-8 XML; other encodings that are a superset of ASCII are
// read as if they were UTF-8, since only names and versions are wanted.
func decodeXML(data []byte, into any) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	return d.Decode(into)
}
