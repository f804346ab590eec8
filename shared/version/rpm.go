package version

import "strings"

// compareRPM orders [epoch:]version[-release] as rpm does. A version without
// a release is older than any release of it.
func compareRPM(a, b string) int {
	epochA, versionA, releaseA := splitRPM(a)
	epochB, versionB, releaseB := splitRPM(b)
	if c := compareNumber(epochA, epochB); c != 0 {
		return c
	}
	if c := rpmvercmp(versionA, versionB); c != 0 {
		return c
	}
	return rpmvercmp(releaseA, releaseB)
}

func splitRPM(v string) (epoch, version, release string) {
	version = v
	if e, rest, ok := strings.Cut(v, ":"); ok && (e == "" || isNumber(e)) {
		epoch, version = e, rest
	}
	if i := strings.IndexByte(version, '-'); i >= 0 {
		version, release = version[:i], version[i:] // with the hyphen, to tell "-" from nothing
	}
	return epoch, version, release
}

// rpmvercmp is the algorithm of rpm's rpmio/rpmvercmp.c: segments of digits
// and of letters in turn, digits newer than letters; "~" is older than the
// end, "^" newer than the end and older than anything else.
func rpmvercmp(a, b string) int {
	if a == b {
		return 0
	}
	if a == "" || b == "" {
		return sign(len(a) - len(b))
	}
	for {
		a, b = fromSegment(a), fromSegment(b)
		if tildeA, tildeB := strings.HasPrefix(a, "~"), strings.HasPrefix(b, "~"); tildeA || tildeB {
			if !tildeA || !tildeB {
				return boolRank(tildeB) - boolRank(tildeA)
			}
			a, b = a[1:], b[1:]
			continue
		}
		if caretA, caretB := strings.HasPrefix(a, "^"), strings.HasPrefix(b, "^"); caretA || caretB {
			switch {
			case caretA && caretB:
				a, b = a[1:], b[1:]
				continue
			case a == "":
				return -1
			case b == "":
				return 1
			}
			return boolRank(caretB) - boolRank(caretA)
		}
		if a == "" || b == "" {
			return sign(len(a) - len(b))
		}
		var c int
		if c, a, b = compareRun(a, b); c != 0 {
			return c
		}
	}
}

// fromSegment drops separators.
func fromSegment(s string) string {
	for s != "" && !isDigit(s[0]) && !isLetter(s[0]) && s[0] != '~' && s[0] != '^' {
		s = s[1:]
	}
	return s
}
