package secrets

import (
	"encoding/binary"
	"math/bits"
)

// anchor is a literal whose occurrence makes a rule look closer.
type anchor struct {
	literal string     // lower case if fold
	fold    bool       // matches any case
	behind  *[256]bool // what may stand behind it; anything if nil
	rule    *rule
	custom  *customRule // instead of rule
}

// index finds anchors: a sieve tells where one may be, and there the window
// of four bytes by which it was sifted is looked up.
type index struct {
	sieve  *sieve
	places []place
	full   [1 << 13]uint16 // by hash of a window, the first of its places, and one; 0 is none
	short  [1 << 10]uint16 // the same for windows of which the literal fills two bytes
	next   []uint16        // by place, the next with the same hash, and one

	hasShort bool
}

// place is an anchor with the window that begins off bytes into its literal.
type place struct {
	*anchor
	off int
	// The window's bytes, those of any case in lower case, agree with value
	// under mask where they are of the literal.
	lower, mask, value uint32
}

func newIndex(anchors []*anchor) *index {
	x := &index{}
	x.sieve, x.places = newSieve(anchors, inHalves)
	x.next = make([]uint16, len(x.places))
	for i, p := range x.places {
		p = newPlace(p.anchor, p.off)
		x.places[i] = p
		head := &x.full[fullHash(p.value)]
		if len(p.literal) < hashed {
			head = &x.short[shortHash(p.value)]
			x.hasShort = true
		}
		x.next[i], *head = *head, uint16(i+1)
	}
	return x
}

// hashed is how many of a window's bytes fullHash is of. shortHash is of two.
// They do not tell cases apart.
const hashed = 3

func fullHash(window uint32) uint32 { return (window | 0x202020) << 8 * 0x9E3779B1 >> 19 }

func shortHash(window uint32) uint32 { return (window | 0x2020) << 16 * 0x9E3779B1 >> 22 }

func newPlace(a *anchor, off int) place {
	p := place{anchor: a, off: off}
	for n := range windowSize {
		i, shift := off+n, 8*n
		if i >= len(a.literal) {
			break
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
// bytes around it may be base64 of text, and reports whether text has NUL.
func (x *index) each(text []byte, from, limit int, hit func(a *anchor, at int), dense func(i int)) (nul bool) {
	// A window may begin up to maxLiteral bytes after its literal does.
	end := min(len(text), limit+maxLiteral)
	var out sifted
	for i := from; i < end; {
		blocks := min(stride, end-i, len(text)-i-(windowSize-1)) / sieveBlock
		part := text[i:]
		if blocks == 0 { // the end, which is less than two blocks
			var padded [3 * sieveBlock]byte
			blocks = (end - i + sieveBlock - 1) / sieveBlock
			for n := copy(padded[:], part); n < len(padded); n++ {
				padded[n] = '\n'
			}
			part = padded[:]
		}
		x.sieve.pass(part, blocks, &out)
		nul = nul || out.nul
		for with := out.withHits; with != 0; with &= with - 1 {
			b := bits.TrailingZeros64(with)
			for hits := out.hits[b]; hits != 0; hits &= hits - 1 {
				n := b*sieveBlock + bits.TrailingZeros64(hits)
				w := binary.LittleEndian.Uint32(part[n:])
				if first := x.full[fullHash(w)]; first != 0 {
					x.compare(first, w, text, i+n, from, limit, hit)
				}
				if x.hasShort {
					x.compare(x.short[shortHash(w)], w, text, i+n, from, limit, hit)
				}
			}
		}
		for with := out.withDense; with != 0; with &= with - 1 {
			b := bits.TrailingZeros64(with)
			d := out.dense[b]
			for octets := uint8(d | d>>8 | d>>16 | d>>24); octets != 0; octets &= octets - 1 {
				at := i + b*sieveBlock + 8*bits.TrailingZeros8(octets)
				if encodesText(text[at-8 : at+8]) {
					dense(at)
				}
			}
		}
		i += blocks * sieveBlock
	}
	return nul
}

// compare holds the places from first against the text around the window w
// that begins at text[i].
func (x *index) compare(first uint16, w uint32, text []byte, i, from, limit int, hit func(a *anchor, at int)) {
	for ; first != 0; first = x.next[first-1] {
		p := &x.places[first-1]
		if (w|p.lower)&p.mask != p.value {
			continue
		}
		if at := i - p.off; at >= from && at < limit && p.matches(text[at:]) {
			hit(p.anchor, at)
		}
	}
}

const maxLiteral = 64

// matches reports whether text begins with the anchor and what may stand
// behind it.
func (a *anchor) matches(text []byte) bool {
	n := len(a.literal)
	return (a.behind == nil || len(text) > n && a.behind[text[n]]) && a.begins(text)
}

func (a *anchor) begins(text []byte) bool {
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

// mayHave tells which bytes may stand at literal[i], or behind it.
func (a *anchor) mayHave(i int) (set byteSet) {
	switch {
	case i < len(a.literal):
		c := a.literal[i]
		set.add(c)
		if a.fold && c >= 'a' && c <= 'z' {
			set.add(c - 0x20)
		}
	case i == len(a.literal) && a.behind != nil:
		for c, may := range a.behind {
			if may {
				set.add(byte(c))
			}
		}
	default:
		return everyByte
	}
	return set
}
