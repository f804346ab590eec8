package secrets

import (
	"bytes"
	"sort"
)

const (
	minEncoded = 24       // characters of base64 worth decoding
	maxEncoded = 16 << 10 // characters decoded at once; longer runs are cut
	overlap    = 4 << 10  // of the pieces of a cut run
	joinFrom   = 56       // characters of a line that may go on in the next
	maxIndent  = 16       // spaces before the next line
	maxNesting = 2        // base64 in base64, as in a Kubernetes secret with a Docker login
)

// block is a run of base64 (RFC 4648, both alphabets), perhaps broken into
// lines, or a piece of one that is too long.
type block struct {
	chars []byte
	lines []line
	end   int  // position behind it in the text
	cut   bool // the run goes on

	outer view // of the text
	shift int  // characters left out before decoding
	skip  int  // decoded bytes before the view's text
	step  int  // decoded bytes for one of the view's text
}

// line says which character of a block begins at which position of the text.
type line struct{ char, at int }

// at is the text's position of a character.
func (b *block) at(char int) int {
	n := sort.Search(len(b.lines), func(n int) bool { return b.lines[n].char > char }) - 1
	return b.lines[n].at + char - b.lines[n].char
}

// position is the offset in the stream of the character with which the
// view's byte i begins.
func (b *block) position(i int) int64 {
	i = b.skip + i*b.step
	return b.outer.position(b.at(b.shift + i/3*4 + i%3))
}

// from is the block as UTF-16 in it sees it that begins start bytes into what
// the block decodes to.
func (b *block) from(start int) *block {
	w := *b
	w.skip, w.step = start, 2
	return &w
}

// runs is how far a search for runs of base64 has come.
type runs struct {
	seen  int // where further ones may begin
	older int // end of one that began in the round before, and was looked at there
}

// encodedNear decodes the run of base64 around text[i] if it begins in
// text[from:limit].
func (s *stream) encodedNear(text []byte, i, from, limit int, v view, r *runs) {
	if i < max(r.seen, r.older) || sextet[text[i]] < 0 || v.depth == maxNesting {
		return
	}
	start := i
	for start > r.seen && start >= from && sextet[text[start-1]] >= 0 {
		start--
	}
	if start < from {
		r.older = i + runLength(text[i:])
		return
	}
	for start < limit {
		stop := start + runLength(text[start:min(len(text), start+maxEncoded)])
		r.seen = stop
		if stop < len(text) && text[stop] == '.' {
			if f, ok := discordToken(text, start, stop); ok {
				s.add(discordRule, f, text, v)
			}
		}
		if len(shifts(text[start:stop])) == 0 {
			return
		}
		b := s.collect(text, start)
		s.decode(b, v)
		s.lent-- // collect's
		r.seen = b.end
		if !b.cut {
			return
		}
		start = b.at(len(b.chars) - overlap)
		r.seen = start
	}
}

// runLength is how many characters of base64 text begins with.
func runLength(text []byte) int {
	for i, c := range text {
		if sextet[c] < 0 {
			return i
		}
	}
	return len(text)
}

// collect reads the run that begins at text[start].
func (s *stream) collect(text []byte, start int) *block {
	b := &block{chars: s.lend()[:0], lines: []line{{0, start}}}
	i := start
	for {
		n := runLength(text[i:min(len(text), i+maxEncoded-len(b.chars))])
		b.chars = append(b.chars, text[i:i+n]...)
		i += n
		b.end = i
		if len(b.chars) == maxEncoded {
			b.cut = true
			return b
		}
		if len(b.chars)-b.lines[len(b.lines)-1].char < joinFrom {
			return b
		}
		next := nextLine(text, i)
		if next == len(text) || sextet[text[next]] < 0 {
			return b
		}
		b.lines = append(b.lines, line{len(b.chars), next})
		i = next
	}
}

// nextLine is where the line after a break, real or escaped, has its first
// character; len(text) if there is no break.
func nextLine(text []byte, i int) int {
	rest := text[i:]
	for _, eol := range []string{"\n", "\r\n", `\n`, `\r\n`} {
		if bytes.HasPrefix(rest, []byte(eol)) {
			return skip(text, i+len(eol), blanks, maxIndent)
		}
	}
	return len(text)
}

// decode searches what the block says.
func (s *stream) decode(b *block, v view) {
	plain := s.lend()
	defer func() { s.lent-- }()
	for _, shift := range shifts(b.chars) {
		n := decodeBase64(plain, b.chars[shift:])
		inner := *b
		inner.outer, inner.shift, inner.step = v, shift, 1
		s.look(plain[:n], 0, n, view{encoding: "base64", width: 1, depth: v.depth + 1, block: &inner})
	}
}

// shifts are how many characters to leave out for a run to decode to text,
// none if it does not. There may be some: "/" and letters before the
// encoding are of the alphabet too.
func shifts(run []byte) (out []int) {
	if len(run) < minEncoded {
		return nil
	}
	for shift := range 4 {
		if chars := run[min(shift, len(run)):]; textual(chars) || len(chars) > minEncoded && textual(chars[minEncoded:]) {
			out = append(out, shift)
		}
	}
	return out
}

// textual reports whether the first 24 characters encode ASCII, which chance
// does once in a million times. NUL is for UTF-16.
func textual(chars []byte) bool {
	if len(chars) < minEncoded || !encodesText(chars[:16]) {
		return false
	}
	var out [minEncoded / 4 * 3]byte
	decodeBase64(out[:], chars[:minEncoded])
	for _, c := range out {
		if c >= 0x7F || c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != 0 {
			return false
		}
	}
	return true
}

// encodesText reports whether 16 characters may be of the base64 of ASCII.
func encodesText(chars []byte) bool { return phasesOf(chars[:8])&phasesOf(chars[8:16]) != 0 }

// phases is how many ways there are for characters to stand in groups of four:
// a phase is how many of them come before the first whole group.
const phases = 4

// phasesOf has a bit for each phase in which 8 characters may be of the
// base64 of ASCII.
func phasesOf(chars []byte) byte {
	t := &asciiPhases
	return t[0][chars[0]] & t[1][chars[1]] & t[2][chars[2]] & t[3][chars[3]] & t[0][chars[4]] & t[1][chars[5]] & t[2][chars[6]] & t[3][chars[7]]
}

// firstBits has bit k set if at place k of a group the character would set
// the first bit of a byte, which ASCII does not, and the top bit if it is not
// of base64's alphabet.
var firstBits = func() (t [256]byte) {
	for c, v := range sextet {
		switch {
		case v < 0:
			t[c] = 0x80
		default:
			t[c] = byte(v>>5&1 | v>>3&1<<1 | v>>1&1<<2)
		}
	}
	return t
}()

// refused are, by phase, the bits that firstBits may not have of the
// characters of a group and the next.
var refused = func() (t [phases][8]byte) {
	for phase := range t {
		for at := range t[phase] {
			t[phase][at] = 0x80 | 1<<((at-phase+4)%4)
		}
	}
	return t
}()

// asciiPhases has, for the place of a character modulo 4 and the character,
// a bit for each phase in which it may be of the base64 of ASCII.
var asciiPhases = func() (t [4][256]byte) {
	for at := range t {
		for c, bits := range firstBits {
			for phase := range refused {
				if bits&refused[phase][at] == 0 {
					t[at][c] |= 1 << phase
				}
			}
		}
	}
	return t
}()

// decodeBase64 decodes chars, all of the alphabet, without their padding.
func decodeBase64(out, chars []byte) (n int) {
	for ; len(chars) >= 4; chars = chars[4:] {
		w := uint32(sextet[chars[0]])<<18 | uint32(sextet[chars[1]])<<12 | uint32(sextet[chars[2]])<<6 | uint32(sextet[chars[3]])
		out[n], out[n+1], out[n+2] = byte(w>>16), byte(w>>8), byte(w)
		n += 3
	}
	if len(chars) >= 2 {
		w := uint32(sextet[chars[0]])<<18 | uint32(sextet[chars[1]])<<12
		if len(chars) == 3 {
			w |= uint32(sextet[chars[2]]) << 6
		}
		out[n] = byte(w >> 16)
		n++
		if len(chars) == 3 {
			out[n] = byte(w >> 8)
			n++
		}
	}
	return n
}

// sextet is the value of each character of base64, -1 for others.
var sextet = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i, c := range []byte(upper + lower + digits) {
		t[c] = int8(i)
	}
	t['+'], t['/'], t['-'], t['_'] = 62, 63, 62, 63
	return t
}()
