package policy

import (
	"fmt"
	"strings"

	"assize.dev/shared/pattern"
	"assize.dev/shared/purl"
	"assize.dev/shared/version"
)

// packagePattern is which packages a setting is about: a package URL without
// qualifiers, whose namespace and name are a pattern (see package pattern: *
// is any text without a slash, ** any text), and the versions of them.
type packagePattern struct {
	typ, name string // name with its namespace, as canonicalName spells it
	versions  []constraint
}

// constraint is one bound of a version: an operator and what it compares with.
type constraint struct{ op, version string }

var operators = []string{">=", "<=", "!=", ">", "<", "="}

// parsePattern reads a pattern. versions are constraints that all have to hold,
// separated by commas (">=1.0, <2.0"); none means every version. Operators are
// =, !=, <, <=, >, >=; versions are ordered as the ecosystem of the type does.
func parsePattern(text, versions string) (packagePattern, error) {
	u, err := purl.Parse(text)
	if err != nil || strings.ContainsAny(text, "?#") {
		return packagePattern{}, fmt.Errorf("package: %.100q: want a package URL without qualifiers, as in pkg:npm/lodash or pkg:npm/@corp/*", text)
	}
	scheme := schemeOf(&u)
	p := packagePattern{typ: u.Type, name: canonicalName(&u)}
	if u.Version != "" {
		p.versions = append(p.versions, constraint{"=", u.Version})
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
		if scheme != nil {
			if err := scheme.Valid(c.version); err != nil {
				return packagePattern{}, fmt.Errorf("versions: %.60q: %w", c.version, err)
			}
		} else if c.op != "=" && c.op != "!=" {
			return packagePattern{}, fmt.Errorf("versions: %.60q: the order of versions of type %s is not known: want = or !=", part, u.Type)
		}
		p.versions = append(p.versions, c)
	}
	return p, nil
}

// Answers to whether a package is one of a pattern.
const (
	matches = "yes"
	differs = "no"
	unknown = "unknown" // the name matches, the version cannot be compared
)

// candidate is a package that is held against patterns.
type candidate struct {
	purl.PURL
	name    string // as canonicalName spells it
	version string // with the epoch
	scheme  *version.Scheme
}

// newCandidate is not ok for what is no package URL, which is of no pattern.
func newCandidate(text string) (c candidate, ok bool) {
	u, err := purl.Parse(text)
	if err != nil {
		return c, false
	}
	c = candidate{PURL: u, name: canonicalName(&u), version: u.Version, scheme: schemeOf(&u)}
	if e := u.Qualifiers["epoch"]; e != "" && u.Type != "apk" && !strings.Contains(c.version, ":") {
		c.version = e + ":" + c.version
	}
	return c, true
}

// match tells whether a package is of the pattern. One that names no version
// where versions are asked for is unknown rather than not.
func (p *packagePattern) match(c *candidate) string {
	if c.Type != p.typ || !pattern.Match(p.name, c.name) {
		return differs
	}
	answer := matches
	for _, bound := range p.versions {
		switch bound.holds(c) {
		case differs:
			return differs
		case unknown:
			answer = unknown
		}
	}
	return answer
}

func (b constraint) holds(c *candidate) string {
	if c.version == "" {
		return unknown
	}
	order, comparable := 0, true
	if c.version != b.version {
		order, comparable = 1, false
		if c.scheme != nil {
			o, err := c.scheme.Compare(c.version, b.version)
			if err == nil {
				order, comparable = o, true
			}
		}
	}
	switch b.op {
	case "=":
		return yesNo(order == 0) // what cannot be compared is another text
	case "!=":
		return yesNo(order != 0)
	}
	if !comparable {
		return unknown
	}
	switch b.op {
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

// canonicalName spells a name, with its namespace, as its ecosystem compares
// it, and in lower case where the purl specification wants that.
func canonicalName(u *purl.PURL) string {
	eco, _ := u.Ecosystem()
	name := purl.NormaliseName(eco, u.FullName())
	switch u.Type {
	case "alpm", "apk", "bitbucket", "deb", "github", "npm":
		return strings.ToLower(name)
	}
	return name
}

// schemeOf is how packages order their versions, nil if that is not known.
// Distributions of one type order alike, known ones or not.
func schemeOf(u *purl.PURL) *version.Scheme {
	eco, _ := u.Ecosystem()
	if eco == "" {
		eco = map[string]string{"alpm": version.Arch, "apk": "Alpine", "deb": "Debian", "rpm": "Red Hat"}[u.Type]
	}
	s, err := version.SchemeOf(eco)
	if err != nil {
		return nil
	}
	return s
}
