// Package secrets finds credentials in streams of bytes. It looks for the
// literals that credentials carry, judges what stands around each, and never
// lets a credential's value leave the package.
package secrets

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"assize.dev/shared/event"
)

// Match is one credential found.
type Match struct {
	Rule       string // "github_token"
	Title      string // "GitHub token"
	Severity   event.Severity
	Confidence string // checksum, structure, entropy or generic
	Offset     int64  // of the value's first byte
	Length     int    // of the value in bytes
	Line       int    // of the value's start, from 1; lines end with \n
	Column     int    // in bytes, from 1
	// Redacted is what may be shown: the public prefix of the kind and
	// the length.
	Redacted string
	// Fingerprint is the HMAC-SHA256 of the value, 32 hexadecimal digits:
	// the same value has the same fingerprint wherever the same key is used,
	// and without the key it cannot be tried out.
	Fingerprint string
}

// Engine scans streams. Any number of goroutines may use one.
type Engine struct {
	key     []byte
	index   *index
	buffers sync.Pool
}

// New makes an engine whose fingerprints are made with key.
func New(key []byte) *Engine {
	return &Engine{
		key: slices.Clone(key), index: allAnchors(),
		buffers: sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }},
	}
}

// A buffer holds context, then a chunk to be searched, then lookAhead bytes
// that are searched in the next round: whatever begins in a chunk is seen
// whole.
const (
	lookAhead   = 24 << 10 // above the largest private key judged, maxPEM
	lookBehind  = 256      // above the longest keyword and its surroundings
	bufferSize  = 256<<10 + lookAhead + lookBehind
	emptyRounds = 100 // reads of nothing before a reader counts as broken
)

// Scan reads r to its end and calls emit for each credential, in order of
// its offset within each stretch of 256 KiB. Memory is bounded whatever r
// holds. The error is r's or ctx's; what was read before it has been scanned.
func (e *Engine) Scan(ctx context.Context, r io.Reader, emit func(Match)) error {
	pooled := e.buffers.Get().(*[]byte)
	defer e.buffers.Put(pooled)
	defer clear(*pooled) // what was scanned may be secret
	s := stream{engine: e, buf: *pooled, line: 1, emit: emit}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := fill(r, s.buf[s.have:])
		s.have += n
		if err != nil {
			s.search(s.have)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		s.search(s.have - lookAhead)
		s.discard()
	}
}

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

// stream is one Scan under way.
type stream struct {
	engine *Engine
	emit   func(Match)
	buf    []byte
	have   int   // bytes in buf
	from   int   // first byte of buf where no anchor has been looked for
	base   int64 // offset of buf[0]
	line   int   // line of buf[0]
	column int   // bytes between buf[0] and the line's start
	last   int64 // offset after the last value emitted
	found  []finding
}

// finding is a candidate that was confirmed, as positions in the buffer.
type finding struct {
	*rule
	start, end int
	severity   event.Severity
}

// search looks for anchors that begin before limit, and emits what they
// turn out to be.
func (s *stream) search(limit int) {
	text := s.buf[:s.have]
	s.found = s.found[:0]
	s.engine.index.each(text, s.from, limit, func(a *anchor, at int) {
		if f, ok := a.rule.verify(text, at, at+len(a.literal)); ok {
			f.rule = a.rule
			if f.severity == "" {
				f.severity = a.rule.severity
			}
			s.found = append(s.found, f)
		}
	})
	s.from = max(s.from, limit)
	slices.SortStableFunc(s.found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.rank, b.rank))
	})
	line, column, at := s.line, s.column, 0
	for _, f := range s.found {
		// Two rules may meet in one value; the more specific one sorts
		// first and owns it.
		if s.base+int64(f.start) < s.last {
			continue
		}
		s.last = s.base + int64(f.end)
		line, column = advance(text[at:f.start], line, column)
		at = f.start
		value := text[f.start:f.end]
		s.emit(Match{
			Rule: f.id, Title: f.title, Severity: f.severity, Confidence: f.confidence,
			Offset: s.base + int64(f.start), Length: len(value), Line: line, Column: column + 1,
			Redacted: f.redact(len(value)), Fingerprint: s.engine.fingerprint(value),
		})
	}
}

// discard makes room, keeping what has not been searched and a little before
// it.
func (s *stream) discard() {
	n := max(0, s.from-lookBehind)
	s.line, s.column = advance(s.buf[:n], s.line, s.column)
	copy(s.buf, s.buf[n:s.have])
	s.have -= n
	s.from -= n
	s.base += int64(n)
}

// advance moves a position past text.
func advance(text []byte, line, column int) (int, int) {
	if n := bytes.Count(text, newline); n > 0 {
		return line + n, len(text) - bytes.LastIndexByte(text, '\n') - 1
	}
	return line, column + len(text)
}

var newline = []byte{'\n'}

func (e *Engine) fingerprint(value []byte) string {
	mac := hmac.New(sha256.New, e.key)
	mac.Write(value)
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

func (r *rule) redact(length int) string {
	return fmt.Sprintf("%s… (%d characters)", r.shown, length)
}
