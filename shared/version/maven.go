package version

import "strings"

// compareMaven orders by the version order specification of the POM
// reference, with what Maven's ComparableVersion does where that is silent.
func compareMaven(a, b string) int {
	var x, y [16]mavenToken
	s, t := mavenTokens(x[:0], a), mavenTokens(y[:0], b)
	for i := range max(len(s), len(t)) {
		var m, n mavenToken
		switch {
		case i >= len(s):
			m, n = t[i].padding(), t[i]
		case i >= len(t):
			m, n = s[i], s[i].padding()
		default:
			m, n = s[i], t[i]
		}
		if c := m.compare(n); c != 0 {
			return c
		}
	}
	return 0
}

// mavenToken is a number or a qualifier, and the separator before it: 0 for
// the first.
type mavenToken struct {
	sep   byte
	value string // lower case; numbers without leading zeros
	null  bool   // stands for nothing
}

func (m mavenToken) padding() mavenToken {
	if m.sep == '.' && m.value != "sp" {
		return mavenToken{'.', "0", true}
	}
	return mavenToken{m.sep, "", true}
}

func (m mavenToken) compare(n mavenToken) int {
	if m.sep != n.sep {
		return sign(m.rank() - n.rank())
	}
	numberM, numberN := isNumber(m.value), isNumber(n.value)
	switch {
	case m.value == n.value:
		return 0
	case numberM && numberN:
		return compareNumber(m.value, n.value)
	case numberM && !m.null:
		return 1
	case numberN && !n.null:
		return -1
	}
	x, y := mavenQualifier(m.value), mavenQualifier(n.value)
	if x == y && x == mavenUnknown {
		return strings.Compare(m.value, n.value)
	}
	return sign(x - y)
}

// rank: ".qualifier" < "-qualifier" < "-number" < ".number".
func (m mavenToken) rank() int {
	number := isNumber(m.value)
	switch {
	case m.sep == '.' && !number:
		return 0
	case m.sep == '-' && !number:
		return 1
	case m.sep == '-':
		return 2
	}
	return 3
}

const mavenUnknown = 7

func mavenQualifier(s string) int {
	switch s {
	case "alpha":
		return 0
	case "beta":
		return 1
	case "milestone":
		return 2
	case "rc":
		return 3
	case "snapshot":
		return 4
	case "":
		return 5
	case "sp":
		return 6
	}
	return mavenUnknown
}

func mavenTokens(dst []mavenToken, v string) []mavenToken {
	if hasUpper(v) {
		v = strings.ToLower(v)
	}
	sep := byte(0)
	for {
		i := strings.IndexAny(v, ".-")
		part := v
		if i >= 0 {
			part = v[:i]
		}
		dst = mavenPart(dst, sep, part)
		if i < 0 {
			return mavenTrim(dst)
		}
		sep, v = v[i], v[i+1:]
	}
}

// mavenPart splits what stands between separators where digits and other
// characters meet, as if there were a hyphen.
func mavenPart(dst []mavenToken, sep byte, part string) []mavenToken {
	for {
		i := 1
		for i < len(part) && isDigit(part[i]) == isDigit(part[i-1]) {
			i++
		}
		last := i >= len(part)
		value := part
		if !last {
			value = part[:i]
		}
		dst = append(dst, mavenToken{sep: sep, value: mavenValue(value, last)})
		if last {
			return dst
		}
		part, sep = part[i:], '-'
	}
}

func mavenValue(s string, last bool) string {
	switch {
	case s == "":
		return "0"
	case isDigit(s[0]):
		if s = strings.TrimLeft(s, "0"); s == "" {
			return "0"
		}
		return s
	}
	switch s {
	case "cr":
		return "rc"
	case "ga", "final", "release":
		return ""
	}
	if !last { // a number follows
		switch s {
		case "a":
			return "alpha"
		case "b":
			return "beta"
		case "m":
			return "milestone"
		}
	}
	return s
}

// mavenTrim takes nulls off the end, and off the end of what stands before
// each hyphen.
func mavenTrim(tokens []mavenToken) []mavenToken {
	for i := len(tokens) - 1; i > 0; {
		if v := tokens[i].value; v == "0" || v == "" {
			tokens = append(tokens[:i], tokens[i+1:]...)
			i--
			continue
		}
		for i >= 0 && tokens[i].sep != '-' {
			i--
		}
		i--
	}
	return tokens
}
