package sshsig

import (
	"errors"
	"strings"
)

// patterns are a pattern-list: PATTERNS in ssh_config(5). Upper and lower
// case differ.
type patterns struct {
	text string // as written
	list []pattern
}

type pattern struct {
	negated bool
	text    string
}

// parsePatterns reads patterns between commas. "*" stands for any characters,
// "?" for one, "!" before a pattern excludes what it matches.
func parsePatterns(text string) (patterns, error) {
	p := patterns{text: text}
	names := false
	for part := range strings.SplitSeq(text, ",") {
		bare, negated := strings.CutPrefix(part, "!")
		if bare == "" {
			return patterns{}, errors.New("a pattern is empty")
		}
		names = names || !negated
		p.list = append(p.list, pattern{negated, bare})
	}
	if !names {
		return patterns{}, errors.New("all patterns are negated, so that nothing would match")
	}
	return p, nil
}

// match tells whether one pattern matches and none excludes the text.
func (p patterns) match(text string) bool {
	matched := false
	for _, pattern := range p.list {
		if glob(pattern.text, text) {
			if pattern.negated {
				return false
			}
			matched = true
		}
	}
	return matched
}

// glob matches bytes. It goes back to the last "*" only, so that its time is
// at most the product of the lengths.
func glob(pattern, text string) bool {
	p, t, star, tried := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, tried = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			tried++
			p, t = star+1, tried
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
