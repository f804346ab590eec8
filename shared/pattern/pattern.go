// Package pattern matches names of signers, builders and sources against
// what an operator wrote. A pattern is the name itself, with two wildcards:
//
//   - any run of characters, empty too, without a slash
//     **  any run of characters, with slashes
//
// Everything else stands for itself, and the whole name must match. That a
// single star stops at a slash keeps "https://github.com/us/*" from
// accepting "https://github.com/us/x/../../them": a name has to have exactly
// as many parts as the pattern, unless the pattern says otherwise.
package pattern

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxLength bounds names and patterns, in bytes; matching takes at most
// their product in steps. Real identities have some hundred bytes.
const MaxLength = 2048

// Match tells whether name is what pattern describes. The empty pattern, and
// anything longer than MaxLength, matches nothing.
func Match(pattern, name string) bool {
	if pattern == "" || len(pattern) > MaxLength || len(name) > MaxLength {
		return false
	}
	if !strings.Contains(pattern, "*") {
		return pattern == name
	}
	at := make([]bool, len(name)+1) // the places in name that the pattern so far can end at
	at[0] = true
	for pattern != "" {
		if rest, stars := strings.CutPrefix(pattern, "*"); stars {
			rest, crossing := strings.CutPrefix(rest, "*")
			for i := range len(name) {
				at[i+1] = at[i+1] || at[i] && (crossing || name[i] != '/')
			}
			pattern = rest
			continue
		}
		literal, _, _ := strings.Cut(pattern, "*")
		for i := len(name); i >= 0; i-- {
			from := i - len(literal)
			at[i] = from >= 0 && at[from] && name[from:i] == literal
		}
		pattern = pattern[len(literal):]
	}
	return at[len(name)]
}

// MatchAny tells whether name is what one of the patterns describes.
func MatchAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if Match(p, name) {
			return true
		}
	}
	return false
}

// Check refuses patterns that cannot match as they were meant to, and those
// that match everything.
func Check(pattern string) error {
	switch {
	case pattern == "":
		return errors.New("is empty")
	case len(pattern) > MaxLength:
		return fmt.Errorf("has %d bytes, at most %d", len(pattern), MaxLength)
	case !utf8.ValidString(pattern):
		return errors.New("is not UTF-8")
	case strings.ContainsFunc(pattern, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }):
		return fmt.Errorf("%.80q contains white space", pattern)
	case strings.Trim(pattern, "*") == "":
		return fmt.Errorf("%.80q would match anybody: name at least a host", pattern)
	}
	return nil
}
