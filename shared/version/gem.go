package version

import "strings"

// compareGem orders as Gem::Version does: runs of digits and of letters,
// where letters make a prerelease, "-" stands for ".pre.", and zeros at the
// end of the numbers, or of the whole, do not count.
func compareGem(a, b string) int {
	var x, y [16]string
	s, t := gemSegments(x[:0], a), gemSegments(y[:0], b)
	for i := range max(len(s), len(t)) {
		m, n := "0", "0"
		if i < len(s) {
			m = s[i]
		}
		if i < len(t) {
			n = t[i]
		}
		switch numberM, numberN := isDigit(m[0]), isDigit(n[0]); {
		case numberM && numberN:
			if c := compareNumber(m, n); c != 0 {
				return c
			}
		case numberM != numberN:
			return 2*boolRank(numberM) - 1
		default:
			if c := strings.Compare(m, n); c != 0 {
				return c
			}
		}
	}
	return 0
}

// checkGem refuses empty segments, as Gem::Version does.
func checkGem(v string) error {
	if strings.Contains(v, "..") || strings.HasSuffix(v, ".") {
		return invalid(v, "something between the dots")
	}
	return nil
}

func gemSegments(dst []string, v string) []string {
	v = trimV(v)
	words := -1 // where the first word is
	for v != "" {
		var segment string
		switch {
		case v[0] == '-':
			segment, v = "pre", v[1:]
		case isDigit(v[0]):
			segment, v = digits(v)
		case isLetter(v[0]):
			segment, v = run(v, isLetter)
		default:
			v = v[1:]
			continue
		}
		if !isDigit(segment[0]) && words < 0 {
			dst = withoutZeros(dst, 0)
			words = len(dst)
		}
		dst = append(dst, segment)
	}
	return withoutZeros(dst, max(words, 0))
}

func withoutZeros(segments []string, from int) []string {
	for len(segments) > from && strings.Trim(segments[len(segments)-1], "0") == "" {
		segments = segments[:len(segments)-1]
	}
	return segments
}
