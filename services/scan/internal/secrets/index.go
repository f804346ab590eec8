package secrets

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// anchor is a literal whose occurrence makes a rule look closer.
type anchor struct {
	literal string // lower case if fold
	fold    bool   // matches any case
	rule    *rule
	custom  *customRule // instead of rule
}

// index finds anchors by windows of four bytes, two pairs of neighbours.
// Every anchor registers two windows that begin one byte apart, so that one
// of them is met by looking at every second position only. Anchors are dealt
// into sixteen groups; filter says of each pair in which groups it may be the
// first of a window (high half) and in which the second (low half). Where
// both agree on a group, places has the anchors to be compared in full.
type index struct {
	filter [1 << 16]uint32 // by pair, its first byte low
	list   [1 << 16]uint16 // by first pair, position in places; 0 is none
	places [][]place
}

// place is an anchor with a window that begins off bytes into its literal;
// -1 is the byte before it.
type place struct {
	*anchor
	off   int
	group uint32
	// The window's bytes, those of any case in lower case, agree with value
	// under mask.
	lower, mask, value uint32
}

// Kinds of windows, by which of their bytes are outside of the literal. They
// do not share groups: what may be anything would spoil the others. Within a
// kind, those that begin alike have one group, for the same reason.
const (
	whole     = iota
	openEnded // the last byte
	openFirst // the first byte
	halfOpen  // the last two, or one at each end
	kinds
)

// groupsOf a kind are those from the first, so many.
var groupsOf = [kinds][2]int{{0, 9}, {9, 3}, {12, 3}, {15, 1}}

func (p place) kind() int {
	switch behind := p.off + 4 - len(p.literal); {
	case behind > 1, behind == 1 && p.off < 0:
		return halfOpen
	case behind == 1:
		return openEnded
	case p.off < 0:
		return openFirst
	}
	return whole
}

func newIndex(anchors []*anchor) *index {
	x := &index{places: [][]place{nil}}
	var all []place
	for _, a := range anchors {
		off := rarest(a.literal)
		all = append(all, newPlace(a, off), newPlace(a, off+1))
	}
	slices.SortStableFunc(all, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.kind(), b.kind()), cmp.Compare(a.pair(0), b.pair(0)))
	})
	var ofKind, seen [kinds]int
	for _, p := range all {
		ofKind[p.kind()]++
	}
	for _, p := range all {
		k := p.kind()
		first, n := groupsOf[k][0], groupsOf[k][1]
		p.group = 1 << (first + seen[k]*n/ofKind[k])
		seen[k]++
		for _, pair := range p.pairs(0) {
			x.filter[pair] |= p.group << 16
			if x.list[pair] == 0 {
				x.places = append(x.places, nil)
				x.list[pair] = uint16(len(x.places) - 1)
			}
			at := &x.places[x.list[pair]]
			*at = append(*at, p)
		}
		for _, pair := range p.pairs(2) {
			x.filter[pair] |= p.group
		}
	}
	return x
}

func newPlace(a *anchor, off int) place {
	p := place{anchor: a, off: off}
	for n := range 4 {
		i, shift := off+n, 8*n
		if i < 0 || i >= len(a.literal) {
			continue
		}
		c := a.literal[i]
		if a.fold && isLetter(c) {
			p.lower |= 0x20 << shift
		}
		p.mask |= 0xFF << shift
		p.value |= uint32(c) << shift
	}
	return p
}

// each calls hit for every anchor that begins in text[from:limit]; literals
// may reach beyond limit. It calls dense with a position wherever the 16
// bytes around it may be base64 of text.
func (x *index) each(text []byte, from, limit int, hit func(a *anchor, at int), dense func(i int)) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	// A window may begin up to maxLiteral bytes after its literal does.
	end := min(len(text), limit+maxLiteral)
	before, first := uint64(tops), uint32(0)
	i := from
	for ; i < end && i+8 <= len(text); i += 8 {
		w := binary.LittleEndian.Uint64(text[i:])
		a, b, c, d := x.filter[uint16(w)], x.filter[uint16(w>>16)], x.filter[uint16(w>>32)], x.filter[uint16(w>>48)]
		if first&a|a>>16&b|b>>16&c|c>>16&d != 0 {
			x.windows(text, max(from, i-2), i+6, from, limit, hit)
		}
		first = d >> 16
		// Bytes below '+' set their top bit here.
		spaces := (w - '+'*ones) &^ w & tops
		if spaces|before == 0 && encodesText(text[i-8:i+8]) {
			dense(i)
		}
		before = spaces
	}
	x.windows(text, max(from, i-2), end, from, limit, hit)
}

// windows looks at the windows that begin at text[i], text[i+2], … before
// end. Behind the text is anything, say NUL.
func (x *index) windows(text []byte, i, end, from, limit int, hit func(a *anchor, at int)) {
	for ; i < end; i += 2 {
		var w uint32
		if i+4 <= len(text) {
			w = binary.LittleEndian.Uint32(text[i:])
		} else {
			var rest [4]byte
			copy(rest[:], text[i:])
			w = binary.LittleEndian.Uint32(rest[:])
		}
		if x.filter[uint16(w)]>>16&x.filter[uint16(w>>16)] == 0 {
			continue
		}
		places := x.places[x.list[uint16(w)]]
		for n := range places {
			p := &places[n]
			if (w|p.lower)&p.mask != p.value {
				continue
			}
			if at := i - p.off; at >= from && at < limit && p.matches(text[at:]) {
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
		if lowered(text[i]) != a.literal[i] {
			return false
		}
	}
	return true
}

func lowered(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// pair is a spelling of the window's bytes n and n+1.
func (p place) pair(n int) uint16 { return p.pairs(n)[0] }

func (p place) pairs(n int) []uint16 {
	first, second := p.spellings(p.off+n), p.spellings(p.off+n+1)
	out := make([]uint16, 0, len(first)*len(second))
	for _, x := range first {
		for _, y := range second {
			out = append(out, uint16(x)|uint16(y)<<8)
		}
	}
	return out
}

// anything is what may stand outside of a literal.
var anything = func() (all []byte) {
	for i := range 256 {
		all = append(all, byte(i))
	}
	return all
}()

func (a *anchor) spellings(i int) []byte {
	if i < 0 || i >= len(a.literal) {
		return anything
	}
	c := a.literal[i]
	if a.fold && c >= 'a' && c <= 'z' {
		return []byte{c, c - 0x20}
	}
	return []byte{c}
}

// rarest is where the two windows of a literal begin that ordinary text and
// machine code hold least: at the result and one byte behind.
func rarest(literal string) int {
	best, bestCost := -1, 1<<60
	for off := -1; off+5 <= max(len(literal), 4); off++ {
		cost := 0
		for _, o := range []int{off, off + 1} {
			cost += commonness(literal, o) * commonness(literal, o+2)
		}
		if cost < bestCost {
			best, bestCost = off, cost
		}
	}
	return best
}

// commonness estimates, in no particular unit, how often the pair of bytes
// literal[i:i+2] is met.
func commonness(literal string, i int) int {
	if i+1 < 0 || i >= len(literal) {
		return 1 << 16
	}
	if i < 0 || i+1 == len(literal) {
		return 20 * byteCommonness(literal[max(i, 0)])
	}
	a, b := literal[i], literal[i+1]
	if isLetter(a) && isLetter(b) {
		common := 2 << bigram(a, b)
		if a < 'a' || b < 'a' {
			common /= 16 // upper case
		}
		return common + 1
	}
	return byteCommonness(a) * byteCommonness(b)
}

func byteCommonness(c byte) int {
	switch {
	case c == ' ', c == 0:
		return 24
	case c >= 'a' && c <= 'z':
		return 12
	case slices.Contains([]byte(`./-=":,()`), c):
		return 8
	case c == '0', c == '1', c == '_':
		return 5
	}
	return 2
}
