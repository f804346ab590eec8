package secrets

import (
	"bytes"
	"slices"
)

// Custom rules look at a window of text around a keyword. Windows belong to
// blocks of fixed places, so that what is found does not depend on how a
// stream comes in, and no text is looked at more than a few times.
const (
	windowBlock  = 512
	everyBlock   = 16 << 10 // for rules without keywords
	windowBefore = 256
	windowAfter  = 1 << 10 // a match that is longer may not be found
	maxPerWindow = 100
)

// activeRules are the custom rules that apply to one stream.
type activeRules struct {
	*Rules
	path string
	off  map[*customRule]bool  // not for this path
	done map[*customRule]int64 // the block looked at last, and one
}

func (r *Rules) anchors() (all []*anchor) {
	if r == nil {
		return nil
	}
	for _, c := range r.rules {
		for _, k := range c.keywords {
			if c.pattern != nil {
				all = append(all, &anchor{literal: k, fold: true, custom: c})
			}
		}
	}
	return all
}

func (r *Rules) forPath(path string) *activeRules {
	if r == nil {
		return nil
	}
	a := &activeRules{Rules: r, path: path, off: map[*customRule]bool{}, done: map[*customRule]int64{}}
	for _, c := range r.rules {
		if c.path != nil && !c.path.MatchString(path) {
			a.off[c] = true
		}
	}
	return a
}

// forName are the rules on paths alone that match.
func (a *activeRules) forName() (out []*customRule) {
	if a == nil {
		return nil
	}
	for _, c := range a.rules {
		if c.pattern == nil && !a.off[c] && !a.allowed(c, nil, nil, nil) {
			out = append(out, c)
		}
	}
	return out
}

func (a *activeRules) allowed(c *customRule, secret, match, line []byte) bool {
	for _, list := range [][]allowlist{a.allow, c.allow} {
		for i := range list {
			if list[i].allows(c.id, a.path, secret, match, line) {
				return true
			}
		}
	}
	return false
}

// tryCustom looks at the window around a keyword at text[at].
func (s *stream) tryCustom(c *customRule, text []byte, at int, v view) {
	if s.custom.off[c] {
		return
	}
	start := v.base + int64(at) // blocks are of the stream, or of the view's text
	if v.encoding != "" {
		start = int64(at)
	}
	block := start / windowBlock
	if v.encoding == "" {
		if s.custom.done[c] > block {
			return
		}
		s.custom.done[c] = block + 1
	}
	s.match(c, text, at-int(start-block*windowBlock), windowBlock, v)
}

// everywhere applies the rules without keywords to the blocks that begin in
// text[from:limit].
func (s *stream) everywhere(text []byte, from, limit int) {
	if s.custom == nil {
		return
	}
	v := view{base: s.base, width: 1}
	first := (s.base + int64(from) + everyBlock - 1) / everyBlock * everyBlock
	for at := int(first - s.base); at < limit; at += everyBlock {
		for _, c := range s.custom.rules {
			if len(c.keywords) == 0 && c.pattern != nil && !s.custom.off[c] {
				s.match(c, text, at, everyBlock, v)
			}
		}
	}
}

// match looks for a rule in a block of text and around it.
func (s *stream) match(c *customRule, text []byte, at, size int, v view) {
	from, to := max(0, at-windowBefore), min(len(text), at+size+windowAfter)
	window := text[from:to]
	for _, m := range c.pattern.FindAllSubmatchIndex(window, maxPerWindow) {
		start, end := m[2*c.group], m[2*c.group+1]
		if c.group == 0 {
			for g := 2; g < len(m); g += 2 { // the first group that took part, as gitleaks has it
				if m[g] >= 0 && m[g+1] > m[g] {
					start, end = m[g], m[g+1]
					break
				}
			}
		}
		if start < 0 || end <= start {
			continue
		}
		secret := window[start:end]
		if entropy(secret) < c.entropy || refuted(secret) || s.custom.allowed(c, secret, window[m[0]:m[1]], lineAround(window, m[0], m[1])) {
			continue
		}
		s.add(&c.rule, finding{start: from + start, end: from + end}, text, v)
	}
}

func lineAround(text []byte, start, end int) []byte {
	if i := bytes.LastIndexByte(text[:start], '\n'); i >= 0 {
		start = i + 1
	} else {
		start = 0
	}
	if i := bytes.IndexByte(text[end:], '\n'); i >= 0 {
		return text[start : end+i]
	}
	return text[start:]
}

// refuted reports whether a value has the form of a kind whose checksum is
// known, and a wrong one.
func refuted(v []byte) bool {
	for _, prefix := range []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_"} {
		if rest, ok := bytes.CutPrefix(v, []byte(prefix)); ok && len(rest) == 36 && !slices.Contains(rest, '_') {
			return !base62CRC(v, len(prefix))
		}
	}
	return false
}
