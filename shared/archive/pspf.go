package archive

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Names of what a PSPF/2025 package holds beside its slots, and the format's
// own limit for the inflated metadata (FEP-0001).
const (
	PSPFMetadata    = "metadata.json"
	PSPFLauncher    = "launcher"
	MaxPSPFMetadata = 10 << 20
)

// A package is launcher, metadata, slot table, slots and trailer, with zeros
// between them. The trailer is a magic, the index of 8192 bytes and a magic;
// integers are little-endian, offsets count from the start of the file.
const (
	pspfTrailer  = 8200
	pspfStart    = "\xf0\x9f\x93\xa6"
	pspfEnd      = "\xf0\x9f\xaa\x84"
	pspfSlotLen  = 64
	maxPSPFSlots = 65535 // FEP-0001
)

// pspfOperations are those that the walk undoes by looking at the bytes.
var pspfOperations = map[byte]Format{0x01: Tar, 0x10: Gzip, 0x13: Bzip2, 0x16: XZ, 0x1b: Zstd}

// IsPSPF looks for the magics at both ends of the trailer, where alone they
// count: a launcher may contain the same bytes anywhere. The error is r's.
func IsPSPF(r io.ReaderAt, size int64) (bool, error) {
	if size < pspfTrailer {
		return false, nil
	}
	var magic [len(pspfEnd)]byte
	n, err := r.ReadAt(magic[:], size-pspfTrailer)
	if n == len(magic) && string(magic[:]) == pspfStart {
		n, err = r.ReadAt(magic[:], size-int64(len(magic)))
		if n == len(magic) && string(magic[:]) == pspfEnd {
			return true, nil
		}
	}
	if n < len(magic) && err != io.EOF {
		return false, err
	}
	return false, nil
}

// namedPSPF decides whether bytes that pass by once are held to see their end.
func namedPSPF(name string) bool {
	ext := strings.ToLower(path.Ext(name))
	return ext == ".psp" || ext == ".pspf"
}

// pspf walks metadata, launcher and slots, in this order. It verifies
// nothing: signatures and checksums are another service's question. A slot is
// called as it would be unpacked, below "{workenv}", or else by its id.
func (w *walk) pspf(c *container, s *source) error {
	var index [60]byte
	if n, err := s.at.ReadAt(index[:], s.size-pspfTrailer+int64(len(pspfStart))); n < len(index) {
		return asFault(err, "pspf: index")
	}
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(index[at:]) }
	l := &pspfLayout{w: w, c: c, at: s.at, end: uint64(s.size - pspfTrailer)}
	launcher := &member{Entry: &Entry{RawPath: PSPFLauncher, Type: File, Size: claimed(u64(16))}}
	launcher.body, launcher.unreadable = l.next("launcher", 0, u64(16))
	packed, lost := l.next("metadata", u64(24), u64(32))
	slots, done, err := w.pspfMetadata(c, packed, lost)
	defer done()
	if err != nil {
		return err
	}
	if launcher.Size > 0 {
		if err := w.member(c, launcher); err != nil {
			return err
		}
	}
	c.names = newNames(PSPF) // neither would be unpacked over a slot
	if err := l.slots(slots, binary.LittleEndian.Uint32(index[56:]), u64(40), u64(48)); err != nil {
		return err
	}
	return l.rest()
}

func claimed(n uint64) int64 { return int64(min(n, 1<<63-1)) }

// pspfSlots is what the metadata says of the slots; nil if it cannot be read.
type pspfSlots []pspfSlot

type pspfSlot struct {
	ID      string `json:"id"`
	Target  string `json:"target"`
	SelfRef bool   `json:"self_ref"` // stands for the package itself
}

// UnmarshalJSON stops at the format's limit: objects of two bytes each would
// otherwise fill many times the memory of the metadata.
func (p *pspfSlots) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	switch start, err := dec.Token(); {
	case err != nil || start == nil:
		return err
	case start != json.Delim('['):
		return fmt.Errorf("slots are not a list: %.20q", data)
	}
	*p = nil
	for dec.More() {
		if len(*p) == maxPSPFSlots {
			return fmt.Errorf("more than %d slots", maxPSPFSlots)
		}
		var slot pspfSlot
		if err := dec.Decode(&slot); err != nil {
			return err
		}
		*p = append(*p, slot)
	}
	return nil
}

// path is where the slot would be unpacked to, as the package spells it.
func (p pspfSlots) path(i int) string {
	if i < len(p) {
		target := strings.TrimPrefix(p[i].Target, "{workenv}/")
		if target != "" && target != "{workenv}" {
			return target
		}
		if p[i].ID != "" {
			return p[i].ID
		}
	}
	return fmt.Sprintf("slot%d", i)
}

// pspfMetadata shows the inflated metadata, or why there is none, and reads
// the slots in it. done gives back the memory that the slots take.
func (w *walk) pspfMetadata(c *container, packed source, lost error) (slots pspfSlots, done func(), err error) {
	done = func() {}
	at := c.path + "!" + PSPFMetadata
	m := &member{Entry: &Entry{RawPath: PSPFMetadata, Type: File, Size: -1}, unreadable: lost}
	var data []byte
	if m.unreadable == nil {
		m.unreadable = w.budget.memory.take(MaxPSPFMetadata, "pspf metadata")
	}
	if m.unreadable == nil {
		data, m.unreadable = w.inflatePSPF(at, &packed)
		unused := MaxPSPFMetadata - int64(len(data))
		w.budget.memory.give(unused)
		done = func() { w.budget.memory.give(MaxPSPFMetadata - unused) }
		m.Size = int64(len(data))
		m.body = source{at: bytes.NewReader(data), size: m.Size}
	}
	if err := w.member(c, m); err != nil || m.unreadable != nil {
		return nil, done, err
	}
	var metadata struct {
		Slots pspfSlots `json:"slots"`
	}
	if err := json.Unmarshal(data, &metadata); err != nil {
		return nil, done, w.fail(at, damaged(err, "pspf: metadata"))
	}
	if metadata.Slots == nil {
		metadata.Slots = pspfSlots{}
	}
	return metadata.Slots, done, nil
}

func (w *walk) inflatePSPF(at string, packed *source) ([]byte, error) {
	packed.seq = io.NewSectionReader(packed.at, 0, packed.size)
	plain, closePlain, err := w.inflate(&container{format: Gzip, path: at}, packed)
	if err != nil {
		return nil, asFault(err, "pspf: metadata")
	}
	defer closePlain()
	data, err := io.ReadAll(io.LimitReader(plain.seq, MaxPSPFMetadata+1))
	if err != nil {
		return nil, asFault(err, "pspf: metadata")
	}
	if len(data) > MaxPSPFMetadata {
		return nil, damaged(nil, "pspf: metadata is more than the %d bytes allowed", MaxPSPFMetadata)
	}
	return data, nil
}

// pspfLayout goes through the sections from front to back, so that none lies
// over another and no byte between them stays unseen.
type pspfLayout struct {
	w     *walk
	c     *container
	at    io.ReaderAt
	pos   uint64 // end of the section before
	end   uint64 // where the trailer begins
	lost  bool   // the section before could not be found, so neither what follows it
	stray error  // the first bytes between sections that are not zero
}

// next gives the section that the package claims to have there.
func (l *pspfLayout) next(what string, offset, length uint64) (source, error) {
	var err error
	switch {
	case offset > l.end || length > l.end-offset:
		err = damaged(nil, "pspf: %s: %d bytes at %d lie outside the package", what, length, offset)
	case offset < l.pos:
		err = damaged(nil, "pspf: %s: begins before what lies before it ends, %d before %d", what, offset, l.pos)
	}
	if err != nil {
		l.lost = true
		return source{}, err
	}
	l.between(offset)
	l.pos, l.lost = offset+length, false
	return source{at: io.NewSectionReader(l.at, int64(offset), int64(length)), size: int64(length)}, nil
}

// rest judges what lies between the last section and the trailer.
func (l *pspfLayout) rest() error {
	l.between(l.end)
	return l.stray
}

// between notes the first byte up to offset that is not a padding's zero.
func (l *pspfLayout) between(offset uint64) {
	var buf [4 << 10]byte
	for at := l.pos; at < offset && !l.lost && l.stray == nil; {
		part := buf[:min(uint64(len(buf)), offset-at)]
		if l.stray = l.w.budget.alive(l.c.path); l.stray != nil {
			return
		}
		if n, err := l.at.ReadAt(part, int64(at)); n < len(part) {
			l.stray = asFault(err, "pspf: padding at byte %d", at)
			return
		}
		for i, b := range part {
			if b != 0 {
				l.stray = damaged(nil, "pspf: bytes from %d on belong to nothing", at+uint64(i))
				return
			}
		}
		at += uint64(len(part))
	}
}

// slots walks them one record of the table at a time, whose size is the
// attacker's.
func (l *pspfLayout) slots(described pspfSlots, count uint32, offset, length uint64) error {
	if described != nil && len(described) != int(count) {
		f := damaged(nil, "pspf: metadata describes %d slots, the table has %d", len(described), count)
		if err := l.w.fail(l.c.path, f); err != nil {
			return err
		}
	}
	if count == 0 { // the table's offset may then be anything
		return nil
	}
	if count > maxPSPFSlots || length != uint64(count)*pspfSlotLen {
		return damaged(nil, "pspf: table of %d slots has %d bytes; at most %d slots of %d are allowed", count, length, maxPSPFSlots, pspfSlotLen)
	}
	table, err := l.next("slot table", offset, length)
	if err != nil {
		return err
	}
	in, done := l.w.reader(io.NewSectionReader(table.at, 0, table.size))
	defer done()
	for i := range int(count) {
		var record [pspfSlotLen]byte
		if _, err := io.ReadFull(in, record[:]); err != nil {
			return asFault(err, "pspf: slot table")
		}
		if err := l.slot(described, i, &record); err != nil {
			return err
		}
	}
	return nil
}

func (l *pspfLayout) slot(described pspfSlots, i int, record *[pspfSlotLen]byte) error {
	u64 := func(at int) uint64 { return binary.LittleEndian.Uint64(record[at:]) }
	length := u64(24)
	if length == 0 && i < len(described) && described[i].SelfRef {
		return nil
	}
	m := &member{modeKnown: true, Entry: &Entry{
		RawPath: described.path(i), Type: File, Size: claimed(length),
		Mode: unixPermissions(int64(binary.LittleEndian.Uint16(record[62:]))),
	}}
	if length == 0 {
		m.body = source{at: strings.NewReader("")}
		return l.w.member(l.c, m)
	}
	m.body, m.unreadable = l.next(fmt.Sprintf("slot %d", i), u64(16), length)
	if m.unreadable == nil {
		if err := encodedAs(&m.body, u64(40)); err != nil {
			if err := l.w.fail(l.c.path+"!"+clean(m.RawPath), err); err != nil {
				return err
			}
		}
	}
	return l.w.member(l.c, m)
}

// encodedAs says why a slot's bytes will be seen, but not what they encode.
// Byte k of operations, from the lowest, is the k-th applied. Which of the
// known ones was the last is not held against a builder: some store what is
// compressed already as it is.
func encodedAs(body *source, operations uint64) error {
	for left := operations; left != 0; left >>= 8 {
		if _, known := pspfOperations[byte(left)]; !known {
			return unsupported("pspf: operation %#02x cannot be undone", byte(left))
		}
	}
	head, err := body.head()
	if err != nil && !errors.Is(err, io.EOF) {
		return asFault(err, "pspf: slot")
	}
	if operations != 0 && !Sniff(head).container() {
		return damaged(nil, "pspf: operations %#x, but the bytes are not encoded so", operations)
	}
	return nil
}
