// Package tree grows the Merkle tree of a log (RFC 6962, section 2.1) and keeps
// it in the tiles and entry bundles of c2sp.org/tlog-tiles.
package tree

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// Width is how many hashes a full tile has, and how many entries a full
	// bundle.
	Width = 256

	// MaxEntry bounds an entry, in bytes: a bundle gives its length in 16 bits.
	MaxEntry = 1<<16 - 1

	height = 8 // of a tile: log2(Width)
)

// Object is a tile or a bundle, under its path below the log's address.
type Object struct {
	Path    string
	Content []byte
}

// Tree is the right edge of a tree: the last tile of every level, and the last
// bundle. The zero Tree is empty. It has one user at a time.
type Tree struct {
	size   uint64
	levels [][]tlog.Hash // always fewer than Width
	bundle []byte
	full   []Object
}

// Size is how many entries there are.
func (t *Tree) Size() uint64 { return t.size }

// Add appends an entry of at most MaxEntry bytes.
func (t *Tree) Add(entry []byte) error { return t.AddHashed(entry, tlog.RecordHash(entry)) }

// AddHashed is Add for who has the entry's hash (tlog.RecordHash) already.
func (t *Tree) AddHashed(entry []byte, hash tlog.Hash) error {
	if len(entry) > MaxEntry {
		return fmt.Errorf("entry %d: %d bytes, at most %d", t.size, len(entry), MaxEntry)
	}
	t.bundle = binary.BigEndian.AppendUint16(t.bundle, uint16(len(entry)))
	t.bundle = append(t.bundle, entry...)
	t.size++
	if t.size%Width == 0 {
		t.full = append(t.full, Object{bundlePath(t.size/Width-1, 0), t.bundle})
		t.bundle = make([]byte, 0, len(t.bundle))
	}
	t.push(0, hash)
	return nil
}

// push appends a hash to a level. A tile that it fills is one hash of the next.
func (t *Tree) push(level int, h tlog.Hash) {
	if level == len(t.levels) {
		t.levels = append(t.levels, make([]tlog.Hash, 0, Width))
	}
	t.levels[level] = append(t.levels[level], h)
	if len(t.levels[level]) < Width {
		return
	}
	tile := t.levels[level]
	index := t.size>>(height*(level+1)) - 1
	t.full = append(t.full, Object{tilePath(level, index, 0), join(tile)})
	t.levels[level] = t.levels[level][:0]
	t.push(level+1, root(tile))
}

// Full takes the tiles and bundles that were filled since the last call.
func (t *Tree) Full() []Object {
	full := t.full
	t.full = nil
	return full
}

// Partial are the tiles and the bundle at the right edge that are not full.
func (t *Tree) Partial() (all []Object) {
	if n := int(t.size % Width); n > 0 {
		all = append(all, Object{bundlePath(t.size/Width, n), t.bundle[:len(t.bundle):len(t.bundle)]})
	}
	for level, tile := range t.levels {
		if len(tile) > 0 {
			all = append(all, Object{tilePath(level, t.size>>(height*(level+1)), len(tile)), join(tile)})
		}
	}
	return all
}

// Root is the hash of the whole tree: of nothing, SHA-256 of nothing.
func (t *Tree) Root() tlog.Hash {
	var last []tlog.Hash // the tree to the right of the level's tile, if any
	for _, tile := range t.levels {
		if len(tile) == 0 {
			continue
		}
		all := append(tile[:len(tile):len(tile)], last...)
		last = []tlog.Hash{root(all)}
	}
	if last == nil {
		return sha256.Sum256(nil)
	}
	return last[0]
}

// root of the tree above hashes, of which all but the last stand for equally
// many entries and the last for as many or fewer.
func root(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	k := 1 << (bits.Len(uint(len(hashes)-1)) - 1)
	return tlog.NodeHash(root(hashes[:k]), root(hashes[k:]))
}

func join(hashes []tlog.Hash) []byte {
	b := make([]byte, 0, len(hashes)*tlog.HashSize)
	for i := range hashes {
		b = append(b, hashes[i][:]...)
	}
	return b
}

// tilePath is where a tile is; width 0 is a full one.
func tilePath(level int, index uint64, width int) string {
	return fmt.Sprintf("tile/%d/%s", level, number(index, width))
}

func bundlePath(index uint64, width int) string { return "tile/entries/" + number(index, width) }

// number is written in groups of three digits, all but the last after an x.
func number(index uint64, width int) string {
	s := fmt.Sprintf("%03d", index%1000)
	for index /= 1000; index > 0; index /= 1000 {
		s = fmt.Sprintf("x%03d/%s", index%1000, s)
	}
	if width > 0 {
		s += fmt.Sprintf(".p/%d", width)
	}
	return s
}

// Before are the last full tiles of every level and the last full bundles, at
// most n of each, in order and without their contents.
func (t *Tree) Before(n uint64) (all []Object) {
	for level := 0; t.size>>(height*(level+1)) > 0; level++ {
		full := t.size >> (height * (level + 1))
		for i := full - min(n, full); i < full; i++ {
			all = append(all, Object{Path: tilePath(level, i, 0)})
			if level == 0 {
				all = append(all, Object{Path: bundlePath(i, 0)})
			}
		}
	}
	return all
}
