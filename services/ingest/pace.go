package ingest

import (
	"errors"
	"io"
	"time"
)

// pace is what a sender of bytes must keep up with: after patience, an
// average of slowest bytes a second. Who is slower, or silent, would hold a
// worker and spool space for as long as it likes.
type pace struct {
	patience time.Duration
	slowest  int64
}

var usualPace = pace{patience: time.Minute, slowest: 16 << 10}

var errTooSlow = errors.New("the sender is silent or too slow")

// sent reads a sender's bytes at its pace and remembers how reading failed,
// which tells the sender's trouble from ours.
type sent struct {
	pace
	body     io.Reader
	deadline func(time.Time) // makes body.Read fail from then on
	started  time.Time
	n        int64
	err      error
}

func (p pace) read(body io.Reader, deadline func(time.Time)) *sent {
	return &sent{pace: p, body: body, deadline: deadline, started: time.Now()}
}

func (s *sent) Read(b []byte) (int, error) {
	s.deadline(s.started.Add(s.patience + time.Duration(float64(s.n)/float64(s.slowest)*float64(time.Second))))
	n, err := s.body.Read(b)
	s.n += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
