package index

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"assize.dev/services/scan/internal/advisory"
)

// builder makes a segment. Advisories are compressed and written as they
// come; of each it keeps the encoded postings until the end.
type builder struct {
	details  *os.File
	pack     *zstd.Encoder
	block    []byte // not yet compressed
	inBlock  []int  // slots whose texts are in it
	written  int64
	slots    []slot
	byID     map[string]int
	packages map[string][]pending
	known    map[string]bool
	bytes    int64 // of postings, encoded
}

// slot is a record that was added, or replaced since.
type slot struct {
	id, modified string
	record       *advisory.Record // without what is encoded already
	packages     []string
	dead         bool
	block        int64
	blockSize    int
	offset, size int
}

type pending struct {
	slot    int
	posting []byte
}

const (
	blockSize  = 256 << 10
	maxRecords = math.MaxUint32 / 2
	maxBody    = 16 << 30 // bytes of postings
)

func newBuilder(detailsPath string) (*builder, error) {
	f, err := os.OpenFile(detailsPath, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	pack, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		f.Close()
		return nil, err
	}
	return &builder{details: f, pack: pack, byID: map[string]int{}, packages: map[string][]pending{}, known: map[string]bool{}}, nil
}

// add takes a record and its text. Of two with one id the one changed last
// counts.
func (b *builder) add(r *advisory.Record, text []byte) error {
	if i, ok := b.byID[r.ID]; ok {
		if !r.NewerThan(b.slots[i].record) {
			return nil
		}
		b.slots[i].dead = true
	}
	if len(b.slots) >= maxRecords || b.bytes > maxBody {
		return fmt.Errorf("more than %d records or %d bytes of postings", maxRecords, int64(maxBody))
	}
	i := len(b.slots)
	b.byID[r.ID] = i
	s := slot{id: r.ID, modified: r.Modified, offset: len(b.block), size: len(text)}
	for k := range r.Affected {
		a := &r.Affected[k]
		key := advisory.Key(a.Ecosystem, a.Name)
		var e encoder
		encodePosting(&e, a)
		b.bytes += int64(len(e))
		b.packages[key] = append(b.packages[key], pending{i, e})
		if !slices.Contains(s.packages, key) {
			s.packages = append(s.packages, key)
		}
		b.known[a.Ecosystem] = true
		if a.Release != "" {
			b.known[a.Ecosystem+":"+a.Release] = true
		}
	}
	kept := *r
	kept.Affected = make([]advisory.Entry, min(len(r.Affected), 1)) // NewerThan counts them
	s.record = &kept
	b.slots = append(b.slots, s)
	b.inBlock = append(b.inBlock, i)
	b.block = append(b.block, text...)
	if len(b.block) >= blockSize {
		return b.flush()
	}
	return nil
}

// flush compresses the block.
func (b *builder) flush() error {
	if len(b.inBlock) == 0 {
		return nil
	}
	packed := b.pack.EncodeAll(b.block, nil)
	if _, err := b.details.Write(packed); err != nil {
		return err
	}
	for _, i := range b.inBlock {
		b.slots[i].block, b.slots[i].blockSize = b.written, len(packed)
	}
	b.written += int64(len(packed))
	b.block, b.inBlock = b.block[:0], b.inBlock[:0]
	return nil
}

func (b *builder) abandon() { b.details.Close() }

// finish writes the index and syncs both files. removed are ordinals in the
// base, ascending.
func (b *builder) finish(indexPath string, removed []uint32) (err error) {
	if err := b.flush(); err != nil {
		return err
	}
	if err := errors.Join(b.details.Sync(), b.details.Close()); err != nil {
		return err
	}
	var live []int
	for i := range b.slots {
		if !b.slots[i].dead {
			live = append(live, i)
		}
	}
	slices.SortFunc(live, func(x, y int) int { return cmp.Compare(b.slots[x].id, b.slots[y].id) })
	ordinals := make([]int, len(b.slots))
	for i := range ordinals {
		ordinals[i] = -1
	}
	for ordinal, i := range live {
		ordinals[i] = ordinal
	}
	f, err := os.OpenFile(indexPath, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if closing := f.Close(); err == nil {
			err = closing
		}
	}()
	return b.write(f, live, ordinals, removed)
}

func (b *builder) write(f *os.File, live, ordinals []int, removed []uint32) error {
	var keys []string
	for key, list := range b.packages {
		list = slices.DeleteFunc(list, func(p pending) bool { return ordinals[p.slot] < 0 })
		slices.SortStableFunc(list, func(x, y pending) int { return cmp.Compare(ordinals[x.slot], ordinals[y.slot]) })
		if b.packages[key] = list; len(list) > 0 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(x, y string) int { return cmp.Or(cmp.Compare(hash(x), hash(y)), strings.Compare(x, y)) })
	var gone, ecosystems encoder
	last := uint32(0)
	for _, r := range removed {
		gone.number(uint64(r - last))
		last = r
	}
	names := make([]string, 0, len(b.known))
	for name := range b.known {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		ecosystems.text(name)
	}
	h := header{packages: uint32(len(keys)), records: uint32(len(live)), removed: uint32(len(removed)), ecosystems: uint32(len(names))}
	h.packagesAt = headerSize
	h.recordsAt = h.packagesAt + 16*uint64(len(keys))
	h.removedAt = h.recordsAt + 8*uint64(len(live))
	h.ecosystemsAt = h.removedAt + uint64(len(gone))
	h.tablesEnd = h.ecosystemsAt + uint64(len(ecosystems))
	h.bodyAt = h.tablesEnd
	if _, err := f.Seek(int64(h.bodyAt), 0); err != nil {
		return err
	}
	body, at := bufio.NewWriterSize(f, 1<<20), h.bodyAt
	put := func(payload []byte) (uint64, error) {
		start := at
		framed := framed(nil, payload)
		at += uint64(len(framed))
		_, err := body.Write(framed)
		return start, err
	}
	tables := make([]byte, 0, h.tablesEnd-headerSize)
	var records []byte
	for _, i := range live {
		start, err := put(b.slots[i].encode())
		if err != nil {
			return err
		}
		records = binary.LittleEndian.AppendUint64(records, start)
	}
	for _, key := range keys {
		var e encoder
		e.text(key)
		e.number(uint64(len(b.packages[key])))
		for _, p := range b.packages[key] {
			e.number(uint64(ordinals[p.slot]))
			e = append(e, p.posting...)
		}
		start, err := put(e)
		if err != nil {
			return err
		}
		tables = binary.LittleEndian.AppendUint64(tables, hash(key))
		tables = binary.LittleEndian.AppendUint64(tables, start)
	}
	if err := body.Flush(); err != nil {
		return err
	}
	tables = slices.Concat(tables, records, gone, ecosystems)
	h.size, h.tables = at, checksum(tables)
	if _, err := f.WriteAt(append(h.encode(), tables...), 0); err != nil {
		return err
	}
	return f.Sync()
}

func (s *slot) encode() []byte {
	var e encoder
	e.text(s.id)
	e.text(s.modified)
	e.texts(s.record.Aliases)
	e.text(s.record.Summary)
	seconds := int64(0)
	if !s.record.Published.IsZero() {
		seconds = max(0, s.record.Published.Unix())
	}
	e.number(uint64(seconds))
	e.byte(byte(rank(s.record.Withdrawn)))
	e.texts(s.packages)
	for _, n := range []int64{s.block, int64(s.blockSize), int64(s.offset), int64(s.size)} {
		e.number(uint64(n))
	}
	return e
}
