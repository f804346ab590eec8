package secrets

import "bytes"

// anchor is a literal whose occurrence makes a rule look closer.
type anchor struct {
	literal string // lower case if fold
	fold    bool   // matches any case
	rule    *rule
}

// index finds anchors by pairs of neighbouring bytes. Every literal is at
// least three bytes long, so it holds two overlapping pairs, one of which
// begins at an even distance from where the search began: looking at every
// second pair is enough. What is left is compared in full.
type index struct {
	groups [1 << 16]uint8 // pair to position in lists; 0 is none
	lists  [][]place
}

// place is an anchor whose pair begins off bytes into its literal.
type place struct {
	*anchor
	off int
}

func newIndex(anchors []*anchor) *index {
	x := &index{lists: [][]place{nil}}
	for _, a := range anchors {
		off := rarest(a.literal)
		for _, o := range []int{off, off + 1} {
			for _, pair := range a.pairs(o) {
				g := x.groups[pair]
				if g == 0 {
					x.lists = append(x.lists, nil)
					g = uint8(len(x.lists) - 1)
					x.groups[pair] = g
				}
				x.lists[g] = append(x.lists[g], place{a, o})
			}
		}
	}
	if len(x.lists) > 256 {
		panic("secrets: too many anchors for the index") // of the compiled-in table
	}
	return x
}

// each calls hit for every anchor that begins in text[from:limit]; literals
// may reach beyond limit.
func (x *index) each(text []byte, from, limit int, hit func(a *anchor, at int)) {
	// A pair may begin up to maxLiteral bytes after its literal does.
	end := min(len(text)-1, limit+maxLiteral)
	for i := from; i < end; i += 2 {
		g := x.groups[uint16(text[i])<<8|uint16(text[i+1])]
		if g == 0 {
			continue
		}
		for _, p := range x.lists[g] {
			at := i - p.off
			if at >= from && at < limit && p.matches(text[at:]) {
				hit(p.anchor, at)
			}
		}
	}
}

const maxLiteral = 32

func (a *anchor) matches(text []byte) bool {
	n := len(a.literal)
	if len(text) < n {
		return false
	}
	if !a.fold {
		return string(text[:n]) == a.literal
	}
	for i := range n {
		c := text[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != a.literal[i] {
			return false
		}
	}
	return true
}

func (a *anchor) pairs(off int) []uint16 {
	first, second := a.spellings(a.literal[off]), a.spellings(a.literal[off+1])
	var out []uint16
	for _, x := range first {
		for _, y := range second {
			out = append(out, uint16(x)<<8|uint16(y))
		}
	}
	return out
}

func (a *anchor) spellings(c byte) []byte {
	if a.fold && c >= 'a' && c <= 'z' {
		return []byte{c, c - 0x20}
	}
	return []byte{c}
}

// rarest picks the three neighbouring bytes of a literal that ordinary text
// and machine code hold least.
func rarest(literal string) int {
	best, bestCost := 0, 1<<30
	for i := 0; i+3 <= len(literal); i++ {
		cost := 0
		for _, c := range []byte(literal[i : i+3]) {
			switch {
			case bytes.IndexByte([]byte("etaoinsrhld ./-="), c) >= 0:
				cost += 4
			case c >= 'a' && c <= 'z', c == '0':
				cost += 2
			default:
				cost++
			}
		}
		if cost < bestCost {
			best, bestCost = i, cost
		}
	}
	return best
}
