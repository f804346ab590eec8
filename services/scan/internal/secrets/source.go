package secrets

import "io"

// A stream is looked at in pieces: some context, then a chunk to be searched,
// then lookAhead bytes that are searched in the next round: whatever begins in
// a chunk is seen whole, written as UTF-16 too.
const (
	lookAhead   = 48 << 10 // twice the largest private key judged, maxPEM, and its header
	lookBehind  = 2 << 10  // above twice what rules look at before an anchor
	chunkSize   = 256 << 10
	bufferSize  = lookBehind + chunkSize + lookAhead
	emptyRounds = 100 // reads of nothing before a reader counts as broken
)

// source gives a stream's text piece by piece.
type source interface {
	// next drops so many bytes of the piece before and adds what comes
	// behind it, up to bufferSize. With the last piece comes an error, io.EOF
	// if the stream was read whole.
	next(drop int) (piece []byte, err error)
}

// buffered is a reader's text.
type buffered struct {
	r    io.Reader
	buf  []byte
	have int // bytes in buf
	most int // that have was
}

func (b *buffered) next(drop int) ([]byte, error) {
	b.have = copy(b.buf, b.buf[drop:b.have])
	n, err := fill(b.r, b.buf[b.have:])
	b.have += n
	b.most = max(b.most, b.have)
	return b.buf[:b.have], err
}

// wipe leaves nothing of what was scanned, which may be secret.
func (b *buffered) wipe() { clear(b.buf[:b.most]) }

// fill reads until buf is full, or returns why it is not.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for empty := 0; n < len(buf) && empty < emptyRounds; {
		m, err := r.Read(buf[n:])
		n += m
		if err != nil {
			return n, err
		}
		if m == 0 {
			empty++
		} else {
			empty = 0
		}
	}
	if n < len(buf) {
		return n, io.ErrNoProgress
	}
	return n, nil
}

// inMemory is text that need not be copied.
type inMemory []byte

func (m *inMemory) next(drop int) ([]byte, error) {
	if *m = (*m)[drop:]; len(*m) <= bufferSize {
		return *m, io.EOF
	}
	return (*m)[:bufferSize], nil
}
