package index

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/klauspost/compress/zstd"
)

// segment is one pair of files, open.
type segment struct {
	*header
	file       []byte // the mapped index
	unmap      func() error
	details    *os.File // the advisories themselves
	ecosystems map[string]bool
	removed    []uint32 // ordinals in the base, ascending; of a delta
	// Blocks and records whose checksums were held against them.
	checkedPackages, checkedRecords bits

	infos []atomic.Pointer[Info] // by ordinal, of records that were asked for
	kept  atomic.Int64           // of infos

	mu    sync.Mutex // guards the last block
	at    int64      // where the block is
	block []byte
}

func openSegment(indexPath, detailsPath string) (*segment, error) {
	file, unmap, err := mapFile(indexPath)
	if err != nil {
		return nil, err
	}
	s := &segment{file: file, unmap: unmap}
	if s.header, err = decodeHeader(file); err == nil {
		err = s.readTables()
	}
	if err == nil {
		s.details, err = os.Open(detailsPath)
	}
	if err != nil {
		_ = unmap()
		return nil, fmt.Errorf("open %s: %w", indexPath, err)
	}
	return s, nil
}

func (s *segment) readTables() error {
	s.checkedPackages, s.checkedRecords = newBits(s.packages), newBits(s.records)
	s.infos = make([]atomic.Pointer[Info], s.records)
	d := decoder{b: s.file[s.removedAt:s.ecosystemsAt]}
	last := uint64(0)
	for range s.header.removed {
		last += d.number()
		s.removed = append(s.removed, uint32(last))
	}
	if d.err != nil {
		return d.err
	}
	d = decoder{b: s.file[s.ecosystemsAt:s.tablesEnd]}
	s.ecosystems = make(map[string]bool, s.header.ecosystems)
	for range s.header.ecosystems {
		s.ecosystems[d.text()] = true
	}
	return d.err
}

func (s *segment) close() error {
	err := s.details.Close()
	if unmapping := s.unmap(); err == nil {
		err = unmapping
	}
	return err
}

// postings finds the block of a package; nil if there is none.
func (s *segment) postings(key string) (*decoder, error) {
	h, n := hash(key), int(s.packages)
	table := s.file[s.packagesAt:s.recordsAt]
	i := sort.Search(n, func(i int) bool { return binary.LittleEndian.Uint64(table[i*16:]) >= h })
	for ; i < n && binary.LittleEndian.Uint64(table[i*16:]) == h; i++ {
		block, err := unframe(s.file, binary.LittleEndian.Uint64(table[i*16+8:]), s.checkedPackages.at(uint32(i)))
		if err != nil {
			return nil, err
		}
		d := &decoder{b: block}
		if d.view() == key {
			return d, d.err
		}
		if d.err != nil {
			return nil, d.err
		}
	}
	return nil, nil
}

// Ref is the place of a record.
type Ref struct {
	segment *segment
	ordinal uint32
}

// Info is what the index says of a record.
type Info struct {
	ID        string
	Modified  string
	Aliases   []string
	Summary   string
	Published time.Time
	Withdrawn bool
}

// Info reads it.
func (r Ref) Info() (Info, error) {
	d, err := r.segment.record(r.ordinal)
	if err != nil {
		return Info{}, err
	}
	return d.info()
}

// maxKept bounds what Shared remembers of a segment, about 10 MB: the
// advisories that a fleet runs into are few.
const maxKept = 1 << 15

// Shared is Info, the same for all that ask, who must not change it.
func (r Ref) Shared() (*Info, error) {
	if r.ordinal >= r.segment.records {
		return nil, fmt.Errorf("%w: there is no record %d", ErrDamaged, r.ordinal)
	}
	known := &r.segment.infos[r.ordinal]
	if i := known.Load(); i != nil {
		return i, nil
	}
	i, err := r.Info()
	if err != nil {
		return nil, err
	}
	slices.Sort(i.Aliases)
	i.Aliases = slices.Compact(i.Aliases)
	if at, own := slices.BinarySearch(i.Aliases, i.ID); own {
		i.Aliases = slices.Delete(i.Aliases, at, at+1)
	}
	if len(i.Aliases) == 0 {
		i.Aliases = nil
	}
	if r.segment.kept.Load() < maxKept && known.CompareAndSwap(nil, &i) {
		r.segment.kept.Add(1)
	}
	return &i, nil
}

// info copies its texts once, all together.
func (d *decoder) info() (i Info, err error) {
	ahead := *d
	ahead.view()
	ahead.view()
	for range ahead.count() {
		ahead.view()
	}
	ahead.view()
	if ahead.err != nil {
		return i, ahead.err
	}
	// What follows the texts is the decoder's to read where it is.
	after := ahead.b
	all := string(d.b[:len(d.b)-len(after)])
	d.b = unsafe.Slice(unsafe.StringData(all), len(all))
	i.ID, i.Modified = d.view(), d.view()
	if n := d.count(); n > 0 {
		i.Aliases = make([]string, n)
		for k := range i.Aliases {
			i.Aliases[k] = d.view()
		}
	}
	i.Summary = d.view()
	d.b = after
	if seconds := d.number(); seconds > 0 {
		i.Published = time.Unix(int64(seconds), 0).UTC()
	}
	i.Withdrawn = d.byte() != 0
	return i, d.err
}

// Packages are the keys of the packages that a record is about.
func (r Ref) Packages() (Info, []string, error) {
	d, err := r.segment.record(r.ordinal)
	if err != nil {
		return Info{}, nil, err
	}
	i, err := d.info()
	if err != nil {
		return Info{}, nil, err
	}
	keys := d.texts()
	return i, keys, d.err
}

// place is where a record's text is.
type place struct {
	block        int64
	blockSize    int
	offset, size int
}

func (d *decoder) place() (p place, err error) {
	if _, err := d.info(); err != nil {
		return p, err
	}
	for range d.count() { // the packages
		d.view()
	}
	p = place{int64(d.number()), int(d.number()), int(d.number()), int(d.number())}
	return p, d.err
}

// record is the bytes of a record's Info.
func (s *segment) record(ordinal uint32) (decoder, error) {
	if ordinal >= s.records {
		return decoder{}, fmt.Errorf("%w: there is no record %d", ErrDamaged, ordinal)
	}
	b, err := unframe(s.file, binary.LittleEndian.Uint64(s.file[s.recordsAt+8*uint64(ordinal):]), s.checkedRecords.at(ordinal))
	return decoder{b: b}, err
}

// id is a view of a record's id and time of change.
func (s *segment) id(ordinal uint32) (id, modified string, err error) {
	d, err := s.record(ordinal)
	if err != nil {
		return "", "", err
	}
	id, modified = d.view(), d.view()
	return id, modified, d.err
}

// find is the ordinal of an id.
func (s *segment) find(id string) (ordinal uint32, ok bool, err error) {
	i := sort.Search(int(s.records), func(i int) bool {
		at, _, failed := s.id(uint32(i))
		if failed != nil {
			err = failed
		}
		return at >= id
	})
	if err != nil || i >= int(s.records) {
		return 0, false, err
	}
	at, _, err := s.id(uint32(i))
	return uint32(i), at == id, err
}

// maxBlock is the size of the largest block, inflated: one record of the
// largest size may be alone in one.
const maxBlock = 16 << 20

var inflate = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
})

// Text is the advisory itself, an OSV record in JSON.
func (r Ref) Text() ([]byte, error) {
	d, err := r.segment.record(r.ordinal)
	if err != nil {
		return nil, err
	}
	at, err := d.place()
	if err != nil {
		return nil, err
	}
	text, err := r.segment.text(at)
	if err != nil {
		return nil, fmt.Errorf("text of record %d: %w", r.ordinal, err)
	}
	return text, nil
}

func (s *segment) text(i place) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.block == nil || s.at != i.block {
		if i.blockSize < 0 || i.blockSize > maxBlock {
			return nil, fmt.Errorf("%w: a block of %d bytes", ErrDamaged, i.blockSize)
		}
		packed := make([]byte, i.blockSize)
		if _, err := io.ReadFull(io.NewSectionReader(s.details, i.block, int64(i.blockSize)), packed); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		z, err := inflate()
		if err != nil {
			return nil, err
		}
		if s.block, err = z.DecodeAll(packed, s.block[:0]); err != nil {
			s.block = nil
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		s.at = i.block
	}
	if i.offset < 0 || i.size < 0 || i.offset > len(s.block) || i.size > len(s.block)-i.offset {
		return nil, fmt.Errorf("%w: a text beyond its block", ErrDamaged)
	}
	return append([]byte(nil), s.block[i.offset:i.offset+i.size]...), nil
}
