package secrets

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// sieve tells, many bytes at a time, where windows of four bytes that
// interest may begin, and where text may be in base64. It deals the windows
// into sixteen buckets and knows for each bucket and place in the window which
// bytes stand there, as Hyperscan's Teddy does: what it names is to be
// compared in full, what it leaves out is not there.
type sieve struct {
	// members has, for each byte less its top bit, the buckets of a group of
	// eight in which it may stand at a place.
	members [groups][windowSize][128]byte
	halves  [groups][windowSize]halves // the same, by halves
	// packed has, for each byte, the buckets in which it may not stand at
	// place n of a window in bits 16n to 16n+15.
	packed [256]uint64
}

const (
	windowSize = 4
	groups     = 2 // of eight buckets
	buckets    = 8 * groups
	everyPlace = 1<<(buckets*windowSize) - 1
	lastPlace  = everyPlace &^ (1<<(buckets*(windowSize-1)) - 1) // all buckets, of the last place
	sieveBlock = 64                                              // bytes looked at together
	stride     = 4 << 10                                         // bytes between two looks at what was found
)

// halves has the buckets of a group in which a byte's lower and its upper
// half may stand. Both are there twice, for vectors of 32 bytes.
type halves struct{ low, high [32]byte }

// sifted is what a sieve says of up to stride bytes.
type sifted struct {
	hits  [stride / sieveBlock]uint64 // bit n: a window may begin at byte n
	dense [stride / sieveBlock]uint32 // where text may be in base64, as denser has it
	// The blocks that have any: bit n is for block n.
	withHits, withDense uint64
	octets              uint32 // of the last block, for the next call
	nul                 bool   // one of the bytes is NUL
}

// denser tells where two octets stand side by side that may be of the base64
// of ASCII in the same phase. octets has a byte for each phase, in which bit n
// stands for bytes 8n to 8n+7 of a block, before those of the block before.
// What is returned has the second of two.
func denser(octets, before uint32) uint32 {
	const first = 0x01010101
	return octets & (octets<<1&^first | before>>7&first)
}

// base64Halves are the table by which vectors of 32 bytes tell base64's
// alphabet: a byte is in it if the entries of its halves have a bit in common.
var base64Halves = func() (h halves) {
	for c, v := range sextet {
		if v >= 0 {
			bit := byte(1) << (c >> 4)
			h.high[c>>4], h.high[c>>4+16] = bit, bit
			h.low[c&15] |= bit
			h.low[c&15+16] |= bit
		}
	}
	return h
}()

// passGo sifts so many blocks of text, which has windowSize-1 bytes more.
func (s *sieve) passGo(text []byte, blocks int, out *sifted) {
	out.withHits, out.withDense = 0, 0
	out.nul = bytes.IndexByte(text[:blocks*sieveBlock], 0) >= 0
	// By place, the buckets of which no window has been met up to there.
	state := uint64(everyPlace)
	for _, c := range text[:windowSize-1] {
		state = state<<buckets | s.packed[c]
	}
	for b := range blocks {
		hits, octets := uint64(0), uint32(0)
		for i, c := range text[b*sieveBlock+windowSize-1:][:sieveBlock] {
			if state = state<<buckets | s.packed[c]; state < lastPlace {
				hits |= 1 << i
			}
		}
		for i := range sieveBlock / 8 {
			eight := text[b*sieveBlock+8*i:][:8]
			// Bytes below '+' set their top bit here, most often a space.
			w := binary.LittleEndian.Uint64(eight)
			if (w-'+'*ones)&^w&tops != 0 {
				continue
			}
			for p, of := 0, phasesOf(eight); of != 0; p, of = p+1, of>>1 {
				octets |= uint32(of&1) << (8*p + i)
			}
		}
		out.hits[b], out.dense[b] = hits, denser(octets, out.octets)
		out.octets = octets
		if hits != 0 {
			out.withHits |= 1 << b
		}
		if out.dense[b] != 0 {
			out.withDense |= 1 << b
		}
	}
}

const ones, tops = 0x0101010101010101, 0x8080808080808080

// byteSet is a set of bytes less their top bits: bit n of row m is for the
// byte with upper half m and lower half n.
type byteSet [8]uint16

var everyByte = byteSet{0: 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF}

func (b *byteSet) add(c byte) { b[c>>4&7] |= 1 << (c & 15) }

func (b *byteSet) has(c byte) bool { return b[c>>4&7]>>(c&15)&1 != 0 }

// lower is the lower halves of its bytes.
func (b *byteSet) lower() (halves uint16) {
	for _, row := range b {
		halves |= row
	}
	return halves
}

// widen takes in all bytes that have the upper half of one of the set's and
// the lower half of one.
func (b *byteSet) widen() {
	lower := b.lower()
	for m := range b {
		if b[m] != 0 {
			b[m] = lower
		}
	}
}

// bucket is what its windows have at each place.
type bucket [windowSize]byteSet

// window is a bucket of one place's window.
func (p place) window() (b bucket) {
	for n := range b {
		b[n] = p.mayHave(p.off + n)
	}
	return b
}

// add puts a window into the bucket. In halves it takes in what has the same
// halves of bytes at each place.
func (b *bucket) add(window *bucket, inHalves bool) {
	for n := range b {
		for m, row := range window[n] {
			b[n][m] |= row
		}
		if inHalves {
			b[n].widen()
		}
	}
}

// cost is the share of positions in text that the bucket lets through, if
// bytes came independently.
func (b *bucket) cost() float64 {
	share := 1.0
	for _, set := range b {
		sum := 0
		for m, row := range set {
			sum += frequencies[2*m][row&0xFF] + frequencies[2*m+1][row>>8]
		}
		share *= float64(sum) / 10_000
	}
	return share
}

// newSieve chooses for every anchor the window and the bucket that let least
// of ordinary text through. Its places are those windows. Tables in halves need
// buckets in halves.
func newSieve(anchors []*anchor, inHalves bool) (*sieve, []place) {
	d := deal{inHalves: inHalves}
	alone := make(map[*anchor]float64, len(anchors))
	for _, a := range anchors {
		d.places = append(d.places, place{anchor: a})
		alone[a] = 1
		for off := range windowsOf(a) {
			window := place{anchor: a, off: off}.window()
			alone[a] = min(alone[a], window.cost())
		}
	}
	// What lets much through by itself chooses first; then each may choose
	// again, knowing the others.
	slices.SortStableFunc(d.places, func(a, b place) int { return cmp.Compare(alone[b.anchor], alone[a.anchor]) })
	for i := range d.places {
		d.choose(i)
	}
	for range min(maxRounds, maxChoices/max(1, len(anchors))) {
		for i := range d.places {
			d.withdraw(i)
			d.choose(i)
		}
	}
	return packSieve(&d.all), d.places
}

// Anchors choose again so many times, and so many choices are made at most.
const (
	maxRounds  = 2
	maxChoices = 2000
)

// deal is the buckets while places are dealt into them.
type deal struct {
	places   []place
	inHalves bool
	members  [buckets][]int // of places
	all      [buckets]bucket
	costs    [buckets]float64
}

// choose puts a place where it adds least, with the window that does.
func (d *deal) choose(i int) {
	best, least := 0, -1.0
	a := d.places[i].anchor
	for off := range windowsOf(a) {
		p := place{anchor: a, off: off}
		window := p.window()
		for k := range d.all {
			grown := d.all[k]
			grown.add(&window, d.inHalves)
			if more := grown.cost() - d.costs[k]; least < 0 || more < least {
				d.places[i], best, least = p, k, more
			}
		}
	}
	d.members[best] = append(d.members[best], i)
	window := d.places[i].window()
	d.all[best].add(&window, d.inHalves)
	d.costs[best] = d.all[best].cost()
}

// withdraw takes a place out of its bucket.
func (d *deal) withdraw(i int) {
	for k := range d.members {
		n := slices.Index(d.members[k], i)
		if n < 0 {
			continue
		}
		d.members[k] = slices.Delete(d.members[k], n, n+1)
		d.all[k] = bucket{}
		for _, m := range d.members[k] {
			window := d.places[m].window()
			d.all[k].add(&window, d.inHalves)
		}
		d.costs[k] = d.all[k].cost()
	}
}

// windowsOf is how many windows an anchor has, with what may stand behind it.
func windowsOf(a *anchor) int {
	n := len(a.literal)
	if a.behind != nil {
		n++
	}
	return max(1, n-windowSize+1)
}

func packSieve(all *[buckets]bucket) *sieve {
	s := new(sieve)
	for c := range s.packed {
		s.packed[c] = everyPlace
	}
	for k, b := range all {
		g, bit := k/8, byte(1)<<(k%8)
		for n := range b {
			lower, h := b[n].lower(), &s.halves[g][n]
			for c := range 256 {
				low, high := c&15, c>>4
				if lower>>low&1 != 0 {
					h.low[low] |= bit
					h.low[low+16] |= bit
				}
				row := b[n][high&7]
				if row != 0 {
					h.high[high] |= bit
					h.high[high+16] |= bit
				}
				if row>>low&1 != 0 {
					s.members[g][n][c&0x7F] |= bit
					s.packed[c] &^= 1 << (buckets*n + k)
				}
			}
		}
	}
	return s
}

// byteFrequencies of ' ' to '~', in ten thousandths of the bytes of 17 MB of
// source code and documentation in some dozen languages.
var byteFrequencies = [...]int{
	1760, 8, 212, 13, 4, 8, 9, 25, 98, 97, 40, 6, 173, 36, 124, 96,
	74, 46, 39, 24, 25, 17, 27, 12, 15, 11, 109, 15, 14, 59, 15, 1,
	1, 49, 18, 50, 32, 55, 29, 18, 14, 46, 4, 11, 33, 30, 42, 34,
	40, 4, 44, 69, 61, 22, 17, 11, 7, 5, 3, 21, 12, 21, 1, 103,
	13, 337, 70, 210, 179, 668, 136, 105, 106, 354, 8, 42, 208, 126, 364, 320,
	176, 16, 404, 346, 508, 177, 60, 40, 79, 81, 12, 63, 5, 63, 1,
}

// frequencies sums those of the bytes with one upper half and any of eight
// lower halves: the table 2n is for upper half n and lower halves 0 to 7.
var frequencies = func() (t [32][256]int) {
	of := func(c int) int {
		switch {
		case c >= ' ' && c <= '~':
			return byteFrequencies[c-' ']
		case c == '\n', c == '\t':
			return 300
		}
		return 1
	}
	for n := range t {
		for set := range 256 {
			for low := range 8 {
				if set>>low&1 != 0 {
					t[n][set] += of(n/2*16 + n%2*8 + low)
				}
			}
		}
	}
	return t
}()
