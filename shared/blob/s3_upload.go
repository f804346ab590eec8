package blob

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// upload is a body that may have to be sent more than once.
type upload struct {
	size   int64
	source io.Reader                 // nil if again is set
	again  func() (io.Reader, error) // the body from its start
}

// newUpload wraps body. Where body can be asked, its size is checked before
// anything is sent. A small one is kept in memory so that it can be sent again.
func newUpload(body io.Reader, size int64) (*upload, error) {
	at, ok := body.(interface {
		io.ReaderAt
		io.Seeker
	})
	switch {
	case ok:
		start, err := at.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		if err := checkEnd(at, start, size); err != nil {
			return nil, err
		}
		// One byte more than announced, for sending to find the end itself.
		return &upload{size: size, again: func() (io.Reader, error) {
			return io.NewSectionReader(at, start, size+1), nil
		}}, nil
	case size <= MaxReplace:
		var content bytes.Buffer
		if err := copyExactly(&content, body, size); err != nil {
			return nil, err
		}
		return &upload{size: size, again: func() (io.Reader, error) {
			return bytes.NewReader(content.Bytes()), nil
		}}, nil
	}
	return &upload{size: size, source: body}, nil
}

// checkEnd looks for the last announced byte and for none after it.
func checkEnd(at io.ReaderAt, start, size int64) error {
	one := make([]byte, 1)
	if size > 0 {
		if n, err := at.ReadAt(one, start+size-1); n == 0 {
			if err == io.EOF {
				return fmt.Errorf("%w: fewer than %d bytes", ErrWrongSize, size)
			}
			return err
		}
	}
	if n, _ := at.ReadAt(one, start+size); n > 0 {
		return fmt.Errorf("%w: more than %d bytes", ErrWrongSize, size)
	}
	return nil
}

// send begins an attempt.
func (u *upload) send() (*sending, error) {
	source := u.source
	if u.again != nil {
		var err error
		if source, err = u.again(); err != nil {
			return nil, err
		}
	}
	return &sending{source: source, size: u.size, left: u.size}, nil
}

// sending is one attempt at a body. It withholds the last bytes unless the
// source ends right after them, so that the server never holds a complete
// object of the wrong size.
//
// The HTTP transport may read on for a moment after it has returned an answer;
// end keeps it from touching a body that is the caller's again.
type sending struct {
	size int64

	mu     sync.Mutex // guards what follows, and the source itself
	source io.Reader
	left   int64
	err    error
}

var errEnded = errors.New("the attempt is over")

func (s *sending) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	if s.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := s.source.Read(p)
	switch s.left -= int64(n); {
	case err == io.EOF && s.left > 0:
		s.err = fmt.Errorf("%w: %d bytes, want %d", ErrWrongSize, s.size-s.left, s.size)
	case err != nil && err != io.EOF:
		s.err = fmt.Errorf("reading the body: %w", err)
	case s.left == 0 && err == nil:
		s.err = expectEnd(s.source, s.size)
	}
	if s.err != nil {
		return 0, s.err
	}
	return n, nil
}

// end returns why Read failed, if it did, and makes it fail from now on.
func (s *sending) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.err
	s.err = errEnded
	return err
}

const (
	maxAttempts = 4
	firstPause  = 100 * time.Millisecond // doubles, with jitter
)

// attempts calls f until it succeeds or fails for good, each time with timeout
// to do it. attempt counts from 1.
func attempts(ctx context.Context, timeout time.Duration, tries int, f func(ctx context.Context, attempt int) error) error {
	for attempt := 1; ; attempt++ {
		err := within(ctx, timeout, func(ctx context.Context) error { return f(ctx, attempt) })
		if err == nil || !passing(err) || context.Cause(ctx) != nil {
			return err
		}
		if attempt == tries && tries == 1 {
			return err
		}
		if attempt == tries {
			return fmt.Errorf("after %d attempts: %w", attempt, err)
		}
		pause := firstPause << (attempt - 1)
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
}

func within(ctx context.Context, timeout time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return f(ctx)
}

// passing tells what may go better next time: a server's trouble (5xx, 408,
// 429) and whatever kept its answer from arriving.
func passing(err error) bool {
	for _, final := range []error{ErrExists, ErrChanged, ErrNotFound, ErrCorrupt, ErrTooLarge, ErrWrongSize, ErrKey} {
		if errors.Is(err, final) {
			return false
		}
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return false
	}
	var answer *answerError
	if errors.As(err, &answer) {
		return answer.code == "ConditionalRequestConflict" || // two conditional PUTs at once
			answer.status >= 500 && answer.status != http.StatusNotImplemented ||
			answer.status == http.StatusRequestTimeout || answer.status == http.StatusTooManyRequests
	}
	return true
}
