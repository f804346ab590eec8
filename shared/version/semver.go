package version

import (
	"fmt"
	"strings"
)

func invalid(v, want string) error { return fmt.Errorf("%w: %.60q: want %s", ErrInvalid, v, want) }

// compareSemver orders by Semantic Versioning 2.0.0, section 11, forgiving a
// leading "v", missing numbers (which are 0) and more than three. Build
// metadata does not count.
func compareSemver(a, b string) int {
	a, b = withoutBuild(trimV(a)), withoutBuild(trimV(b))
	c, a, b := compareRelease(a, b)
	if c != 0 {
		return c
	}
	return comparePrerelease(a, b)
}

func trimV(v string) string { return strings.TrimLeft(v, "vV=") }

func withoutBuild(v string) string {
	v, _, _ = strings.Cut(v, "+")
	return v
}

// compareRelease orders the numbers and returns what follows them.
func compareRelease(a, b string) (c int, restA, restB string) {
	for moreA, moreB := true, true; moreA || moreB; {
		var x, y string
		x, a, moreA = nextNumber(a, moreA)
		y, b, moreB = nextNumber(b, moreB)
		if c == 0 {
			c = compareNumber(x, y)
		}
	}
	return c, a, b
}

// nextNumber takes the next number of a release off; more says that there
// may be others.
func nextNumber(s string, more bool) (number, rest string, _ bool) {
	if !more {
		return "", s, false
	}
	for s != "" && s[0] == '.' {
		s = s[1:]
	}
	number, rest = digits(s)
	return number, rest, number != "" && rest != "" && rest[0] == '.'
}

// comparePrerelease: a release is newer than its prereleases. Their
// identifiers are numbers, which are older than words.
func comparePrerelease(a, b string) int {
	a, b = strings.TrimPrefix(a, "-"), strings.TrimPrefix(b, "-")
	if a == "" || b == "" {
		return sign(len(b) - len(a))
	}
	for {
		x, restA, moreA := strings.Cut(a, ".")
		y, restB, moreB := strings.Cut(b, ".")
		if c := compareIdentifier(x, y); c != 0 {
			return c
		}
		if !moreA || !moreB {
			return boolRank(moreA) - boolRank(moreB)
		}
		a, b = restA, restB
	}
}

func compareIdentifier(a, b string) int {
	switch x, y := isNumber(a), isNumber(b); {
	case x && y:
		return compareNumber(a, b)
	case x:
		return -1
	case y:
		return 1
	}
	return strings.Compare(a, b)
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// comparePub orders equal versions by their build metadata, as text.
func comparePub(a, b string) int {
	if c := compareSemver(a, b); c != 0 {
		return c
	}
	_, a, _ = strings.Cut(a, "+")
	_, b, _ = strings.Cut(b, "+")
	return strings.Compare(a, b)
}

// compareJulia orders build numbers too: 1.0.7 < 1.0.7+0 < 1.0.7+1
// (Julia's VersionNumber).
func compareJulia(a, b string) int {
	if c := compareSemver(a, b); c != 0 {
		return c
	}
	_, x, hasX := strings.Cut(a, "+")
	_, y, hasY := strings.Cut(b, "+")
	switch {
	case !hasX || !hasY:
		return boolRank(hasX) - boolRank(hasY)
	case isNumber(x) && isNumber(y):
		return compareNumber(x, y)
	}
	return strings.Compare(x, y)
}

// compareBitnami ignores the packaging revision: advisories speak of the
// upstream release, and 1.2.3-4 is not older than it.
func compareBitnami(a, b string) int { return compareSemver(withoutRevision(a), withoutRevision(b)) }

func withoutRevision(v string) string {
	if base, revision, ok := strings.Cut(v, "-"); ok && isNumber(revision) {
		return base
	}
	return v
}

// compareNuGet: four numbers, and prereleases whose case does not matter
// (NuGet documentation, "Package versioning").
func compareNuGet(a, b string) int {
	if c := compareSemver(a, b); c == 0 || !hasUpper(a) && !hasUpper(b) {
		return c
	}
	return compareSemver(strings.ToLower(a), strings.ToLower(b))
}

func hasUpper(s string) bool {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' || s[i] >= 0x80 {
			return true
		}
	}
	return false
}
