package secrets

import "encoding/binary"

// view is a text that is searched: the stream's own, or one that is written
// in it. Positions in it belong to positions in the stream.
type view struct {
	encoding string
	base     int64 // offset of the first byte
	width    int   // bytes of the stream for one of the text
	depth    int   // encodings inside encodings
	block    *block
}

func (v view) position(i int) int64 {
	if v.block != nil {
		return v.block.position(i)
	}
	return v.base + int64(i)*int64(v.width)
}

// behind is the position behind the text's byte i.
func (v view) behind(i int) int64 {
	if v.block != nil {
		return v.block.position(i) + 2 // of its characters one byte takes two
	}
	return v.position(i) + int64(v.width)
}

// lend returns a buffer of bufferSize bytes, to be given back before those
// that were lent earlier.
func (s *stream) lend() []byte {
	if s.lent == len(s.scratch) {
		s.scratch = append(s.scratch, s.engine.buffers.Get().(*[]byte))
	}
	s.lent++
	return *s.scratch[s.lent-1]
}

// release gives the buffers back without what was scanned, which may be
// secret.
func (s *stream) release() {
	for _, b := range s.scratch {
		clear((*b)[:min(len(*b), s.most)])
		s.engine.buffers.Put(b)
	}
}

// minWide is the number of characters that make text of UTF-16.
const minWide = 16

// wide looks at runs in which every second byte is NUL and the others are
// not: UTF-16 of either byte order, which differ in where such a run begins.
func (s *stream) wide(text []byte, from, limit int, v view) {
	narrow := s.lend()
	defer func() { s.lent-- }()
	for i := max(0, from-lookBehind); i+8 <= len(text) && i < limit+2*minWide; {
		parity, ok := alternating(binary.LittleEndian.Uint64(text[i:]))
		if !ok {
			i += 8
			continue
		}
		start, end := wideRun(text, i+parity)
		if chars := (end - start + 1) / 2; chars >= minWide {
			for j := range chars {
				narrow[j] = text[start+2*j]
			}
			w := v
			w.encoding, w.width, w.base = "utf-16", 2, v.base+int64(start)
			if w.block != nil {
				w.block = w.block.from(start)
			}
			s.look(narrow[:chars], max(0, from-start+1)/2, min(chars, max(0, limit-start+1)/2), w)
		}
		i = max(i+8, end-8)
	}
}

// alternating tells whether four of eight bytes are NUL and the other four,
// which begin at parity, are not.
func alternating(w uint64) (parity int, ok bool) {
	const even, ones = 0x00FF00FF00FF00FF, 0x0001000100010001
	if w&^even != 0 {
		if w&even != 0 {
			return 0, false
		}
		w, parity = w>>8, 1
	}
	// Each 16-bit lane must be between 1 and 255.
	return parity, (w-ones)&0x8000800080008000 == 0
}

// wideRun extends a run through text[i], a character, in both directions.
// end is behind its last character.
func wideRun(text []byte, i int) (start, end int) {
	start, end = i, i+1
	for start >= 2 && text[start-1] == 0 && text[start-2] != 0 {
		start -= 2
	}
	for end+1 < len(text) && text[end] == 0 && text[end+1] != 0 {
		end += 2
	}
	return start, end
}
