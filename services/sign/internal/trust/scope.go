package trust

import (
	"fmt"
	"slices"
	"strings"

	"assize.dev/services/sign/internal/pattern"
)

// scope says which artifacts an entry of a trust file is about. Empty lists
// mean "all".
type scope struct {
	registries []string
	packages   []string
}

// newScope checks the patterns of an entry.
func newScope(registries, packages []string) (scope, error) {
	for _, r := range registries {
		if err := pattern.Check(r); err != nil {
			return scope{}, fmt.Errorf("registries: %.200q %w", r, err)
		}
	}
	for _, p := range packages {
		if err := pattern.Check(p); err != nil {
			return scope{}, fmt.Errorf("packages: %.200q %w", p, err)
		}
		if !strings.HasPrefix(p, "pkg:") {
			return scope{}, fmt.Errorf("packages: %.200q: want a package URL, such as pkg:npm/%%40example/*", p)
		}
	}
	return scope{registries, packages}, nil
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
