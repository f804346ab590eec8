package archive

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// zipExtent is what one entry takes up, from its own header to the last byte
// of its content; a data descriptor may follow.
type zipExtent struct{ start, end int64 }

// zipLayout says where readers that go by the directory and readers that go
// from front to back would see different files. extents has one for each
// entry whose header was found.
func (w *walk) zipLayout(c *container, s *source, dir *zipDirectory, extents []zipExtent) {
	slices.SortFunc(extents, func(a, b zipExtent) int { return cmp.Compare(a.start, b.start) })
	first := dir.start
	if len(extents) > 0 {
		first = extents[0].start
	}
	if first > 0 {
		head := make([]byte, min(sniffLen, first))
		s.at.ReadAt(head, 0) // the artifact's failures come again where they count
		if f := Sniff(head); f == Zip {
			w.strange(c.path, HiddenEntry, "zip: another zip, or entries the directory leaves out, in the %d bytes before the first entry", first)
		} else {
			w.stray(c.path, Prefixed, f, "zip: %d bytes before the first entry, which begin as %s", first, f)
		}
	}
	if dir.trailing > 0 {
		head := make([]byte, min(sniffLen, dir.trailing))
		s.at.ReadAt(head, s.size-dir.trailing)
		f := Sniff(head)
		w.stray(c.path, Trailed, f, "zip: %d bytes behind its end, which begin as %s", dir.trailing, f)
	}
	if dir.endsTwice(s.at, s.size) {
		w.strange(c.path, TwoEnds, "zip: two records claim to be its end")
	}
	var end int64
	for i, e := range extents {
		switch {
		case i == 0:
		case e.start < end:
			w.strange(c.path, Overlap, "zip: the entry at byte %d begins before the one before it ends", e.start)
		case hidesEntry(s, end, e.start):
			w.strange(c.path, HiddenEntry, "zip: an entry at about byte %d is not in the directory", end)
		}
		end = max(end, e.end)
	}
	if end > 0 && hidesEntry(s, end, dir.start) {
		w.strange(c.path, HiddenEntry, "zip: an entry at about byte %d is not in the directory", end)
	}
}

// hidesEntry looks for a local header where a reader that goes from front to
// back would: right behind an entry, or behind its data descriptor, which has
// 12 to 24 bytes (APPNOTE 4.3.9).
func hidesEntry(s *source, from, to int64) bool {
	var gap [28]byte
	if to-from < 4 {
		return false
	}
	n, _ := s.at.ReadAt(gap[:min(int64(len(gap)), to-from)], from)
	for _, at := range []int{0, 12, 16, 20, 24} {
		if at+4 <= n && string(gap[at:at+4]) == "PK\x03\x04" {
			return true
		}
	}
	return false
}

// tellsTheSame compares the sizes and the checksum of an entry's own header h
// with the directory's, unless they only follow the content (bit 3 of the
// flags) or are in a zip64 field.
func (r *zipRecord) tellsTheSame(h []byte) bool {
	if binary.LittleEndian.Uint16(h[6:])&(1<<3) != 0 {
		return true
	}
	crc, packed, size := binary.LittleEndian.Uint32(h[14:]), binary.LittleEndian.Uint32(h[18:]), binary.LittleEndian.Uint32(h[22:])
	same := func(local uint32, central uint64) bool { return local == 1<<32-1 || uint64(local) == central }
	return crc == r.crc && same(packed, r.packed) && same(size, r.size)
}
