package secrets

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// anchor is a literal whose occurrence makes a rule look closer.
type anchor struct {
	literal string   // lower case if fold
	fold    bool     // matches any case
	behind  *charset // what may stand behind it; anything if nil
	rule    *rule
	custom  *customRule // instead of rule
}

// index finds anchors: a sieve tells where one may be, and there the window
// of four bytes by which it was sifted is looked up.
type index struct {
	sieve  *sieve
	places []place
	// byHash has the places of each hash of a window, those of hash n from
	// first[n] to first[n+1]. Anchors of two bytes are in short.
	byHash []uint16
	first  [hashValues + 1]uint32
	short  []uint16
}

// place is an anchor with the window that begins off bytes into its literal.
type place struct {
	*anchor
	off   int
	whole bool // the window has the whole literal
	// The window's bytes, those of any case in lower case, agree with value
	// under mask where they are of the literal.
	lower, mask, value uint32
}

func newIndex(anchors []*anchor) *index {
	x := &index{}
	x.sieve, x.places = newSieve(anchors, inHalves)
	type entry struct {
		hash  uint32
		place uint16
	}
	var all []entry
	for i, p := range x.places {
		p = newPlace(p.anchor, p.off)
		x.places[i] = p
		if len(p.literal) == 2 {
			x.short = append(x.short, uint16(i))
			continue
		}
		for _, h := range p.hashes() {
			all = append(all, entry{h, uint16(i)})
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.hash, b.hash) })
	for _, e := range all {
		x.byHash = append(x.byHash, e.place)
		x.first[e.hash+1]++
	}
	for h := range hashValues {
		x.first[h+1] += x.first[h]
	}
	return x
}

const hashValues = 1 << 13

// hash of a window, below hashValues. It does not tell cases apart.
func hash(window uint32) uint32 { return (window | 0x20202020) * 0x9E3779B1 >> 19 }

// hashes are those of the windows in which the place may be: several if what
// stands behind the literal is in the window.
func (p *place) hashes() []uint32 {
	last := p.off + windowSize - 1
	if last < len(p.literal) {
		return []uint32{hash(p.value)}
	}
	var out []uint32
	may := p.mayHave(last)
	for c := range 256 {
		if may.has(byte(c)) {
			out = append(out, hash(p.value|uint32(c)<<24))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func newPlace(a *anchor, off int) place {
	p := place{anchor: a, off: off, whole: off == 0 && len(a.literal) <= windowSize}
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
				h := hash(w)
				if places := x.byHash[x.first[h]:x.first[h+1]]; len(places) > 0 {
					x.compare(places, w, text, i+n, from, limit, hit)
				}
				if len(x.short) > 0 {
					x.compare(x.short, w, text, i+n, from, limit, hit)
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

// compare holds places against the text around the window w that begins at
// text[i].
func (x *index) compare(places []uint16, w uint32, text []byte, i, from, limit int, hit func(a *anchor, at int)) {
	for _, n := range places {
		p := &x.places[n]
		if (w|p.lower)&p.mask != p.value {
			continue
		}
		if at := i - p.off; at >= from && at < limit && p.followed(text[at:]) && (p.whole || p.begins(text[at:])) {
			hit(p.anchor, at)
		}
	}
}

const maxLiteral = 64

// followed reports whether text, at an anchor, has behind it what may stand
// there.
func (a *anchor) followed(text []byte) bool {
	n := len(a.literal)
	if a.behind == nil {
		return len(text) >= n
	}
	return len(text) > n && a.behind[text[n]]
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
