// Package purl reads package URLs, and says to which ecosystem a package belongs,
// in the words of the OSV schema, and which of its names are the same there.
package purl

import (
	"fmt"
	"net/url"
	"strings"

	"assize.dev/shared/version"
)

// PURL is a package URL taken apart, unescaped and with its spelling kept but
// for the type: the purl libraries lower-case Go paths, which advisories do not.
type PURL struct {
	Type, Namespace, Name, Version string
	Qualifiers                     map[string]string
}

// maxPURL is the length of the longest package URL, in bytes.
const maxPURL = 4096

// Parse reads a package URL (package-url specification, "How to parse a purl
// string"). Where the "@" of an npm scope is not escaped it is read all the same.
func Parse(s string) (PURL, error) {
	var u PURL
	bad := func(why string) (PURL, error) { return PURL{}, fmt.Errorf("no package URL: %.200q: %s", s, why) }
	rest, ok := strings.CutPrefix(s, "pkg:")
	if !ok || len(s) > maxPURL {
		return bad("want pkg:type/name of at most 4096 bytes")
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	u.Qualifiers = make(map[string]string)
	for q := range strings.SplitSeq(query, "&") {
		k, v, _ := strings.Cut(q, "=")
		v, err := url.PathUnescape(v)
		if err != nil {
			return bad(err.Error())
		}
		if k != "" {
			u.Qualifiers[strings.ToLower(k)] = v
		}
	}
	typ, path, ok := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	if !ok || typ == "" {
		return bad("no type")
	}
	u.Type = strings.ToLower(typ)
	path = strings.Trim(path, "/")
	// A scope's "@" ought to be escaped; where it is not, it starts a
	// segment, while a version's never does.
	if i := strings.LastIndexByte(path, '@'); i > 0 && path[i-1] != '/' {
		var err error
		if u.Version, err = url.PathUnescape(path[i+1:]); err != nil {
			return bad(err.Error())
		}
		path = path[:i]
	}
	path, err := url.PathUnescape(path)
	if err != nil {
		return bad(err.Error())
	}
	u.Name = path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		u.Namespace, u.Name = path[:i], path[i+1:]
	}
	if u.Name == "" {
		return bad("no name")
	}
	return u, nil
}

// ecosystems maps purl types whose advisories need nothing but name and
// version (purl-spec, types; OSV schema, defined ecosystems).
var ecosystems = map[string]string{
	"pypi": "PyPI", "npm": "npm", "golang": "Go", "cargo": "crates.io", "maven": "Maven", "gem": "RubyGems",
	"nuget": "NuGet", "composer": "Packagist", "hex": "Hex", "pub": "Pub", "bitnami": "Bitnami", "cran": "CRAN",
	"julia": "Julia", "hackage": "Hackage", "opam": "opam", "swift": "SwiftURL", "conan": "ConanCenter",
	"bioconductor": "Bioconductor", "githubactions": "GitHub Actions", "vscode-extension": "VSCode",
}

// distributions maps purl type and namespace to ecosystems that need the
// release as well.
var distributions = map[string]string{
	"deb/debian": "Debian", "deb/ubuntu": "Ubuntu",
	"apk/alpine": "Alpine", "apk/wolfi": "Wolfi", "apk/chainguard": "Chainguard", "apk/minimos": "MinimOS",
	"rpm/almalinux": "AlmaLinux", "rpm/alma": "AlmaLinux", "rpm/rocky": "Rocky Linux", "rpm/rockylinux": "Rocky Linux",
	"rpm/redhat": "Red Hat", "rpm/rhel": "Red Hat", "rpm/suse": "SUSE", "rpm/opensuse": "openSUSE",
	"rpm/openeuler": "openEuler", "rpm/mageia": "Mageia", "rpm/azurelinux": "Azure Linux",
	"alpm/arch": version.Arch, "alpm/archlinux": version.Arch,
}

// Ecosystem is the base ecosystem ("Debian", not "Debian:12") that a package
// belongs to; distribution tells that its packages are of one release each.
// The ecosystem is "" if the type, or the namespace of a distribution, is none
// that publishes advisories.
func (u *PURL) Ecosystem() (ecosystem string, distribution bool) {
	if e, ok := ecosystems[u.Type]; ok {
		return e, false
	}
	return distributions[u.Type+"/"+strings.ToLower(u.Namespace)], true
}

// FullName is the name with its namespace.
func (u *PURL) FullName() string {
	if u.Namespace == "" {
		return u.Name
	}
	return u.Namespace + "/" + u.Name
}

// Ecosystems are all base ecosystems that package URLs lead to.
func Ecosystems() map[string]bool {
	all := map[string]bool{}
	for _, of := range []map[string]string{ecosystems, distributions} {
		for _, name := range of {
			all[name] = true
		}
	}
	return all
}

// NormaliseName makes the spellings of a package's name that its ecosystem
// treats as one the same: PEP 503 for PyPI, case-blind for NuGet, Packagist
// and Hex. Go paths are folded too, because the purl specification lower-
// cases them in SBOMs; who matches compares the case where it is known.
func NormaliseName(ecosystem, name string) string {
	switch ecosystem {
	case "PyPI":
		return pep503(name)
	case "NuGet", "Packagist", "Hex", "Go", "Bitnami", "GitHub Actions", "SwiftURL", "VSCode":
		return strings.ToLower(name)
	}
	return name
}

func pep503(name string) string {
	var b strings.Builder
	dash := false
	for _, c := range []byte(strings.ToLower(name)) {
		if c == '-' || c == '_' || c == '.' {
			dash = true
			continue
		}
		if dash {
			b.WriteByte('-')
			dash = false
		}
		b.WriteByte(c)
	}
	if dash {
		b.WriteByte('-')
	}
	return b.String()
}
