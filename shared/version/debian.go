package version

import "strings"

// compareDebian orders [epoch:]upstream[-revision] as dpkg does
// (deb-version(7)).
func compareDebian(a, b string) int {
	epochA, a := debianEpoch(a)
	epochB, b := debianEpoch(b)
	if c := compareNumber(epochA, epochB); c != 0 {
		return c
	}
	return compareOpam(a, b)
}

// compareOpam is the same without epochs.
func compareOpam(a, b string) int {
	upstreamA, revisionA := cutLast(a, '-')
	upstreamB, revisionB := cutLast(b, '-')
	if c := compareDebianPart(upstreamA, upstreamB); c != 0 {
		return c
	}
	return compareDebianPart(revisionA, revisionB)
}

func debianEpoch(v string) (epoch, rest string) {
	if epoch, rest, ok := strings.Cut(v, ":"); ok {
		return epoch, rest
	}
	return "", v
}

func checkDebian(v string) error {
	if epoch, _, ok := strings.Cut(v, ":"); ok && !isNumber(epoch) {
		return invalid(v, "a number as epoch")
	}
	return nil
}

func cutLast(s string, sep byte) (before, after string) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// compareDebianPart takes turns with text and numbers. In text a tilde comes
// before everything, even the end, and letters before the rest.
func compareDebianPart(a, b string) int {
	for a != "" || b != "" {
		for a != "" && !isDigit(a[0]) || b != "" && !isDigit(b[0]) {
			x, y := debianOrder(a), debianOrder(b)
			if x != y {
				return sign(x - y)
			}
			a, b = a[1:], b[1:]
		}
		var x, y string
		x, a = digits(a)
		y, b = digits(b)
		if c := compareNumber(x, y); c != 0 {
			return c
		}
	}
	return 0
}

func debianOrder(s string) int {
	switch {
	case s == "" || isDigit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case isLetter(s[0]):
		return int(s[0])
	}
	return int(s[0]) + 256
}
