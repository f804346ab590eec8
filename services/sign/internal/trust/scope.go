package trust

import (
	"fmt"
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

// includes tells whether the scope covers an artifact. One that names no
// package is covered only where packages do not matter.
func (s scope) includes(registry, purl string) bool {
	return (len(s.registries) == 0 || pattern.MatchAny(s.registries, registry)) &&
		(len(s.packages) == 0 || anyNames(s.packages, purl))
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
