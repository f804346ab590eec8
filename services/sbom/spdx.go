package sbom

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"assize.dev/services/sbom/internal/license"
)

const noAssertion = "NOASSERTION"

// spdx writes the result as SPDX 2.3. Licences that are no expression become
// LicenseRefs with the words of the package as their text.
func (r *Result) spdx(s Subject) ([]byte, error) {
	refs := licenseRefs{}
	root := r.spdxRoot(s, refs)
	created := s.Received.UTC().Truncate(time.Second)
	if s.Received.IsZero() {
		created = time.Unix(0, 0).UTC() // SPDX demands a time
	}
	doc := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName:      root.PackageName,
		DocumentNamespace: "https://assize.dev/spdx/" + serial(s.Digest).String(),
		CreationInfo: &spdx.CreationInfo{
			Created:  created.Format(time.RFC3339),
			Creators: creators(s.Creator),
		},
		Packages:      []*spdx.Package{root},
		Relationships: []*spdx.Relationship{relation("DOCUMENT", common.TypeRelationshipDescribe, root.PackageSPDXIdentifier)},
	}
	for i := range r.Components {
		c := &r.Components[i]
		p := c.spdx(refs)
		doc.Packages = append(doc.Packages, p)
		kind := common.TypeRelationshipContains
		switch c.Relation {
		case Requires:
			kind = common.TypeRelationshipDependsOn
		case Locked:
			kind = common.TypeRelationshipOther
		}
		r := relation(root.PackageSPDXIdentifier, kind, p.PackageSPDXIdentifier)
		switch c.Relation {
		case Locked:
			r.RelationshipComment = "a lock file in the artifact names it"
		case Stated:
			r.RelationshipComment = "an SBOM in or beside the artifact says so, and nothing else does"
		}
		doc.Relationships = append(doc.Relationships, r)
	}
	element := func(i int) common.ElementID { return doc.Packages[1+i].PackageSPDXIdentifier }
	for i := range r.Components {
		for _, on := range r.Components[i].Needs.Met {
			doc.Relationships = append(doc.Relationships, relation(element(i), common.TypeRelationshipDependsOn, element(on)))
		}
	}
	for _, on := range r.Needs.Met {
		if r.Components[on].Relation != Requires { // those are related already
			doc.Relationships = append(doc.Relationships, relation(root.PackageSPDXIdentifier, common.TypeRelationshipDependsOn, element(on)))
		}
	}
	// Whether the list of what the artifact holds is complete (SPDX 2.3, 11.1).
	rest := common.MakeDocElementSpecial("NONE")
	if !r.Complete() {
		rest = common.MakeDocElementSpecial("NOASSERTION")
	}
	doc.Relationships = append(doc.Relationships, &spdx.Relationship{
		RefA: common.MakeDocElementID("", string(root.PackageSPDXIdentifier)), RefB: rest, Relationship: common.TypeRelationshipContains,
		RelationshipComment: "Whether there is more than what is listed: NONE if everything was looked at.",
	})
	for _, p := range *r.properties() {
		doc.Annotations = append(doc.Annotations, &spdx.Annotation{
			Annotator: common.Annotator{AnnotatorType: "Tool", Annotator: "assize-sbom-" + version}, AnnotationDate: created.Format(time.RFC3339),
			AnnotationType: "OTHER", AnnotationSPDXIdentifier: common.MakeDocElementID("", "DOCUMENT"), AnnotationComment: p.Name + ": " + p.Value,
		})
	}
	elements := map[string]common.ElementID{r.Identity.PURL: root.PackageSPDXIdentifier}
	for i := range r.Components {
		elements[r.Components[i].PURL] = element(i)
	}
	doc.Annotations = append(doc.Annotations, r.spdxVulnerabilities(elements, created.Format(time.RFC3339))...)
	doc.OtherLicenses = refs.all()
	var out bytes.Buffer
	if err := spdxjson.Write(doc, &out, spdxjson.EscapeHTML(false)); err != nil {
		return nil, fmt.Errorf("SPDX: %w", err)
	}
	return out.Bytes(), nil
}

func creators(said string) []common.Creator {
	all := []common.Creator{{CreatorType: "Tool", Creator: "assize-sbom-" + version}}
	if said != "" {
		all = append(all, common.Creator{CreatorType: "Organization", Creator: said})
	}
	return all
}

func relation(a common.ElementID, kind string, b common.ElementID) *spdx.Relationship {
	return &spdx.Relationship{RefA: common.MakeDocElementID("", string(a)), RefB: common.MakeDocElementID("", string(b)), Relationship: kind}
}

func (r *Result) spdxRoot(s Subject, refs licenseRefs) *spdx.Package {
	id := r.Identity
	p := newPackage("Artifact", cmp.Or(id.Name, printable(path.Base(s.Filename)), "artifact"), id.Version, id.PURL)
	p.PackageFileName = printable(path.Base(s.Filename))
	p.PackageDescription = id.Description
	p.PackageLicenseDeclared, p.PackageLicenseConcluded = refs.of(id.Licenses), cmp.Or(r.Concluded, noAssertion)
	p.PrimaryPackagePurpose = purpose(componentType(id.Format))
	if id.Supplier != "" {
		p.PackageSupplier = &common.Supplier{SupplierType: "Organization", Supplier: id.Supplier}
	}
	if s.Digest != "" {
		p.PackageChecksums = append(p.PackageChecksums, common.Checksum{Algorithm: common.SHA256, Value: s.Digest.Hex()})
	}
	if s.SHA512 != "" {
		p.PackageChecksums = append(p.PackageChecksums, common.Checksum{Algorithm: common.SHA512, Value: s.SHA512})
	}
	return p
}

func (c *Component) spdx(refs licenseRefs) *spdx.Package {
	sum := sha256.Sum256([]byte(c.key()))
	p := newPackage(fmt.Sprintf("Package-%x", sum[:12]), printable(c.FullName()), printable(c.Version), c.PURL)
	p.PackageLicenseDeclared, p.PackageLicenseConcluded = refs.of(c.Licenses), cmp.Or(c.Concluded, noAssertion)
	p.PrimaryPackagePurpose = "LIBRARY"
	if c.Supplier != "" {
		p.PackageSupplier = &common.Supplier{SupplierType: "Organization", Supplier: c.Supplier}
	}
	found := make([]string, 0, len(c.Paths))
	for _, at := range c.Paths {
		found = append(found, printable(at))
	}
	p.PackageSourceInfo = "found at " + strings.Join(found, ", ")
	if c.Found > len(c.Paths) {
		p.PackageSourceInfo += fmt.Sprintf(" and %d other places", c.Found-len(c.Paths))
	}
	var comments []string
	if c.Inferred != "" {
		comments = append(comments, "part of the name was inferred: "+printable(c.Inferred))
	}
	if len(c.Needs.Missing) > 0 {
		comments = append(comments, "needs, and the artifact does not hold: "+printable(strings.Join(c.Needs.Missing, ", ")))
	}
	p.PackageComment = strings.Join(comments, "; ")
	for _, algorithm := range slices.Sorted(maps.Keys(c.Hashes)) {
		if known := spdxAlgorithms[algorithm]; known != "" {
			p.PackageChecksums = append(p.PackageChecksums, common.Checksum{Algorithm: known, Value: c.Hashes[algorithm]})
		}
	}
	return p
}

var spdxAlgorithms = map[string]common.ChecksumAlgorithm{
	"MD5": common.MD5, "SHA-1": common.SHA1, "SHA-256": common.SHA256, "SHA-384": common.SHA384, "SHA-512": common.SHA512,
}

func newPackage(id, name, version, purl string) *spdx.Package {
	p := &spdx.Package{
		PackageSPDXIdentifier: common.ElementID(id), PackageName: name, PackageVersion: version,
		PackageDownloadLocation: noAssertion, PackageCopyrightText: noAssertion,
	}
	if purl != "" {
		p.PackageExternalReferences = []*spdx.PackageExternalReference{{Category: "PACKAGE-MANAGER", RefType: "purl", Locator: purl}}
	}
	return p
}

func purpose(t cdx.ComponentType) string {
	switch t {
	case cdx.ComponentTypeContainer:
		return "CONTAINER"
	case cdx.ComponentTypeLibrary:
		return "LIBRARY"
	case cdx.ComponentTypeApplication:
		return "APPLICATION"
	}
	return "FILE"
}

// licenseRefs names the licences that SPDX has no identifier for, by a digest
// of their words.
type licenseRefs map[string]string

// of is the expression of what a package declares.
func (l licenseRefs) of(declared []string) string {
	if len(declared) == 0 {
		return noAssertion
	}
	expression, rest := license.Any(declared)
	parts := []string{}
	if expression != "" {
		if strings.Contains(expression, " OR ") && len(rest) > 0 {
			expression = "(" + expression + ")"
		}
		parts = append(parts, expression)
	}
	for _, words := range rest {
		sum := sha256.Sum256([]byte(words))
		ref := fmt.Sprintf("LicenseRef-%x", sum[:8])
		l[ref] = words
		if !slices.Contains(parts, ref) {
			parts = append(parts, ref)
		}
	}
	return strings.Join(parts, " AND ")
}

func (l licenseRefs) all() []*spdx.OtherLicense {
	var out []*spdx.OtherLicense
	for ref, words := range l {
		out = append(out, &spdx.OtherLicense{LicenseIdentifier: ref, ExtractedText: words, LicenseName: words})
	}
	slices.SortFunc(out, func(a, b *spdx.OtherLicense) int { return cmp.Compare(a.LicenseIdentifier, b.LicenseIdentifier) })
	return out
}
