package archive

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Methods of APPNOTE 4.4.5 that are read.
const (
	zipStored  = 0
	zipDeflate = 8
	zipBzip2   = 12
	zipZstd    = 93
)

// zip walks the central directory from front to back, holding one record at
// a time: its size and count are the attacker's.
func (w *walk) zip(c *container, s *source) error {
	s, done, err := w.hold(s, c.path)
	if err != nil {
		return err // without its end a zip has no directory
	}
	defer done()
	dir, err := findZipDirectory(s.at, s.size)
	if err != nil {
		return err
	}
	br := bufio.NewReaderSize(io.NewSectionReader(s.at, dir.start, dir.end-dir.start), 32<<10)
	var found uint64
	var extents []zipExtent // no more than Limits.Entries
	for ; ; found++ {
		r, err := readZipRecord(br)
		if err == errNoRecord {
			break
		}
		if err != nil {
			return asFault(err, "zip: record %d of the directory", found+1)
		}
		if err := w.zipEntry(c, s, dir, r); err != nil && !errors.Is(err, errCut) {
			return err
		}
		if r.content > 0 {
			extents = append(extents, zipExtent{dir.base + int64(r.header), r.content + int64(min(r.packed, uint64(s.size-r.content)))})
		}
	}
	w.zipLayout(c, s, dir, extents)
	// Without zip64 the count is modulo 65536.
	if found != dir.records && (dir.zip64 || uint16(found) != uint16(dir.records)) {
		return damaged(nil, "zip: the directory has %d records and claims %d", found, dir.records)
	}
	return nil
}

func (w *walk) zipEntry(c *container, s *source, dir *zipDirectory, r *zipRecord) error {
	e := &Entry{
		RawPath: r.name, Type: File, Mode: unixPermissions(int64(r.unixMode)), ModTime: r.modTime,
		Size: int64(min(r.size, 1<<63-1)),
	}
	if strings.HasSuffix(r.name, "/") || r.fromDOS && r.dosDir {
		e.Type = Dir
	}
	if t := unixType(int64(r.unixMode)); t != "" && e.Type != Dir {
		e.Type = t
	}
	path := strings.Join(c.parents, "!") + "!" + clean(c.names.slashed(r.name))
	m := &member{Entry: e, modeKnown: !r.fromDOS && r.unixMode != 0}
	if r.otherName != "" && r.otherName != r.name {
		w.strange(path, HeaderMismatch, "zip: %.100q is also called %.100q", r.name, r.otherName)
	}
	if e.Type == Dir {
		// Jar tools compress even these, to two bytes for nothing.
		_, err := dir.contentStart(s, r)
		if err == nil && r.size != 0 {
			err = damaged(nil, "zip: directory %q has content", r.name)
		}
		if err != nil {
			if err := w.fail(path, err); err != nil {
				return err
			}
		}
		return w.member(c, m)
	}
	if e.Type == File && w.wants != nil {
		if e.Parents, e.Format, e.Path = c.parents, c.format, clean(c.names.slashed(r.name)); !w.wants(e) {
			_, err := dir.contentStart(s, r)
			m.unwanted, m.unreadable = true, err
			return w.member(c, m)
		}
	}
	body, err := w.zipBody(s, dir, r, path)
	if r.differs {
		w.strange(path, HeaderMismatch, "zip: its own header and the directory differ in size or checksum")
	}
	if err == nil {
		defer body.Close()
		m.body = source{seq: body, charged: true}
	}
	var broken *inputError
	if errors.As(err, &broken) {
		return err
	}
	if e.Type == Symlink && err == nil {
		err = readZipLink(e, m)
	}
	m.unreadable = err
	if e.Type != File && err != nil {
		if err := w.fail(path, err); err != nil {
			return err
		}
	}
	return w.member(c, m)
}

// readZipLink takes the content for the target, as unzip does.
func readZipLink(e *Entry, m *member) error {
	target, err := io.ReadAll(io.LimitReader(m.body.seq, maxNameLen+1))
	if err != nil {
		return asFault(err, "zip: link target of %q", e.RawPath)
	}
	if len(target) > maxNameLen {
		return damaged(nil, "zip: link target of %q is longer than %d bytes", e.RawPath, maxNameLen)
	}
	e.Linkname = string(target)
	return nil
}

// zipBody opens the content of r behind its local header, which has to tell
// the same story: readers that trust one and readers that trust the other
// must not see different files.
func (w *walk) zipBody(s *source, dir *zipDirectory, r *zipRecord, path string) (io.ReadCloser, error) {
	start, err := dir.contentStart(s, r)
	if err != nil {
		return nil, err
	}
	if r.packed > uint64(s.size-start) {
		return nil, damaged(nil, "zip: content of %q lies outside the file", r.name)
	}
	if r.flags&(1|1<<6|1<<13) != 0 {
		return nil, unsupported("zip: %q is encrypted", r.name)
	}
	packed := io.NewSectionReader(s.at, start, int64(r.packed))
	var plain io.ReadCloser
	switch r.method {
	case zipStored:
		if r.packed != r.size {
			return nil, damaged(nil, "zip: %q is stored in %d bytes and has %d", r.name, r.packed, r.size)
		}
		plain = io.NopCloser(packed)
	case zipDeflate:
		plain = openDeflate(packed)
	case zipBzip2, zipZstd:
		f := map[uint16]Format{zipBzip2: Bzip2, zipZstd: Zstd}[r.method]
		d, err := openDecompressor(packed, f, &w.budget.memory, nil)
		if err != nil {
			return nil, err
		}
		plain = d
	default:
		return nil, unsupported("zip: %q has compression method %d", r.name, r.method)
	}
	m := &meter{r: plain, budget: w.budget, path: path, in: func() int64 { return int64(r.packed) }}
	return &zipContent{r: m, close: plain.Close, record: r, sum: crc32.NewIEEE()}, nil
}

// zipContent checks length and checksum against the directory.
type zipContent struct {
	r      io.Reader
	close  func() error
	record *zipRecord
	sum    hash.Hash32
	n      uint64
}

func (z *zipContent) Close() error { return z.close() }

func (z *zipContent) Read(p []byte) (int, error) {
	n, err := z.r.Read(p)
	z.n += uint64(n)
	z.sum.Write(p[:n])
	switch {
	case z.n > z.record.size:
		return 0, damaged(nil, "zip: content is longer than the %d bytes it should have", z.record.size)
	case err == nil:
		return n, nil
	case err != io.EOF:
		return n, asFault(err, "zip: content at byte %d", z.n)
	case z.n < z.record.size:
		return n, damaged(io.ErrUnexpectedEOF, "zip: content ends after %d of %d bytes", z.n, z.record.size)
	case z.sum.Sum32() != z.record.crc:
		return n, damaged(nil, "zip: checksum is %08x and should be %08x", z.sum.Sum32(), z.record.crc)
	}
	return n, io.EOF
}

// deflaters are kept because one costs 40 kB and a jar has thousands of
// entries.
var deflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}

type deflate struct{ io.ReadCloser }

func openDeflate(packed io.Reader) io.ReadCloser {
	z := deflaters.Get().(io.ReadCloser)
	z.(flate.Resetter).Reset(bufio.NewReader(packed), nil)
	return &deflate{z}
}

func (d *deflate) Read(p []byte) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, damaged(nil, "deflate: decoder failed: %v", p)
		}
	}()
	return d.ReadCloser.Read(p)
}

func (d *deflate) Close() error {
	d.ReadCloser.(flate.Resetter).Reset(strings.NewReader(""), nil)
	deflaters.Put(d.ReadCloser)
	return nil
}

// contentStart reads the local header of r.
func (d *zipDirectory) contentStart(s *source, r *zipRecord) (int64, error) {
	const localHeader = 30
	at := d.base + int64(r.header)
	if r.header > uint64(s.size) || at < 0 || at > s.size-localHeader {
		return 0, damaged(nil, "zip: header of %q lies outside the file", r.name)
	}
	var h [localHeader]byte
	if _, err := s.at.ReadAt(h[:], at); err != nil {
		return 0, asFault(err, "zip: header of %q", r.name)
	}
	if string(h[:4]) != "PK\x03\x04" {
		return 0, damaged(nil, "zip: no header for %q at byte %d", r.name, at)
	}
	nameLen := int64(binary.LittleEndian.Uint16(h[26:]))
	start := at + localHeader + nameLen + int64(binary.LittleEndian.Uint16(h[28:]))
	if start > s.size {
		return 0, damaged(nil, "zip: header of %q lies outside the file", r.name)
	}
	name := make([]byte, nameLen)
	if _, err := s.at.ReadAt(name, at+localHeader); err != nil && err != io.EOF {
		return 0, asFault(err, "zip: header of %q", r.name)
	}
	if string(name) != r.name {
		return 0, damaged(nil, "zip: %q is %q in its own header", r.name, name)
	}
	if method := binary.LittleEndian.Uint16(h[8:]); method != r.method {
		return 0, damaged(nil, "zip: %q has method %d in its own header and %d in the directory", r.name, method, r.method)
	}
	r.content, r.differs = start, !r.tellsTheSame(h[:])
	return start, nil
}
