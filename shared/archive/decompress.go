package archive

import (
	"bufio"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/mikelolasagasti/xz"
	"github.com/ulikunitz/xz/lzma"
)

// Decompress opens one stream compressed as f (gzip, zstd, xz, bzip2 or
// lzma; concatenated members are one stream) that gives at most limit bytes.
// Reading on fails with a *LimitError after limit bytes, with an error that
// wraps ErrDamaged where the input is truncated, corrupt or followed by other
// bytes, with one that wraps ErrUnsupported where a dictionary over 64 MiB is
// asked for, and otherwise with r's own error. Closing frees the dictionary
// and leaves r alone.
func Decompress(r io.Reader, f Format, limit int64) (io.ReadCloser, error) {
	d, err := openDecompressor(r, f, &memory{free: maxMemory}, nil)
	if err != nil {
		return nil, fmt.Errorf("open %s stream: %w", f, err)
	}
	return &limited{d: d, left: limit, limit: limit}, nil
}

type limited struct {
	d           *decompressor
	left, limit int64
}

func (l *limited) Close() error { return l.d.Close() }

// Read asks for one byte more than is left, so that a stream of exactly the
// limit still ends with its checksum verified and io.EOF.
func (l *limited) Read(p []byte) (int, error) {
	if l.left < 0 {
		return 0, l.over()
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.d.Read(p)
	if int64(n) > l.left {
		n, l.left = int(l.left), -1
		return n, l.over()
	}
	l.left -= int64(n)
	return n, err
}

func (l *limited) over() error {
	return &LimitError{Limit: "inflated", Value: bytesOf(l.limit), Path: string(l.d.format) + " stream"}
}

// decompressor tells apart what went wrong below it (src.err), what is wrong
// with the stream, and what the decoder does not do. Its error is sticky.
type decompressor struct {
	format Format
	dec    io.Reader
	src    *tracked
	err    error
	close  func()
}

// tracked counts what a reader gave and remembers why it ended.
type tracked struct {
	r     io.Reader
	n     int64
	err   error // other than io.EOF
	alive func() error
}

func (t *tracked) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	if t.alive != nil {
		if t.err = t.alive(); t.err != nil {
			return 0, t.err
		}
	}
	n, err := t.r.Read(p)
	t.n += int64(n)
	if err != nil && err != io.EOF {
		t.err = err
	}
	return n, err
}

// openDecompressor takes the dictionary from m before it is allocated, and
// caps the decoder to what was taken. alive, if not nil, is asked before each
// read of r: a decoder may consume much without giving anything.
func openDecompressor(r io.Reader, f Format, m *memory, alive func() error) (d *decompressor, err error) {
	d = &decompressor{format: f, src: &tracked{r: r, alive: alive}}
	br := bufio.NewReaderSize(d.src, 32<<10)
	need, err := dictionary(br, f)
	if err != nil {
		return nil, d.explain(err)
	}
	if err := m.take(need, string(f)+" dictionary"); err != nil {
		return nil, err
	}
	d.close = func() { m.give(need) }
	defer func() {
		if p := recover(); p != nil {
			err = damaged(nil, "%s: decoder failed: %v", f, p)
		}
		if err != nil {
			d.Close()
			d, err = nil, d.explain(err)
		}
	}()
	switch f {
	case Gzip:
		d.dec = &gzipMembers{br: br}
	case Bzip2:
		d.dec = bzip2.NewReader(br)
	case XZ:
		d.dec, err = xz.NewReader(br, uint32(need))
	case LZMA:
		var z *lzma.Reader
		z, err = lzma.ReaderConfig{DictCap: int(need)}.NewReader(br)
		d.dec = &toEnd{r: z, br: br}
	case Zstd:
		var z *zstd.Decoder
		z, err = zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(uint64(need)))
		if err == nil {
			d.dec, d.close = z, func() { z.Close(); m.give(need) }
		}
	}
	return d, err
}

func (d *decompressor) Close() error {
	if d.close != nil {
		d.close()
		d.close, d.dec = nil, nil
	}
	if d.err == nil {
		d.err = errors.New("read after close")
	}
	return nil
}

// Read turns a panic of a decoder into damage: they are other people's code
// on hostile input.
func (d *decompressor) Read(p []byte) (n int, err error) {
	if d.err != nil {
		return 0, d.err
	}
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, damaged(nil, "%s: decoder failed: %v", d.format, p)
		}
		if err != nil && err != io.EOF {
			err = d.explain(err)
		}
		d.err = err
	}()
	return d.dec.Read(p)
}

// explain finds the true reason behind a decoder's error.
func (d *decompressor) explain(err error) error {
	if d.src.err != nil {
		return d.src.err
	}
	var known *fault
	if errors.As(err, &known) {
		return err
	}
	var dict *lzma.ErrDictSize
	switch {
	case errors.Is(err, xz.ErrMemlimit), errors.As(err, &dict),
		errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return unsupported("%s: dictionary is larger than granted: %v", d.format, err)
	case errors.Is(err, xz.ErrOptions), errors.Is(err, xz.ErrUnsupportedCheck), errors.Is(err, zstd.ErrUnknownDictionary):
		return unsupported("%s: %v", d.format, err)
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return damaged(err, "%s stream", d.format)
}

// dictionary reads from the head of a stream how much memory its decoder will
// want, and never asks for less than 8 MiB where later blocks may want more
// than the first.
func dictionary(br *bufio.Reader, f Format) (int64, error) {
	const usual = 8 << 20
	head, err := br.Peek(1100)
	if err != nil && err != io.EOF {
		return 0, err
	}
	switch f {
	case Gzip:
		return 64 << 10, nil
	case Bzip2:
		return 4 << 20, nil // 900 kB blocks, four bytes for each
	case XZ:
		return max(usual, xzDictionary(head)), nil
	case LZMA:
		if len(head) < 13 {
			return 0, io.ErrUnexpectedEOF
		}
		return max(4096, int64(binary.LittleEndian.Uint32(head[1:]))), nil
	case Zstd:
		var h zstd.Header
		if err := h.Decode(head); err != nil {
			return usual, nil // the decoder will say what is wrong
		}
		window := h.WindowSize
		if h.SingleSegment {
			window = h.FrameContentSize
		}
		if window > 1<<62 {
			window = 1 << 62
		}
		return max(usual, int64(window)), nil
	}
	return 0, unsupported("%s is not a compressed stream", f)
}

// xzDictionary finds the LZMA2 filter in the first block header (The .xz File
// Format 1.2.1, §3.1 and §5.3.1). It is 0 when there is none or the header is
// malformed, which the decoder then reports.
func xzDictionary(head []byte) int64 {
	const streamHeader = 12
	if len(head) < streamHeader+2 || head[streamHeader] == 0 {
		return 0
	}
	size := (int(head[streamHeader]) + 1) * 4
	flags := head[streamHeader+1]
	b := head[streamHeader+2 : min(len(head), streamHeader+size)]
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			b = nil
			return 0
		}
		b = b[n:]
		return v
	}
	if flags&0x40 != 0 {
		next() // compressed size
	}
	if flags&0x80 != 0 {
		next() // uncompressed size
	}
	for range int(flags&3) + 1 {
		id, n := next(), next()
		if n > uint64(len(b)) {
			return 0
		}
		props := b[:n]
		b = b[n:]
		if id == 0x21 && len(props) == 1 && props[0] <= 40 {
			bits := props[0]
			return (2 | int64(bits&1)) << (bits/2 + 11)
		}
	}
	return 0
}

// gzipMembers reads one member after the other as a single stream (RFC 1952
// §2.2). Unlike the package's own multistream mode it lets zeros follow, as
// tape blocks have them, and calls anything else damage.
type gzipMembers struct {
	br      *bufio.Reader
	z       *gzip.Reader
	members int // whose header was read
}

func (g *gzipMembers) Read(p []byte) (int, error) {
	for {
		if g.z == nil {
			z, err := gzip.NewReader(g.br)
			if err != nil {
				return 0, err
			}
			z.Multistream(false)
			g.z, g.members = z, 1
		}
		n, err := g.z.Read(p)
		if n > 0 && err == io.EOF {
			err = nil
		}
		if n > 0 || err != io.EOF {
			return n, err
		}
		if err := skipZeros(g.br); err != nil {
			return 0, err
		}
		if head, _ := g.br.Peek(2); string(head) != "\x1f\x8b" {
			return 0, damaged(nil, "gzip: bytes follow the last member")
		}
		if err := g.z.Reset(g.br); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		g.members++
		g.z.Multistream(false)
	}
}

// skipZeros stops before the first byte that is not zero; io.EOF says that
// there is none.
func skipZeros(br *bufio.Reader) error {
	for {
		c, err := br.ReadByte()
		if err != nil {
			return err
		}
		if c != 0 {
			return br.UnreadByte()
		}
	}
}

// toEnd makes bytes behind the end of a stream an error, for decoders that
// stop without looking.
type toEnd struct {
	r  io.Reader
	br *bufio.Reader
}

func (t *toEnd) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if err != io.EOF {
		return n, err
	}
	if _, more := t.br.Peek(1); more == nil {
		return n, damaged(nil, "bytes follow the end of the stream")
	} else if more != io.EOF {
		return n, more
	}
	return n, io.EOF
}
