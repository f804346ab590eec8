package archive

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"strings"
)

// tar walks one tar, or several behind each other with or without the zero
// blocks that end each: an apk is three that were cut.
func (w *walk) tar(c *container, s *source) error {
	in := &tarInput{cursor: cursor{s: s}}
	for {
		var r io.Reader = in
		if s.at != nil {
			r = seekable{in}
		}
		if err := w.tarEntries(c, in, tar.NewReader(r)); err != nil {
			return err
		}
		if in.ended && !s.charged {
			// Nothing but this marker tells a whole tar from one cut between
			// two entries, unless a compressor around it has a checksum.
			return damaged(nil, "tar: ends without the blocks of zeros that mark its end")
		}
		more, err := in.another()
		if err != nil || !more {
			return err
		}
		w.strange(c.path, SecondTar, "tar: more entries follow the mark of its end, at byte %d", in.pos-tarBlock)
	}
}

func (w *walk) tarEntries(c *container, in *tarInput, tr *tar.Reader) error {
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return asFault(err, "tar header at byte %d", in.pos)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			// Settings for the entries that follow; nothing of it is unpacked.
			for _, key := range []string{"path", "linkpath", "size"} {
				if _, set := h.PAXRecords[key]; set {
					w.strange(c.path, HeaderMismatch, "tar: a global header gives all entries one %s, which only some readers apply", key)
				}
			}
			if err := w.budget.enter(c.path); err != nil {
				return err
			}
			continue
		}
		w.tarSize(c, in, h)
		e := &Entry{
			RawPath: h.Name, Type: tarType(h), Mode: permissions(h.FileInfo().Mode()),
			Size: h.Size, ModTime: h.ModTime, Linkname: h.Linkname,
		}
		m := &member{Entry: e, modeKnown: true}
		if e.Type == File {
			m.body = source{seq: &tarBody{tr: tr, in: in, budget: w.budget, path: c.path}, charged: in.s.charged}
			if !isSparse(h) {
				if inPlace, ok := in.inPlace(h.Size); ok {
					m.body = inPlace
				}
			}
		}
		if err := w.member(c, m); err != nil {
			return err
		}
	}
}

// tarType takes unknown types for files, as POSIX asks of those who unpack,
// so that their bytes are seen.
func tarType(h *tar.Header) EntryType {
	switch h.Typeflag {
	case tar.TypeDir:
		return Dir
	case tar.TypeSymlink:
		return Symlink
	case tar.TypeLink:
		return Hardlink
	case tar.TypeChar, tar.TypeBlock:
		return Device
	case tar.TypeFifo:
		return Fifo
	}
	return File
}

func permissions(m fs.FileMode) fs.FileMode {
	return m & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
}

func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// tarInput is where a tar.Reader reads from.
type tarInput struct {
	cursor
	again []byte         // a block to be read once more
	last  [tarBlock]byte // the last bytes read
	ended bool           // the source had no more when a header was wanted
}

const tarBlock = 512

func (in *tarInput) Read(p []byte) (int, error) {
	if len(in.again) > 0 {
		n := copy(p, in.again)
		in.again = in.again[n:]
		in.remember(p[:n])
		return n, nil
	}
	n, err := in.cursor.Read(p)
	in.remember(p[:n])
	if n == 0 && err == io.EOF {
		in.ended = true
	}
	return n, err
}

func (in *tarInput) remember(p []byte) {
	if p = p[max(0, len(p)-tarBlock):]; len(p) < tarBlock {
		copy(in.last[:], in.last[len(p):])
	}
	copy(in.last[tarBlock-len(p):], p)
}

// tarSize compares the size that holds with the one in the entry's own
// header, which is the last block read: readers that do not know PAX's size,
// or do not expect content behind a directory or a symlink, go on elsewhere
// than this one and find other entries there. A header cannot tell sizes of
// 8 GiB and more.
func (w *walk) tarSize(c *container, in *tarInput, h *tar.Header) {
	const inHeader = 1 << 33
	size, ok := tarNumber(in.last[124:136])
	taken := h.Size
	switch h.Typeflag {
	case tar.TypeLink: // cpio's writer gives them the size of the file
		return
	case tar.TypeDir, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		taken = 0
	}
	if ok && !isSparse(h) && taken < inHeader && size != taken {
		w.strange(c.path+"!"+clean(h.Name), HeaderMismatch, "tar: %.100q has %d bytes here and %d by its own header", h.Name, taken, size)
	}
}

// tarNumber reads octal digits, or what GNU's tar writes of numbers that do
// not fit: a set bit and the number in binary.
func tarNumber(field []byte) (int64, bool) {
	if field[0] != 0x80 {
		return octal(field)
	}
	var n int64
	for _, c := range field[1:] {
		if n >= 1<<54 {
			return 0, false
		}
		n = n<<8 | int64(c)
	}
	return n, true
}

// another passes over the zeros behind a tar and reports whether one more
// follows. Bytes that are neither were meant for some other reader.
func (in *tarInput) another() (bool, error) {
	var block [tarBlock]byte
	for {
		n, err := io.ReadFull(&in.cursor, block[:])
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF && allZero(block[:n]):
			return false, nil
		case err != nil && err != io.ErrUnexpectedEOF:
			return false, asFault(err, "tar: after its end")
		case allZero(block[:n]):
		case isTar(block[:n]):
			in.again, in.ended = block[:], false
			return true, nil
		default:
			return false, damaged(nil, "tar: bytes that are no tar follow its end at byte %d", in.pos-int64(n))
		}
	}
}

func allZero(p []byte) bool {
	for _, c := range p {
		if c != 0 {
			return false
		}
	}
	return true
}

// seekable lets tar.Reader step over bodies that are read in place.
type seekable struct{ *tarInput }

func (s seekable) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += s.pos
	case io.SeekEnd:
		offset += s.s.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the start")
	}
	s.pos = offset
	return offset, nil
}

// tarBody charges the holes of sparse files, which come from nowhere, where
// the bytes that come from the source are charged already.
type tarBody struct {
	tr     *tar.Reader
	in     *tarInput
	budget *budget
	path   string
}

func (b *tarBody) Read(p []byte) (int, error) {
	before := b.in.pos
	n, err := b.tr.Read(p)
	if holes := int64(n) - (b.in.pos - before); holes > 0 && b.in.s.charged {
		if over := b.budget.inflate(holes, b.path); over != nil {
			return n, over
		}
	}
	return n, err
}
