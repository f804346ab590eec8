// Package pspfslots finds the parts of a PSPF/2025 package that scanning
// looks into. It trusts nothing and verifies nothing: signatures and
// checksums are another service's question.
package pspfslots

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The trailer is the last 8200 bytes of a package: a magic, the index block,
// another magic. Numbers are little-endian, offsets absolute.
const (
	trailerSize = 8200
	indexSize   = 8192
	recordSize  = 64
	maxSlots    = 65535    // FEP-0001
	maxMetadata = 10 << 20 // compressed, generously: the inflated limit is the same
)

var (
	startMagic = []byte{0xF0, 0x9F, 0x93, 0xA6}
	endMagic   = []byte{0xF0, 0x9F, 0xAA, 0x84}
)

// ErrNone is returned for bytes that do not end with a PSPF trailer.
var ErrNone = errors.New("not a PSPF package: no trailer at the end")

// Section is a part of the file.
type Section struct {
	Offset, Size int64
	// Operations is how a slot was encoded: byte k, from the lowest, is
	// the k-th operation applied. 0 is stored as it is.
	Operations uint64
}

// Reader reads the section's bytes.
func (s Section) Reader(src io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(src, s.Offset, s.Size)
}

// Layout is where everything is.
type Layout struct {
	Launcher Section
	Metadata Section   // gzip of JSON
	Slots    []Section // by position; Size 0 for a slot without bytes, such as one that means the file itself
}

// Read finds the sections of a package of size bytes. Every section it
// returns lies inside the file, before the trailer.
func Read(src io.ReaderAt, size int64) (*Layout, error) {
	if size < trailerSize {
		return nil, ErrNone
	}
	trailer := make([]byte, trailerSize)
	if _, err := src.ReadAt(trailer, size-trailerSize); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read PSPF trailer: %w", err)
	}
	if string(trailer[:4]) != string(startMagic) || string(trailer[trailerSize-4:]) != string(endMagic) {
		return nil, ErrNone
	}
	index := trailer[4 : 4+indexSize]
	end := uint64(size - trailerSize)
	section := func(what string, offset, length uint64) (Section, error) {
		if offset > end || length > end-offset {
			return Section{}, fmt.Errorf("PSPF %s: %d bytes at %d are not inside the file", what, length, offset)
		}
		return Section{Offset: int64(offset), Size: int64(length)}, nil
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(index[at:]) }
	var l Layout
	var err error
	if l.Launcher, err = section("launcher", 0, u64(16)); err != nil {
		return nil, err
	}
	if l.Metadata, err = section("metadata", u64(24), u64(32)); err != nil {
		return nil, err
	}
	if l.Metadata.Size > maxMetadata {
		return nil, fmt.Errorf("PSPF metadata: %d bytes, at most %d", l.Metadata.Size, maxMetadata)
	}
	count := binary.LittleEndian.Uint32(index[56:])
	if count == 0 {
		return &l, nil // the table's offset is meaningless then
	}
	if count > maxSlots || u64(48) != uint64(count)*recordSize {
		return nil, fmt.Errorf("PSPF slot table: %d slots in %d bytes, want %d each and at most %d", count, u64(48), recordSize, maxSlots)
	}
	table, err := section("slot table", u64(40), u64(48))
	if err != nil {
		return nil, err
	}
	raw := make([]byte, table.Size) // bounded by the file's own size
	if _, err := src.ReadAt(raw, table.Offset); err != nil {
		return nil, fmt.Errorf("read PSPF slot table: %w", err)
	}
	for i := range int(count) {
		record := raw[i*recordSize:]
		offset, length := binary.LittleEndian.Uint64(record[16:]), binary.LittleEndian.Uint64(record[24:])
		s, err := section(fmt.Sprintf("slot %d", i), offset, length)
		if err != nil {
			return nil, err
		}
		s.Operations = binary.LittleEndian.Uint64(record[40:])
		l.Slots = append(l.Slots, s)
	}
	return &l, nil
}

// operations that the archive walker undoes by looking at the bytes.
var unpacked = map[byte]bool{0x01: true, 0x10: true, 0x13: true, 0x16: true, 0x1B: true} // tar, gzip, bzip2, xz, zstd

// Opaque names the first operation of a chain that cannot be undone here, so
// that what the slot holds stays unseen.
func Opaque(operations uint64) (op byte, opaque bool) {
	for ; operations != 0; operations >>= 8 {
		if op := byte(operations); !unpacked[op] {
			return op, true
		}
	}
	return 0, false
}
