package trust

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"assize.dev/shared/pattern"
)

// scope says which artifacts an entry of a trust file is about. Empty lists
// mean "all".
type scope struct {
	registries []string
	packages   []string
}

// newScope checks the patterns of an entry: one that could not match would
// trust less, or deny less, than was meant.
func newScope(registries, packages []string) (scope, error) {
	if err := errors.Join(listed("registries", registries), listed("packages", packages)); err != nil {
		return scope{}, err
	}
	for _, p := range packages {
		if !purlPattern.MatchString(p) {
			return scope{}, fmt.Errorf("packages: %.200q: want a package URL with a lower-case type and percent-encoded text, such as pkg:npm/%%40example/*", p)
		}
		if at := strings.IndexByte(p, '@'); at >= 0 && at < strings.LastIndexByte(p, '/') {
			return scope{}, fmt.Errorf("packages: %.200q: an @ that begins no version is written %%40", p)
		}
	}
	return scope{registries, packages}, nil
}

// purlPattern is what a canonical package URL without qualifiers is made of
// (purl specification, "Rules for each purl component"), and stars.
var purlPattern = regexp.MustCompile(`^pkg:[a-z0-9.+*-]+(/[A-Za-z0-9.\-_~%:+*@]+)*$`)

// listed checks a list of patterns. One that is there and empty would match
// everything, which nobody means by it.
func listed(key string, patterns []string) error {
	if patterns != nil && len(patterns) == 0 {
		return fmt.Errorf("%s: the list is empty: leave the key out to mean all", key)
	}
	for _, p := range patterns {
		if err := pattern.Check(p); err != nil {
			return fmt.Errorf("%s: %.200q %w", key, p, err)
		}
	}
	return nil
}

// Artifact is what scopes are held against: the registry it is from, and what
// the bytes and whoever announced them say it is.
type Artifact struct {
	Registry string
	// PURLs are package URLs, none if nobody names a package. A registry and
	// the bytes may name different ones.
	PURLs []string
}

// NewArtifact leaves out package URLs that are empty.
func NewArtifact(registry string, purls ...string) Artifact {
	a := Artifact{Registry: registry}
	for _, p := range purls {
		if p != "" && !slices.Contains(a.PURLs, p) {
			a.PURLs = append(a.PURLs, p)
		}
	}
	return a
}

// trusts tells whether an entry that trusts covers an artifact: all its names
// must be covered, so that nobody is trusted for what the bytes or the
// registry alone say. One that names no package is covered only where
// packages do not matter.
func (s scope) trusts(a Artifact) bool {
	if !s.from(a.Registry) {
		return false
	}
	if len(s.packages) == 0 {
		return true
	}
	for _, purl := range a.PURLs {
		if !anyNames(s.packages, purl) {
			return false
		}
	}
	return len(a.PURLs) > 0
}

// restricts tells whether an entry that denies or demands covers an artifact:
// one of its names is enough, so that the bytes cannot talk themselves out.
func (s scope) restricts(a Artifact) bool {
	return s.from(a.Registry) && (len(s.packages) == 0 ||
		slices.ContainsFunc(a.PURLs, func(purl string) bool { return anyNames(s.packages, purl) }))
}

func (s scope) from(registry string) bool {
	return len(s.registries) == 0 || pattern.MatchAny(s.registries, registry)
}

// anyNames holds a package URL against patterns. Qualifiers and subpath do
// not matter; the version does only where the pattern has one.
func anyNames(patterns []string, purl string) bool {
	purl, _, _ = strings.Cut(purl, "#")
	purl, _, _ = strings.Cut(purl, "?")
	name := purl
	if at := versionAt(purl); at > 0 {
		name = purl[:at]
	}
	for _, p := range patterns {
		text := name
		if versionAt(p) > 0 {
			text = purl
		}
		if text != "" && pattern.Match(p, text) {
			return true
		}
	}
	return false
}

// versionAt is where "@version" begins, 0 if there is none. An "@" of a
// namespace is percent-encoded in a canonical package URL.
func versionAt(purl string) int {
	at := strings.LastIndexByte(purl, '@')
	if at < strings.LastIndexByte(purl, '/') {
		return 0
	}
	return max(at, 0)
}
