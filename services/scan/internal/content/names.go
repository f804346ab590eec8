package content

import (
	"strings"
	"unicode"
)

// nameRule judges a path as its container spells it; nil for an ordinary one.
// What archive itself calls bad is not judged again.
func nameRule(raw string) *rule {
	ascii := true
	for i := range len(raw) {
		if raw[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if !ascii {
		for _, c := range raw {
			if reorders(c) || unshown(c) && c != zeroWidthJoiner && c != zeroWidthNonJoiner {
				return &deceptiveName
			}
		}
	}
	for part := range strings.FieldsFuncSeq(raw, func(c rune) bool { return c == '/' || c == '\\' }) {
		switch {
		case !ascii && looksAlike(part):
			return &lookalikeName
		case reserved(part):
			return &reservedName
		}
	}
	return nil
}

// reserved tells the names of Windows devices, with any extension, and names
// whose end Windows cuts off (Microsoft, "Naming Files, Paths, and
// Namespaces").
func reserved(name string) bool {
	if name == "." || name == ".." {
		return false
	}
	if strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") {
		return true
	}
	stem, _, _ := strings.Cut(name, ".")
	switch stem = strings.ToUpper(strings.TrimRight(stem, " ")); stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	for _, device := range []string{"COM", "LPT"} {
		if n, ok := strings.CutPrefix(stem, device); ok && len([]rune(n)) == 1 && strings.Contains("123456789¹²³", n) {
			return true
		}
	}
	return false
}

// Letters that look like Latin ones, of the alphabets that people mix
// (Unicode TR 39, confusables).
const (
	cyrillicLikeLatin = "аеорсухіјѕһԁԛԝӏАВЕКМНОРСТХЅІЈҮ"
	greekLikeLatin    = "οΑΒΕΖΗΙΚΜΝΟΡΤΥΧ"
)

// looksAlike reports whether a word of the name has Latin letters and such
// that only look like them, or letters that are Latin in other shapes.
func looksAlike(name string) bool {
	latin, alike, other := false, false, false
	for _, c := range name + "/" {
		switch {
		case !unicode.IsLetter(c):
			if latin && alike && !other {
				return true
			}
			latin, alike, other = false, false, false
		case 0xFF21 <= c && c <= 0xFF5A, 0x1D400 <= c && c <= 0x1D7FF: // full width, mathematical
			alike = true
		case c < 0x80:
			latin = true
		case strings.ContainsRune(cyrillicLikeLatin, c), strings.ContainsRune(greekLikeLatin, c):
			alike = true
		default:
			// A word with letters of its own alphabet is that alphabet's.
			other = other || unicode.In(c, unicode.Cyrillic, unicode.Greek)
		}
	}
	return false
}
