package version

import "strings"

// comparePacman orders Arch Linux versions, [epoch:]version[-pkgrel], as
// libalpm's alpm_pkg_vercmp does: a missing epoch is 0, and pkgrel counts
// only when both versions have one.
func comparePacman(a, b string) int {
	epochA, versionA, relA := splitPacman(a)
	epochB, versionB, relB := splitPacman(b)
	if c := compareAlpm(epochA, epochB); c != 0 {
		return c
	}
	if c := compareAlpm(versionA, versionB); c != 0 || relA == "" || relB == "" {
		return c
	}
	return compareAlpm(relA, relB)
}

func splitPacman(v string) (epoch, version, rel string) {
	epoch, version = "0", v
	if e, rest, ok := strings.Cut(v, ":"); ok && strings.Trim(e, "0123456789") == "" {
		version = rest
		if e != "" {
			epoch = e
		}
	}
	version, rel = cutLast(version, '-')
	return epoch, version, rel
}

// compareAlpm walks both strings run by run: runs of digits compare as
// numbers, runs of letters as text, a number is newer than letters, and a
// longer run of separators is newer. At the end of one string, remaining
// letters make the other older and anything else makes it newer.
func compareAlpm(a, b string) int {
	if a == b {
		return 0
	}
	for a != "" && b != "" {
		var x, y string
		x, a = run(a, isSeparator)
		y, b = run(b, isSeparator)
		if a == "" || b == "" {
			break
		}
		if len(x) != len(y) {
			return sign(len(x) - len(y))
		}
		var c int
		if c, a, b = compareRun(a, b); c != 0 {
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

func isSeparator(c byte) bool { return !isDigit(c) && !isLetter(c) }
