package policy

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"assize.dev/shared/version"
)

// packagePattern is which packages a setting is about: a package URL without
// qualifiers, in whose namespace and name * stands for any text without a
// slash, and the versions of them.
type packagePattern struct {
	typ, name string // name with its namespace, unescaped
	versions  []constraint
}

// constraint is one bound of a version: an operator and what it compares with.
type constraint struct{ op, version string }

var operators = []string{">=", "<=", "!=", ">", "<", "="}

// parsePattern reads a pattern. versions are constraints that all have to hold,
// separated by commas (">=1.0, <2.0"); none means every version. Operators are
// =, !=, <, <=, >, >=; versions are ordered as the ecosystem of the type does.
func parsePattern(purl, versions string) (packagePattern, error) {
	u, ok := splitPURL(purl)
	if !ok || strings.ContainsAny(purl, "?#") {
		return packagePattern{}, fmt.Errorf("package: %.100q: want a package URL without qualifiers, as in pkg:npm/lodash or pkg:npm/@corp/*", purl)
	}
	if _, err := path.Match(u.name, ""); err != nil {
		return packagePattern{}, fmt.Errorf("package: %.100q: %w", purl, err)
	}
	p := packagePattern{typ: u.typ, name: u.name}
	if u.version != "" {
		p.versions = append(p.versions, constraint{"=", u.version})
	}
	if strings.TrimSpace(versions) == "" {
		return p, nil
	}
	for part := range strings.SplitSeq(versions, ",") {
		part = strings.TrimSpace(part)
		c := constraint{}
		for _, op := range operators {
			if rest, ok := strings.CutPrefix(part, op); ok {
				c = constraint{op, strings.TrimSpace(rest)}
				break
			}
		}
		if c.version == "" {
			return packagePattern{}, fmt.Errorf("versions: %.60q: want an operator (=, !=, <, <=, >, >=) and a version, as in \">=1.0, <2.0\"", part)
		}
		if scheme := schemeOf(u.typ); scheme != nil {
			if err := scheme.Valid(c.version); err != nil {
				return packagePattern{}, fmt.Errorf("versions: %.60q: %w", c.version, err)
			}
		} else if c.op != "=" && c.op != "!=" {
			return packagePattern{}, fmt.Errorf("versions: %.60q: the order of versions of type %s is not known: want = or !=", part, u.typ)
		}
		p.versions = append(p.versions, c)
	}
	return p, nil
}

// Answers to whether a package is one of a pattern.
const (
	matches  = "yes"
	differs  = "no"
	unlikely = "unknown" // the name matches, the version cannot be compared
)

// match tells whether a package URL is of the pattern. One that is none, or
// names no version where versions are asked for, is unknown rather than not.
func (p *packagePattern) match(purl string) string {
	u, ok := splitPURL(purl)
	if !ok {
		return differs
	}
	if u.typ != p.typ {
		return differs
	}
	if yes, err := path.Match(p.name, u.name); err != nil || !yes {
		return differs
	}
	answer := matches
	for _, c := range p.versions {
		switch c.holds(u.typ, u.version) {
		case differs:
			return differs
		case unlikely:
			answer = unlikely
		}
	}
	return answer
}

func (c constraint) holds(typ, v string) string {
	if v == "" {
		return unlikely
	}
	scheme := schemeOf(typ)
	if scheme == nil || v == c.version {
		return yesNo((v == c.version) == (c.op == "=" || scheme != nil && strings.Contains(c.op, "=") && c.op != "!="))
	}
	order, err := scheme.Compare(v, c.version)
	if err != nil {
		if c.op == "=" || c.op == "!=" {
			return yesNo(c.op == "!=") // the texts differ
		}
		return unlikely
	}
	switch c.op {
	case "=":
		return yesNo(order == 0)
	case "!=":
		return yesNo(order != 0)
	case "<":
		return yesNo(order < 0)
	case "<=":
		return yesNo(order <= 0)
	case ">":
		return yesNo(order > 0)
	}
	return yesNo(order >= 0)
}

func yesNo(yes bool) string {
	if yes {
		return matches
	}
	return differs
}

// purl is as much of a package URL as patterns ask for.
type purl struct{ typ, name, version string }

// splitPURL reads type, namespace with name, and version (package-url
// specification, "How to parse a purl string"). Types that are written in any
// case, and names of types whose registries know no case, become lower case.
func splitPURL(text string) (purl, bool) {
	rest, ok := strings.CutPrefix(text, "pkg:")
	if !ok {
		return purl{}, false
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	typ, rest, ok := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	if !ok || typ == "" {
		return purl{}, false
	}
	name, v := rest, ""
	if at := strings.LastIndexByte(rest, '@'); at > 0 && !strings.Contains(rest[at:], "/") {
		name, v = rest[:at], rest[at+1:]
	}
	u := purl{typ: strings.ToLower(typ), name: unescaped(strings.Trim(name, "/")), version: unescaped(v)}
	switch u.typ {
	case "alpm", "apk", "bitbucket", "composer", "deb", "github", "npm":
		u.name = strings.ToLower(u.name)
	case "pypi":
		u.name = strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(u.name))
	}
	return u, u.name != ""
}

func unescaped(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}

// schemeOf is how packages of a type order their versions, nil if that is not
// known.
func schemeOf(typ string) *version.Scheme {
	s, err := version.SchemeOf(ecosystems[typ])
	if err != nil {
		return nil
	}
	return s
}

// ecosystems by purl type. Distributions of one type order alike.
var ecosystems = map[string]string{
	"alpm": version.Arch, "apk": "Alpine", "bitnami": "Bitnami", "cargo": "crates.io", "composer": "Packagist",
	"conan": "ConanCenter", "cran": "CRAN", "deb": "Debian", "gem": "RubyGems", "golang": "Go", "hackage": "Hackage",
	"hex": "Hex", "julia": "Julia", "maven": "Maven", "npm": "npm", "nuget": "NuGet", "opam": "opam", "pub": "Pub",
	"pypi": "PyPI", "rpm": "Red Hat", "swift": "SwiftURL",
}
