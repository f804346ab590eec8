package secrets

import (
	"bytes"
	"slices"
)

// Custom rules look at blocks of text with a keyword in them, and a little
// around. What blocks there are depends on the text alone, not on how a stream
// comes in. Blocks close to each other are looked at together, so that no text
// is looked at much more than once.
const (
	windowBlock  = 512
	everyBlock   = 16 << 10 // together at most, and for rules without keywords
	windowBefore = 256
	windowAfter  = 1 << 10 // a match that is longer may not be found
)

// activeRules are the custom rules that apply to one stream.
type activeRules struct {
	*Rules
	path string
	off  map[*customRule]bool // not for this path
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
	a := &activeRules{Rules: r, path: path, off: map[*customRule]bool{}}
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

// keywords are the blocks in which rules have one, by their numbers, in the
// order in which they were met.
type keywords map[*customRule][]int

// add notes that a rule's keyword stands so many bytes into the stream or, of
// an encoding, into what it encodes.
func (k *keywords) add(c *customRule, offset int64) {
	if *k == nil {
		*k = make(keywords)
	}
	block := int(offset / windowBlock)
	if met := (*k)[c]; len(met) == 0 || met[len(met)-1] != block {
		(*k)[c] = append(met, block)
	}
}

// tryCustom applies rules to the blocks where they have keywords. text[0] is
// so many bytes into what blocks are counted in.
func (s *stream) tryCustom(k keywords, text []byte, base int64, v view) {
	if len(k) == 0 {
		return
	}
	const reach = (windowBefore + windowAfter) / windowBlock // blocks between two whose windows touch
	for _, c := range s.custom.rules {
		blocks := k[c]
		slices.Sort(blocks)
		for len(blocks) > 0 {
			n := 1
			for n < len(blocks) && blocks[n]-blocks[n-1] <= reach+1 && blocks[n]*windowBlock/everyBlock == blocks[0]*windowBlock/everyBlock {
				n++
			}
			s.match(c, text, int(int64(blocks[0])*windowBlock-base), (blocks[n-1]-blocks[0]+1)*windowBlock, v)
			blocks = blocks[n:]
		}
	}
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

// match looks for a rule in blocks of text and around them.
func (s *stream) match(c *customRule, text []byte, at, size int, v view) {
	from, to := max(0, at-windowBefore), min(len(text), at+size+windowAfter)
	window := text[from:to]
	for _, m := range c.pattern.FindAllSubmatchIndex(window, -1) {
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
