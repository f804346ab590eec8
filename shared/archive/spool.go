package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how much of a nested container stays in memory.
const spoolMemory = 8 << 20

// spool holds the bytes of one nested container, so that the visitor and the
// walker can both read them and a zip can be read out of order.
type spool struct {
	mem    []byte
	file   *os.File // unlinked; nil while everything fits in memory
	size   int64
	taken  int64
	memory *memory
}

// newSpool reads r to its end, to limit bytes or to its first error. more
// reports that the limit was reached and r has further bytes; err is r's, and
// the spool then holds what came before it. An *inputError means that no
// spool could be made.
func newSpool(r io.Reader, limit int64, m *memory) (s *spool, more bool, err error) {
	s = &spool{memory: m}
	allowed := min(spoolMemory, m.free/2, limit)
	buf := make([]byte, 0, min(32<<10, allowed+1))
	for err == nil && int64(len(buf)) < allowed {
		if len(buf) == cap(buf) {
			bigger := make([]byte, len(buf), min(2*int64(cap(buf)), allowed))
			copy(bigger, buf)
			buf = bigger
		}
		var n int
		n, err = r.Read(buf[len(buf):min(int64(cap(buf)), allowed)])
		buf = buf[:len(buf)+n]
	}
	s.mem, s.size = buf, int64(len(buf))
	if err == nil && allowed < limit {
		err = s.toFile(r, limit)
	}
	var broken *inputError
	if errors.As(err, &broken) {
		s.close()
		return nil, false, err
	}
	s.taken = int64(cap(s.mem))
	m.free -= s.taken
	if err == nil {
		return s, true, nil
	}
	if err == io.EOF {
		err = nil
	}
	return s, false, err
}

// hold gives random access to all of s. The caller calls done.
func (w *walk) hold(s *source, path string) (held *source, done func(), err error) {
	if s.at != nil {
		return s, func() {}, nil
	}
	limit := w.budget.limits.EntryBuffer
	sp, more, err := newSpool(s.seq, limit, &w.budget.memory)
	if err == nil && more {
		err = &LimitError{Limit: "entry-buffer", Value: bytesOf(limit), Path: path}
	}
	if err != nil {
		if sp != nil {
			sp.close()
		}
		return nil, nil, err
	}
	return &source{at: sp, size: sp.size, seq: io.NewSectionReader(sp, 0, sp.size), charged: s.charged}, sp.close, nil
}

// toFile moves the spool to a file that has no name any more, so that nothing
// is left behind however the process ends. It returns io.EOF at the end of r
// and nil at the limit.
func (s *spool) toFile(r io.Reader, limit int64) error {
	f, err := os.CreateTemp("", "assize-spool-*")
	if err != nil {
		return &inputError{fmt.Errorf("spool a nested container: %w", err)}
	}
	s.file = f
	if err := os.Remove(f.Name()); err != nil {
		return &inputError{fmt.Errorf("unlink the spool of a nested container: %w", err)}
	}
	if _, err := f.Write(s.mem); err != nil {
		return &inputError{fmt.Errorf("spool a nested container: %w", err)}
	}
	s.mem = nil
	buf := make([]byte, 32<<10)
	for s.size < limit {
		n, err := r.Read(buf[:min(int64(len(buf)), limit-s.size)])
		if _, werr := f.Write(buf[:n]); werr != nil {
			return &inputError{fmt.Errorf("spool a nested container: %w", werr)}
		}
		s.size += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *spool) ReadAt(p []byte, off int64) (int, error) {
	if s.file == nil {
		return bytes.NewReader(s.mem).ReadAt(p, off)
	}
	n, err := s.file.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = &inputError{fmt.Errorf("read the spool of a nested container: %w", err)}
	}
	return n, err
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close() // nothing to lose: the file is unlinked and only read
	}
	s.memory.give(s.taken)
	s.mem, s.taken = nil, 0
}
