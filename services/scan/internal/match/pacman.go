package match

import "strings"

// comparePacman orders Arch Linux versions, [epoch:]version[-pkgrel], as
// libalpm's alpm_pkg_vercmp does: a missing epoch is 0, and pkgrel counts
// only when both versions have one.
func comparePacman(a, b string) int {
	if a == b {
		return 0
	}
	aEpoch, aVersion, aRel := splitPacman(a)
	bEpoch, bVersion, bRel := splitPacman(b)
	if c := compareSegments(aEpoch, bEpoch); c != 0 {
		return c
	}
	if c := compareSegments(aVersion, bVersion); c != 0 {
		return c
	}
	if aRel == "" || bRel == "" {
		return 0
	}
	return compareSegments(aRel, bRel)
}

func splitPacman(v string) (epoch, version, rel string) {
	epoch, version = "0", v
	if e, rest, ok := strings.Cut(v, ":"); ok && strings.Trim(e, "0123456789") == "" {
		epoch, version = e, rest
		if epoch == "" {
			epoch = "0"
		}
	}
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		version, rel = version[:i], version[i+1:]
	}
	return epoch, version, rel
}

// compareSegments walks both strings run by run: runs of digits compare as
// numbers, runs of letters as text, a number is newer than letters, and a
// longer run of separators is newer. At the end of one string, remaining
// letters make the other older and anything else makes it newer.
func compareSegments(a, b string) int {
	if a == b {
		return 0
	}
	for a != "" && b != "" {
		aSep, aRest := leading(a, isSeparator)
		bSep, bRest := leading(b, isSeparator)
		a, b = aRest, bRest
		if a == "" || b == "" {
			break
		}
		if len(aSep) != len(bSep) {
			return sign(len(aSep) - len(bSep))
		}
		run, numeric := isLetter, false
		if isDigit(a[0]) {
			run, numeric = isDigit, true
		}
		aRun, aRest := leading(a, run)
		bRun, bRest := leading(b, run)
		a, b = aRest, bRest
		if bRun == "" {
			if numeric {
				return 1
			}
			return -1
		}
		if numeric {
			aRun, bRun = strings.TrimLeft(aRun, "0"), strings.TrimLeft(bRun, "0")
			if len(aRun) != len(bRun) {
				return sign(len(aRun) - len(bRun))
			}
		}
		if c := strings.Compare(aRun, bRun); c != 0 {
			return c
		}
	}
	switch {
	case a == "" && b == "":
		return 0
	case a == "" && !isLetter(b[0]), a != "" && isLetter(a[0]):
		return -1
	}
	return 1
}

func leading(s string, is func(byte) bool) (run, rest string) {
	i := 0
	for i < len(s) && is(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func isDigit(c byte) bool     { return c >= '0' && c <= '9' }
func isLetter(c byte) bool    { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isSeparator(c byte) bool { return !isDigit(c) && !isLetter(c) }

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
