package sbom

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	packageurl "github.com/package-url/packageurl-go"

	"assize.dev/shared/identify"
)

// Imported is an SBOM that somebody else made of the artifact.
type Imported struct {
	Where   string // location in the artifact, or the name of a file beside it
	Format  string // see Listing
	Listed  int    // components
	Only    int    // of these, what nothing but SBOMs lists
	Unnamed int    // of these, what has no package URL and is left out
	// Lacks are components found in the artifact that it does not list,
	// where it is about the artifact as a whole.
	Lacks int

	listing *Listing
	whole   bool
}

// Bounds of the SBOMs of one artifact.
const (
	maxImported        = 50
	maxImportedBytes   = 8 << 20
	maxImportedObjects = 100_000 // see maxObjects
)

// Beside is an SBOM that came with an artifact.
type Beside struct {
	Name     string // of the file
	Document []byte
}

// besideName stands for the container of such a document.
const besideName = "\x00beside"

// errElsewhere is about SBOMs of something else: test data, mostly.
var errElsewhere = errors.New("an SBOM of something other than the artifact, at no place where one of its parts would have it")

// isSBOM tells by the name, as the formats' own documents advise.
func isSBOM(e *entry) bool {
	base := strings.ToLower(path.Base(e.Path))
	switch base {
	case "bom.json", "sbom.json", "manifest.spdx.json":
		return true
	}
	for _, end := range []string{".cdx.json", ".spdx.json", ".cyclonedx.json", ".sbom.json"} {
		if strings.HasSuffix(base, end) {
			return true
		}
	}
	return strings.HasPrefix(base, ".spdx-") && strings.HasSuffix(base, ".spdx")
}

// installedSBOM tells the places where tools put the SBOM of what lies there:
// PEP 770, Maven's and Gradle's plug-ins, Microsoft's tool, images whose
// makers add one for each program.
func installedSBOM(name string) bool {
	dir := "/" + path.Dir(name)
	switch {
	case strings.HasSuffix(path.Dir(dir), ".dist-info") && path.Base(dir) == "sboms",
		strings.HasSuffix(dir, "/META-INF/sbom"), strings.Contains(dir, "/_manifest/"),
		strings.HasSuffix(dir, "/usr/share/sbom"), strings.HasPrefix(path.Base(name), ".spdx-"),
		strings.HasSuffix(dir, "/var/lib/db/sbom"):
		return true
	}
	return false
}

// take merges an SBOM: what it lists counts as stated.
func (c *cataloguer) take(e *entry, document []byte) error {
	if n := bytes.Count(document, []byte("{")); n > maxImportedObjects || len(document) > maxImportedBytes {
		return &misplaced{fmt.Errorf("an SBOM of %d bytes and %d objects; at most %d and %d are merged", len(document), n, maxImportedBytes, maxImportedObjects)}
	}
	l, err := Read(document)
	if err != nil {
		return &misplaced{err}
	}
	whole := ofArtifact(l.Subject, c.root)
	if !whole && !installedSBOM(e.Path) && e.Name != besideName {
		return &misplaced{errElsewhere}
	}
	if len(c.result.Imported) == maxImported {
		return &misplaced{errors.New("one SBOM more than are read of an artifact")}
	}
	one := Imported{Where: e.Location(), Format: l.Format, Listed: len(l.Parts), listing: l, whole: whole || e.Name == besideName}
	for _, part := range l.Parts {
		p, ok := part.asPackage()
		if !ok {
			one.Unnamed++
			continue
		}
		c.found(e, p)
	}
	c.result.Imported = append(c.result.Imported, one)
	return nil
}

// asPackage reads the package URL of a component in a foreign SBOM.
func (l Listed) asPackage() (identify.Package, bool) {
	u, err := packageurl.FromString(l.PURL)
	if err != nil {
		return identify.Package{}, false
	}
	p := identify.Package{Type: u.Type, Namespace: u.Namespace, Name: u.Name, Version: u.Version, Qualifiers: u.Qualifiers.Map()}
	if l.Licenses != "" {
		p.Licenses = []string{l.Licenses}
	}
	return p, p.PURL() != ""
}

// ofArtifact tells whether a document says that it is about the artifact.
func ofArtifact(subject Listed, id identify.Identity) bool {
	if subject.PURL != "" && id.PURL != "" {
		if named := bare(subject.PURL); named != versionless(subject.PURL) {
			return named == bare(id.PURL)
		}
		return versionless(subject.PURL) == versionless(id.PURL) && cmp.Or(subject.Version, id.Version) == id.Version
	}
	return subject.Name != "" && strings.EqualFold(subject.Name, id.Name) && cmp.Or(subject.Version, id.Version) == id.Version
}

// compareImported counts what only SBOMs list, and what they do not.
func (r *Result) compareImported() {
	stated := map[string]bool{}
	for i := range r.Components {
		if c := &r.Components[i]; c.Relation == Stated {
			stated[bare(c.PURL)] = true
		}
	}
	for i := range r.Imported {
		one := &r.Imported[i]
		lists := map[string]bool{}
		for _, part := range one.listing.Parts {
			lists[bare(part.PURL)] = true
		}
		for purl := range lists {
			if p, ok := (Listed{PURL: purl}).asPackage(); ok && stated[bare(p.PURL())] {
				one.Only++
			}
		}
		if one.whole {
			for j := range r.Components {
				if c := &r.Components[j]; c.Relation != Stated && c.PURL != "" && !lists[bare(c.PURL)] {
					one.Lacks++
				}
			}
		}
		one.listing = nil
	}
	slices.SortFunc(r.Imported, func(a, b Imported) int { return cmp.Compare(a.Where, b.Where) })
}

// String tells of one for people.
func (i Imported) String() string {
	s := fmt.Sprintf("%s: %s, %d listed, %d by SBOMs alone", i.Where, i.Format, i.Listed, i.Only)
	if i.Unnamed > 0 {
		s += fmt.Sprintf(", %d without a package URL left out", i.Unnamed)
	}
	if i.Lacks > 0 {
		s += fmt.Sprintf("; it lacks %d that are there", i.Lacks)
	}
	return s
}
