package identify

import (
	"strings"
	"unicode"
	"unicode/utf8"

	purl "github.com/package-url/packageurl-go"
)

// Package is what a piece of metadata says about a package.
type Package struct {
	Type        string // purl type: npm, pypi, deb, ...
	Namespace   string // npm scope with "@", Maven groupId, distribution, leading part of a Go module path
	Name        string
	Version     string
	Qualifiers  map[string]string // of the purl; empty values are left out
	Licenses    []string          // as declared
	Supplier    string
	Description string
	Requires    []Requirement     // what it says it needs, in order
	Provides    []string          // other names under which it is needed
	DependsOn   []string          // purls of the exact packages it says it needs
	Hashes      map[string]string // of its file, as a lock file notes them: hexadecimal, by CycloneDX's names of algorithms
	Development bool              // needed only to build or test
	// NeedsStated says that Requires is all the package needs to run: its
	// metadata has a place for that.
	NeedsStated bool
	// Inferred says from what a part of the name had to be guessed; "" when
	// the metadata states all of it.
	Inferred string
}

// Bounds of what is taken over from metadata, in bytes.
const (
	maxName     = 512
	maxText     = 500
	maxPURL     = 1024 // event.MaxName
	maxLicense  = 200
	maxLicenses = 64
)

// PURL is the canonical package URL (purl-spec 1.0), "" if the metadata has no
// usable name. Two names keep their case although the specification lowers
// them: Go module paths, which are case-sensitive, so that lowering them loses
// advisories, and old npm names.
func (p Package) PURL() string {
	if !usable(p.Name) || (p.Namespace != "" && !usable(p.Namespace)) || (p.Version != "" && !usable(p.Version)) {
		return ""
	}
	if p.Type == purl.TypeMaven && p.Namespace == "" {
		return ""
	}
	qualifiers := map[string]string{}
	for k, v := range p.Qualifiers {
		if usable(v) {
			qualifiers[k] = v
		}
	}
	u := purl.NewPackageURL(p.Type, p.Namespace, p.Name, p.Version, purl.QualifiersFromMap(qualifiers), "")
	if err := u.Normalize(); err != nil {
		return ""
	}
	if p.Type == purl.TypeGolang {
		u.Namespace, u.Name = p.Namespace, p.Name
	}
	s := u.ToString()
	if len(s) > maxPURL {
		return ""
	}
	return s
}

// FullName is the name as the ecosystem's own tools spell it, namespace
// included where it is part of the name.
func (p Package) FullName() string {
	if p.Namespace == "" {
		return p.Name
	}
	switch p.Type {
	case purl.TypeNPM, purl.TypeGolang:
		return p.Namespace + "/" + p.Name
	case purl.TypeMaven:
		return p.Namespace + ":" + p.Name
	}
	return p.Name
}

// Printable bounds the texts of p and takes control characters out of them.
// Names and versions stay as they are: a cleaned one might be another's.
func (p Package) Printable() Package {
	p.Licenses, p.Supplier, p.Description = cleanAll(p.Licenses), clean(p.Supplier, maxText), clean(p.Description, maxText)
	return p
}

// withQualifier sets a purl qualifier, unless value is empty.
func (p Package) withQualifier(key, value string) Package {
	if value == "" {
		return p
	}
	q := map[string]string{key: value}
	for k, v := range p.Qualifiers {
		if k != key {
			q[k] = v
		}
	}
	p.Qualifiers = q
	return p
}

// usable refuses what no package manager would take for a name or version.
func usable(s string) bool {
	if s == "" || len(s) > maxName || !utf8.ValidString(s) || strings.TrimSpace(s) != s {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return !strings.Contains(s, "${") // a build placeholder nobody filled in
}

// clean makes one printable line of at most limit bytes.
func clean(s string, limit int) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > limit {
		s = s[:limit]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return strings.TrimSpace(s)
}

func cleanAll(all []string) []string {
	var out []string
	for _, s := range all {
		if s = clean(s, maxLicense); s != "" && len(out) < maxLicenses {
			out = append(out, s)
		}
	}
	return out
}
