package archive

import (
	"bytes"
	"io"
)

// cursor reads the records of a sequential container and knows where it is,
// so that bodies can be passed on in place where the source allows it.
type cursor struct {
	s   *source
	pos int64
}

func (c *cursor) Read(p []byte) (int, error) {
	if c.s.at == nil {
		n, err := c.s.seq.Read(p)
		c.pos += int64(n)
		return n, err
	}
	if c.pos >= c.s.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), c.s.size-c.pos)]
	n, err := c.s.at.ReadAt(p, c.pos)
	c.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// full fills p: io.EOF before its first byte, io.ErrUnexpectedEOF within.
func (c *cursor) full(p []byte) error {
	_, err := io.ReadFull(c, p)
	return err
}

// unread takes back the last bytes read.
func (c *cursor) unread(p []byte) {
	c.pos -= int64(len(p))
	if c.s.at == nil {
		rest := *c.s
		rest.seq = io.MultiReader(bytes.NewReader(bytes.Clone(p)), c.s.seq)
		c.s = &rest
	}
}

// body is the next n bytes; end says where to go on after them.
func (c *cursor) body(n int64) (body source, end int64) {
	end = c.pos + n
	if inPlace, ok := c.inPlace(n); ok {
		return inPlace, end
	}
	return source{seq: &exactly{r: c, left: n}, charged: c.s.charged}, end
}

// inPlace gives the next n bytes without copying them, if all are there.
func (c *cursor) inPlace(n int64) (source, bool) {
	if c.s.at == nil || n < 0 || n > c.s.size-c.pos {
		return source{}, false
	}
	return source{at: io.NewSectionReader(c.s.at, c.pos, n), size: n}, true
}

// to moves forward to the offset; io.ErrUnexpectedEOF if there is no such.
func (c *cursor) to(offset int64) error {
	if c.s.at != nil {
		if offset > c.s.size {
			c.pos = c.s.size
			return io.ErrUnexpectedEOF
		}
		c.pos = offset
		return nil
	}
	_, err := io.CopyN(io.Discard, c, offset-c.pos)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// exactly is io.LimitReader that does not take a missing byte for the end.
type exactly struct {
	r    io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
