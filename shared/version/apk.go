package version

import "strings"

// apkVersion is number{.number}...{letter}{_suffix{number}}...{~hash}{-r#}
// (apk-package(5)), taken apart from the front.
type apkVersion struct{ rest string }

// compareAPK: the hash does not count, and a missing -r is -r0.
func compareAPK(a, b string) int {
	x, y := apkVersion{a}, apkVersion{b}
	for i := 0; ; i++ {
		m, okM := x.number(i)
		n, okN := y.number(i)
		if !okM && !okN {
			break
		}
		c := compareNumber(m, n)
		// Beyond the first, numbers with leading zeros are fractions.
		if i > 0 && okM && okN && (m[0] == '0' || n[0] == '0') {
			c = strings.Compare(m, n)
		}
		if c != 0 {
			return c
		}
	}
	if c := strings.Compare(x.letter(), y.letter()); c != 0 {
		return c
	}
	for {
		weightX, numberX, okX := x.suffix()
		weightY, numberY, okY := y.suffix()
		if !okX && !okY {
			break
		}
		if weightX != weightY {
			return sign(weightX - weightY)
		}
		if c := compareNumber(numberX, numberY); c != 0 {
			return c
		}
	}
	x.hash()
	y.hash()
	return compareNumber(x.release(), y.release())
}

// checkAPK refuses what apk itself would.
func checkAPK(v string) error {
	x := apkVersion{v}
	for i := 0; ; i++ {
		if _, ok := x.number(i); !ok {
			break
		}
	}
	if len(x.rest) == len(v) {
		return invalid(v, "a number first")
	}
	x.letter()
	for {
		if _, _, ok := x.suffix(); !ok {
			break
		}
	}
	x.hash()
	if x.rest == "" || strings.HasPrefix(x.rest, "-r") && strings.Trim(x.rest[2:], "0123456789") == "" {
		return nil
	}
	return invalid(v, "a version of apk")
}

func (v *apkVersion) number(i int) (string, bool) {
	s := v.rest
	if i > 0 {
		var ok bool
		if s, ok = strings.CutPrefix(s, "."); !ok {
			return "", false
		}
	}
	number, rest := digits(s)
	if number == "" {
		return "", false
	}
	v.rest = rest
	return number, true
}

func (v *apkVersion) letter() string {
	v.rest = strings.TrimPrefix(v.rest, ".") // apk does not mind one that no number follows
	if v.rest == "" || v.rest[0] < 'a' || v.rest[0] > 'z' {
		return ""
	}
	letter := v.rest[:1]
	v.rest = v.rest[1:]
	return letter
}

// apkSuffixes in their order; none stands between rc and cvs.
var apkSuffixes = [...]struct {
	name   string
	weight int
}{
	{"_alpha", -4}, {"_beta", -3}, {"_pre", -2}, {"_rc", -1}, {"_cvs", 1}, {"_svn", 2}, {"_git", 3}, {"_hg", 4}, {"_p", 5},
}

func (v *apkVersion) suffix() (weight int, number string, ok bool) {
	for _, s := range apkSuffixes {
		if rest, found := strings.CutPrefix(v.rest, s.name); found {
			number, v.rest = digits(rest)
			return s.weight, number, true
		}
	}
	return 0, "", false
}

func (v *apkVersion) hash() {
	if rest, ok := strings.CutPrefix(v.rest, "~"); ok {
		if end := strings.TrimLeft(rest, "0123456789abcdef"); end != rest {
			v.rest = end
		}
	}
}

func (v *apkVersion) release() string {
	number, _ := digits(strings.TrimPrefix(v.rest, "-r"))
	return number
}
