package secrets

import (
	"bytes"
	"strings"
)

// assignment is the value given to a name, as in "name = value" and its
// likes in configuration files, code, JSON, YAML, XML and URLs.
type assignment struct {
	start, end int // of the value, quotes excluded
	quoted     bool
}

const maxValue = 200 // bytes

// endsBare are the bytes that end a value without quotes.
var endsBare = setOf(" \"'`,;&<>)}]\\")

// behindName is what may stand between a name and what separates it from its
// value.
const behindName = "\"'\\])`"

var closings = setOf(behindName)

// mayFollow are the bytes of which one stands behind a name that is given a
// value.
const mayFollow = behindName + " \t" + ":=>?."

var mayFollowName = setOf(mayFollow)

// assigned reads the value given to the name that ends at text[end].
func assigned(text []byte, end int) (assignment, bool) { return assignedUpTo(text, end, maxValue) }

// assignedUpTo is the same for values of at most most bytes.
func assignedUpTo(text []byte, end, most int) (assignment, bool) {
	var a assignment
	if end >= len(text) || !mayFollowName[text[end]] {
		return a, false
	}
	i := skip(text, end, closings, 4)
	closed := i > end
	i = skip(text, i, blanks, 8)
	if i >= len(text) {
		return a, false
	}
	switch {
	case text[i] == '>' && !closed: // <password>value</password>
		return element(text, i+1)
	case closed && bytes.HasPrefix(text[i:], []byte("value=")): // name="password" value="…"
		i += len("value=")
	case closed && text[i] == ',' && argument(text, end): // setProperty("password", "value")
		if i = skip(text, i+1, blanks, 8); i < len(text) && text[i] != text[end] {
			return a, false
		}
	default:
		var ok bool
		if j, typed := declaration(text, i); typed && i > end {
			i = j
		} else if i, ok = separator(text, i); !ok {
			return a, false
		}
	}
	i = skip(text, i, blanks, 8)
	if i >= len(text) {
		return a, false
	}
	escaped := text[i] == '\\' && i+1 < len(text)
	if escaped {
		i++
	}
	quote := text[i]
	if quotes[quote] {
		a.quoted = true
		i++
	} else if escaped {
		return a, false
	}
	a.start = i
	for a.end = i; a.end < len(text) && a.end-i <= most; a.end++ {
		c := text[a.end]
		if a.quoted && (c == quote || escaped && c == '\\') {
			return a, true
		}
		if c < ' ' || c == 0x7F {
			return a, !a.quoted
		}
		if !a.quoted && endsBare[c] {
			// A comma or bracket may well be part of a password, but
			// more often the value is code.
			if c == ' ' && goesOn(text[a.end:]) {
				return a, false
			}
			return a, strings.IndexByte(" ,;&\"'<\\", c) >= 0
		}
	}
	return a, a.end == len(text) && !a.quoted
}

// goesOn tells an expression or a sentence: an operator between spaces
// follows, as in "prefix + encoded", or a parenthesis, as in "PASS: TestX (0.1s)".
func goesOn(rest []byte) bool {
	for _, operator := range []string{" + ", " || ", " ?? ", " == ", " != ", " && ", " % ", " ? ", " ("} {
		if bytes.HasPrefix(rest, []byte(operator)) {
			return true
		}
	}
	return false
}

// separator steps over what stands between a name and its value: "=" with up to
// three colons, "?" or "." before it or ">" behind it, or ":", with a type
// perhaps ("password: str = …").
func separator(text []byte, i int) (int, bool) {
	j := skip(text, i, colons, 3)
	colon := false
	switch {
	case startsWith(text[j:], "=>") && j == i:
		j += 2
	case startsWith(text[j:], "="):
		j++
	case j > i:
		j, colon = i+1, true
	case startsWith(text[j:], "?=") || startsWith(text[j:], ".="):
		j += 2
	default:
		return 0, false
	}
	if j < len(text) && (text[j] == '=' || text[j] == ':') {
		return 0, false // a comparison, or a name's scope
	}
	if colon {
		k := skip(text, skip(text, j, blanks, 8), wordSet, 16)
		k = skip(text, k, blanks, 8)
		if k < len(text)-1 && text[k] == '=' && text[k+1] != '=' && text[k+1] != '>' && text[k-1] == ' ' {
			return k + 1, true
		}
	}
	return j, true
}

func startsWith(text []byte, s string) bool { return len(text) >= len(s) && string(text[:len(s)]) == s }

// declaration steps over a type and what makes it one with a value, as in
// Go's "var password string = …".
func declaration(text []byte, i int) (int, bool) {
	j := skip(text, i, wordSet, 16)
	k := skip(text, j, space, 2)
	if j == i || k == j || k+2 >= len(text) || text[k] != '=' || text[k+1] != ' ' || !quotes[text[k+2]] {
		return 0, false
	}
	return k + 1, true
}

// argument reports whether the name that ends at text[end], before a quote, is
// the first argument of a call.
func argument(text []byte, end int) bool {
	i := nameStart(text, end)
	return i >= 2 && text[i-1] == text[end] && text[i-2] == '('
}

// element is what an element of XML holds, without the space around it.
func element(text []byte, i int) (assignment, bool) {
	i = skip(text, i, spaces, 64)
	rest := text[i:min(len(text), i+maxValue)]
	n := bytes.Index(rest, []byte("</"))
	if n < 0 {
		return assignment{}, false
	}
	rest = bytes.TrimRight(rest[:n], " \t\r\n")
	if bytes.ContainsAny(rest, "\n\x00<") {
		return assignment{}, false
	}
	return assignment{start: i, end: i + len(rest), quoted: true}, true
}

// identifier is the word that text[at:] continues: what stands before a
// keyword in its name.
func identifier(text []byte, at int) string {
	return strings.ToLower(string(text[nameStart(text, at):at]))
}

func nameStart(text []byte, at int) int {
	i := at
	for i > 0 && at-i < 64 && (isWord(text[i-1]) || text[i-1] == '-' || text[i-1] == '.') {
		i--
	}
	return i
}
