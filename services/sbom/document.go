package sbom

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/uuid"

	"assize.dev/shared/digest"
	"assize.dev/shared/identify"
)

// Subject is what the document says of the artifact besides its identity.
type Subject struct {
	Filename string
	Digest   digest.Digest
	SHA512   string // hexadecimal, "" if unknown
	Received time.Time
	Creator  string // of the document: an e-mail address or a URL, "" for none
}

// cycloneDX writes the result as CycloneDX. The time is when the artifact was
// received, and the serial number follows from its digest and this program's
// version.
func (r *Result) cycloneDX(f Format, s Subject) ([]byte, error) {
	root := r.root(s)
	components := make([]cdx.Component, 0, len(r.Components))
	for i := range r.Components {
		components = append(components, r.Components[i].cycloneDX())
	}
	dependencies, compositions := r.dependencies(root.BOMRef, components)
	properties := r.properties()
	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + serial(s.Digest).String()
	bom.Metadata = &cdx.Metadata{
		Lifecycles: &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhasePostBuild}},
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{{
			Type: cdx.ComponentTypeApplication, Name: "assize-sbom", Version: version,
		}}},
		Component:  root,
		Properties: properties,
	}
	bom.Metadata.Manufacturer = supplier(s.Creator)
	bom.Metadata.Authors = &[]cdx.OrganizationalContact{{Name: cmp.Or(printable(s.Creator), "Assize")}}
	if !s.Received.IsZero() {
		bom.Metadata.Timestamp = s.Received.UTC().Truncate(time.Second).Format(time.RFC3339)
	}
	bom.Components = listOrNil(components)
	bom.Formulation = r.formulation()
	refs := map[string]string{root.PackageURL: root.BOMRef}
	for i := range components {
		refs[components[i].PackageURL] = components[i].BOMRef
	}
	bom.Vulnerabilities = r.vulnerabilities(refs)
	bom.Dependencies = listOrNil(dependencies)
	bom.Compositions = &compositions
	var out bytes.Buffer
	if f == CycloneDX15 {
		withoutAcknowledgement(root, components)
	}
	encoder := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetEscapeHTML(false)
	var err error
	if bom.SpecVersion = specVersions[f]; f == CycloneDX15 {
		err = encoder.EncodeVersion(bom, bom.SpecVersion)
	} else {
		// Nothing in it is newer than 1.6. The conversion would copy all of
		// it, which costs more than cataloguing a small package.
		bom.JSONSchema = "http://cyclonedx.org/schema/bom-" + bom.SpecVersion.String() + ".schema.json"
		err = encoder.Encode(bom)
	}
	if err != nil {
		return nil, fmt.Errorf("write CycloneDX: %w", err)
	}
	return out.Bytes(), nil
}

// withoutAcknowledgement takes back what CycloneDX 1.5 does not know and the
// library's conversion leaves in expressions.
func withoutAcknowledgement(root *cdx.Component, components []cdx.Component) {
	forget(root.Licenses)
	for i := range components {
		forget(components[i].Licenses)
	}
}

func forget(l *cdx.Licenses) {
	if l != nil {
		for i := range *l {
			(*l)[i].Acknowledgement = nil
		}
	}
}

var specVersions = map[Format]cdx.SpecVersion{
	CycloneDX15: cdx.SpecVersion1_5, CycloneDX16: cdx.SpecVersion1_6, CycloneDX17: cdx.SpecVersion1_7,
}

// properties tell what kept the list short, and what was passed over.
func (r *Result) properties() *[]cdx.Property {
	out := []cdx.Property{{Name: "assize:format", Value: r.Identity.Format}}
	for _, p := range r.Problems {
		out = append(out, cdx.Property{Name: "assize:problem", Value: printable(p.Path + ": " + p.Kind + ": " + p.Detail)})
	}
	for _, i := range r.Imported {
		out = append(out, cdx.Property{Name: "assize:imported", Value: printable(i.String())})
	}
	for _, u := range r.Unevaluated {
		out = append(out, cdx.Property{Name: "assize:unevaluated", Value: printable(u)})
	}
	for _, n := range r.Notes {
		out = append(out, cdx.Property{Name: "assize:unread", Value: printable(n)})
	}
	return &out
}

// root describes the artifact itself.
func (r *Result) root(s Subject) *cdx.Component {
	id := r.Identity
	c := &cdx.Component{
		Type: componentType(id.Format), Name: id.Name, Version: id.Version, Description: id.Description,
		PackageURL: id.PURL, Licenses: licenses(id.Licenses, r.Concluded), Evidence: observed(r.Concluded),
	}
	c.Group, c.Name = group(id.PURL, id.Name)
	if c.Name == "" {
		c.Name = printable(path.Base(s.Filename))
	}
	c.BOMRef = id.PURL
	if c.BOMRef == "" {
		c.BOMRef = "artifact:" + string(s.Digest)
	}
	c.Supplier = supplier(id.Supplier)
	hashes := map[string]string{string(cdx.HashAlgoSHA512): s.SHA512}
	if s.Digest != "" {
		hashes[string(cdx.HashAlgoSHA256)] = s.Digest.Hex()
	}
	c.Hashes = hashList(hashes)
	if s.SHA512 != "" {
		c.ExternalReferences = &[]cdx.ExternalReference{{
			Type: cdx.ERTypeDistribution, URL: url.PathEscape(path.Base(s.Filename)), // relative: where it lies is not known
			Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA512, Value: s.SHA512}},
		}}
	}
	properties := append(fileProperties(s.Filename, id.Format), needProperties(r.Needs)...)
	c.Properties = &properties
	return c
}

// cycloneDX describes one component found in the artifact.
func (c *Component) cycloneDX() cdx.Component {
	out := cdx.Component{
		Type: cdx.ComponentTypeLibrary, Name: c.FullName(), Version: c.Version, PackageURL: c.PURL, BOMRef: c.PURL,
		Licenses: licenses(c.Licenses, c.Concluded), Evidence: observed(c.Concluded), Supplier: supplier(c.Supplier), Hashes: hashList(c.Hashes),
	}
	out.Group, out.Name = group(c.PURL, c.FullName())
	out.Name, out.Version = printable(out.Name), printable(out.Version)
	if out.BOMRef == "" {
		sum := sha256.Sum256([]byte(c.key()))
		out.BOMRef = fmt.Sprintf("unnamed:%x", sum[:16])
	}
	properties := []cdx.Property{{Name: "assize:relation", Value: string(c.Relation)}}
	for _, p := range c.Paths {
		properties = append(properties, cdx.Property{Name: "assize:path", Value: printable(p)})
	}
	if c.Found > len(c.Paths) {
		properties = append(properties, cdx.Property{Name: "assize:found", Value: strconv.Itoa(c.Found)})
	}
	if c.Inferred != "" {
		properties = append(properties, cdx.Property{Name: "assize:inferred", Value: c.Inferred})
	}
	if c.Development {
		out.Scope = cdx.ScopeExcluded
	}
	if c.File != "" {
		properties = append(properties, fileProperties(c.File, c.Format)...)
	}
	properties = append(properties, needProperties(c.Needs)...)
	out.Properties = &properties
	return out
}

// group splits an npm scope or a Maven groupId off a name, as CycloneDX
// wants it; a Go module path stays whole.
func group(purl, name string) (string, string) {
	switch {
	case strings.HasPrefix(purl, "pkg:npm/"):
		if scope, rest, ok := strings.Cut(name, "/"); ok {
			return scope, rest
		}
	case strings.HasPrefix(purl, "pkg:maven/"):
		if g, rest, ok := strings.Cut(name, ":"); ok {
			return g, rest
		}
	}
	return "", name
}

func componentType(format string) cdx.ComponentType {
	switch format {
	case identify.OCI, identify.Docker:
		return cdx.ComponentTypeContainer
	case identify.NPM, identify.Wheel, identify.Egg, identify.Sdist, identify.Crate, identify.Gem, identify.JAR, identify.Nupkg, identify.GoMod:
		return cdx.ComponentTypeLibrary
	case identify.PSPF, identify.Arch, identify.Deb, identify.RPM, identify.APK, identify.WAR, identify.EAR, identify.Android,
		identify.ELF, identify.PE, identify.MachO:
		return cdx.ComponentTypeApplication
	}
	return cdx.ComponentTypeFile
}

// serial is a version 8 UUID (RFC 9562) of the artifact and of the rules it
// was catalogued by.
func serial(d digest.Digest) uuid.UUID {
	sum := sha256.Sum256([]byte("assize sbom " + version + " " + string(d)))
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// printable keeps foreign text fit for a JSON document that people read.
func printable(s string) string {
	const limit = 1024
	s = strings.ToValidUTF8(s, "\uFFFD")
	if i := slices.IndexFunc([]rune(s), func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		s = strings.Trim(strconv.QuoteToGraphic(s), `"`)
	}
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}
