package version

import "strings"

// comparePackagist orders as PHP's version_compare, which Composer uses for
// what it has normalised: dev < alpha < beta < RC < a number < p; a word it
// does not know counts as dev.
func comparePackagist(a, b string) int {
	x, y := phpVersion{rest: trimOneV(a)}, phpVersion{rest: trimOneV(b)}
	for {
		m, okM := x.next()
		n, okN := y.next()
		switch {
		case !okM && !okN:
			return 0
		case okM && okN:
			if c := comparePart(m, n); c != 0 {
				return c
			}
		case okM:
			if c := againstEnd(m); c != 0 {
				return c
			}
		default:
			if c := againstEnd(n); c != 0 {
				return -c
			}
		}
	}
}

func trimOneV(v string) string {
	if v != "" && v[0]|0x20 == 'v' {
		return v[1:]
	}
	return v
}

func comparePart(m, n string) int {
	if isNumber(m) && isNumber(n) {
		return compareNumber(m, n)
	}
	return sign(phpWeight(m) - phpWeight(n))
}

const phpNumber = 4

func phpWeight(part string) int {
	switch {
	case isNumber(part):
		return phpNumber
	case strings.HasPrefix(part, "RC"), strings.HasPrefix(part, "rc"):
		return 3
	case strings.HasPrefix(part, "dev"):
		return 0
	case strings.HasPrefix(part, "a"):
		return 1
	case strings.HasPrefix(part, "b"):
		return 2
	case strings.HasPrefix(part, "#"):
		return phpNumber
	case strings.HasPrefix(part, "p"):
		return 5
	}
	return 0
}

// phpVersion is the rest of a version, taken apart from the front.
type phpVersion struct {
	rest string
	over bool
}

// next is the text up to a separator, or to a change between digits and
// anything else.
func (v *phpVersion) next() (string, bool) {
	if v.over {
		return "", false
	}
	for i := range len(v.rest) {
		switch c := v.rest[i]; {
		case c == '.' || c == '-' || c == '_' || c == '+':
			part := v.rest[:i]
			v.rest = v.rest[i+1:]
			return part, true
		case i > 0 && isDigit(c) != isDigit(v.rest[i-1]):
			part := v.rest[:i]
			v.rest = v.rest[i:]
			return part, true
		}
	}
	v.over = true
	return v.rest, true
}

// againstEnd weighs a part that only one of two versions has: a number makes
// it newer, a word older or newer than a number would.
func againstEnd(part string) int {
	if isNumber(part) {
		return 1
	}
	return sign(phpWeight(part) - phpNumber)
}
