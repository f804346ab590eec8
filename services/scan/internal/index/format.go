// Package index keeps advisories on disk in a form that is matched without
// decoding: immutable segments, mapped into memory, found by package.
//
// A generation is a directory with a manifest and one or two segments: the
// base, and a delta that replaces some of its records. A segment is two files.
// The index has what matching needs:
//
//	header     magic, version, counts and offsets (fixed size, little-endian)
//	packages   (hash of the package's key, offset of its postings), sorted
//	records    offset of each record, in the order of their ids
//	removed    ids of the base's records that a delta replaces or retracts
//	ecosystems what there are advisories for
//	           - these tables have one CRC-32C, checked when the file is opened -
//	record     length, CRC-32C, then id, modified, aliases, summary, ...
//	postings   length, CRC-32C, then the package's key and its entries
//
// and the records file the advisories themselves, compressed in blocks, which
// is read only to explain a finding or to build anew. Every checksum is
// checked once, before the bytes are believed for the first time, so damage is
// an error and never an answer.
package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// ErrDamaged is wrapped when a file is not what was written.
var ErrDamaged = errors.New("the index is damaged")

const (
	magic         = "assizeIX"
	formatVersion = 1
	// headerSize: magic, version, four counts, seven offsets, two checksums.
	headerSize = 8 + 4 + 4*4 + 7*8 + 2*4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// header is where things are; offsets are from the start of the file.
type header struct {
	packages, records, removed, ecosystems uint32 // counts
	packagesAt, recordsAt, removedAt       uint64
	ecosystemsAt, tablesEnd, bodyAt, size  uint64
	tables                                 uint32 // CRC-32C of all tables
}

func (h *header) encode() []byte {
	b := append(make([]byte, 0, headerSize), magic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
	for _, n := range []uint32{h.packages, h.records, h.removed, h.ecosystems} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	for _, n := range []uint64{h.packagesAt, h.recordsAt, h.removedAt, h.ecosystemsAt, h.tablesEnd, h.bodyAt, h.size} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = binary.LittleEndian.AppendUint32(b, h.tables)
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

func decodeHeader(file []byte) (*header, error) {
	damaged := func(what string) (*header, error) { return nil, fmt.Errorf("%w: %s", ErrDamaged, what) }
	if len(file) < headerSize || string(file[:len(magic)]) != magic {
		return damaged("not a segment")
	}
	b := file[:headerSize]
	if binary.LittleEndian.Uint32(b[headerSize-4:]) != checksum(b[:headerSize-4]) {
		return damaged("its header was changed")
	}
	at := len(magic)
	u32 := func() uint32 { at += 4; return binary.LittleEndian.Uint32(b[at-4:]) }
	u64 := func() uint64 { at += 8; return binary.LittleEndian.Uint64(b[at-8:]) }
	if v := u32(); v != formatVersion {
		return nil, fmt.Errorf("segment of version %d, this program reads %d: build the index anew", v, formatVersion)
	}
	h := &header{packages: u32(), records: u32(), removed: u32(), ecosystems: u32()}
	for _, p := range []*uint64{&h.packagesAt, &h.recordsAt, &h.removedAt, &h.ecosystemsAt, &h.tablesEnd, &h.bodyAt, &h.size} {
		*p = u64()
	}
	h.tables = u32()
	switch {
	case h.size != uint64(len(file)):
		return damaged(fmt.Sprintf("it has %d bytes, not %d", len(file), h.size))
	case h.packagesAt != headerSize, h.packagesAt+uint64(h.packages)*16 != h.recordsAt, h.recordsAt+uint64(h.records)*8 != h.removedAt,
		h.removedAt > h.ecosystemsAt, h.ecosystemsAt > h.tablesEnd, h.tablesEnd > h.bodyAt, h.bodyAt > h.size:
		return damaged("its tables overlap")
	case checksum(file[headerSize:h.tablesEnd]) != h.tables:
		return damaged("its tables were changed")
	}
	return h, nil
}

// hash is FNV-1a of a package's key.
func hash(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return h
}
