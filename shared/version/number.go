package version

import "strings"

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// run splits off the bytes at the start of s that are of a kind.
func run(s string, is func(byte) bool) (head, rest string) {
	i := 0
	for i < len(s) && is(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

// digits splits off a number.
func digits(s string) (number, rest string) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

// isNumber: all of s are digits, and there is one.
func isNumber(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// compareNumber orders decimal numbers of any length; none is 0.
func compareNumber(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return sign(len(a) - len(b))
	}
	return strings.Compare(a, b)
}

// compareRun orders the runs at the start of two texts: of digits, as
// numbers, or of letters. Where b has none of the kind that a has, digits are
// newer and letters older.
func compareRun(a, b string) (c int, restA, restB string) {
	kind, number := isLetter, isDigit(a[0])
	if number {
		kind = isDigit
	}
	x, restA := run(a, kind)
	y, restB := run(b, kind)
	switch {
	case y == "":
		c = 2*boolRank(number) - 1
	case number:
		c = compareNumber(x, y)
	default:
		c = strings.Compare(x, y)
	}
	return c, restA, restB
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// compareNumbers orders lists of numbers with any separators; of two that
// begin alike the longer is newer (R's package_version; Haskell's PVP).
func compareNumbers(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a = digits(a)
		y, b = digits(b)
		if c := compareNumber(x, y); c != 0 {
			return c
		}
		a, b = afterSeparator(a), afterSeparator(b)
	}
	return sign(len(a) - len(b))
}

func afterSeparator(s string) string {
	if s == "" {
		return ""
	}
	return s[1:]
}

// checkNumbers demands numbers with one of the separators between them.
func checkNumbers(separators string) func(string) error {
	return func(v string) error {
		for rest := v; ; {
			var number string
			if number, rest = digits(rest); number == "" {
				return invalid(v, "numbers with "+separators+" between them")
			}
			if rest == "" {
				return nil
			}
			if !strings.Contains(separators, rest[:1]) {
				return invalid(v, "numbers with "+separators+" between them")
			}
			rest = rest[1:]
		}
	}
}
