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
	Length     int    // of the value in bytes of the stream
	Line       int    // of the value's start, from 1; lines end with \n
	Column     int    // in bytes, from 1
	Encoding   string // how the value is written: empty for plainly, "utf-16" or "base64"
	InTests    bool   // its path is one of tests, examples or documentation; Examine tells
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
	custom  *Rules
	buffers sync.Pool
}

// New makes an engine whose fingerprints are made with key. custom are rules
// beside the built-in ones; nil is none.
func New(key []byte, custom *Rules) *Engine {
	return &Engine{
		key: slices.Clone(key), index: newIndex(allAnchors(custom)), custom: custom,
		buffers: sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }},
	}
}

// Scan reads r to its end and calls emit for each credential in order of its
// offset; of values that overlap only one is reported. path is where the
// stream lies, for custom rules that ask for it. Memory is bounded whatever
// r holds. The error is r's or ctx's; what was read before it has been
// scanned.
func (e *Engine) Scan(ctx context.Context, path string, r io.Reader, emit func(Match)) error {
	pooled := e.buffers.Get().(*[]byte)
	defer e.buffers.Put(pooled)
	b := buffered{r: r, buf: *pooled}
	defer b.wipe()
	return e.scan(ctx, path, &b, emit)
}

// ScanBytes is Scan of bytes that are in memory, which are not copied.
func (e *Engine) ScanBytes(ctx context.Context, path string, text []byte, emit func(Match)) error {
	b := inMemory(text)
	return e.scan(ctx, path, &b, emit)
}

func (e *Engine) scan(ctx context.Context, path string, src source, emit func(Match)) error {
	s := stream{engine: e, line: 1, emit: emit, custom: e.custom.forPath(path)}
	defer s.release()
	for drop := 0; ; drop = s.discard() {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		s.text, err = src.next(drop)
		s.most = max(s.most, len(s.text))
		if err != nil {
			s.search(len(s.text))
			s.report(s.base + int64(len(s.text)) + 1)
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		limit := len(s.text) - lookAhead
		s.search(limit - int((s.base+int64(limit))%everyBlock)) // whole blocks of custom rules
		// What begins after this may still get company from anchors behind.
		s.report(s.base + int64(s.from-lookBehind))
	}
}

// stream is one Scan under way.
type stream struct {
	engine  *Engine
	emit    func(Match)
	custom  *activeRules
	text    []byte // what lies before is done with
	most    int    // bytes that text had
	from    int    // first byte of text where no anchor has been looked for
	base    int64  // offset of text[0]
	encoded int64  // offset before which no run of base64 begins any more
	at      int    // position in text of line and column
	line    int
	column  int   // bytes between the line's start and at
	last    int64 // offset after the last value emitted
	found   []candidate
	scratch []*[]byte // for views
	lent    int       // of scratch
}

// finding is what a rule confirmed, as positions in the text it was shown.
type finding struct {
	start, end int
	shown      int            // bytes of the value's beginning that are not secret
	severity   event.Severity // if not the rule's
	confidence string         // if not the rule's
	rule       *rule          // if not the one that was asked
}

// candidate is a finding with its place in the stream. It no longer holds
// the value.
type candidate struct {
	Match
	end  int64
	rank int
}

// search looks for anchors that begin before limit.
func (s *stream) search(limit int) {
	if s.base == 0 && s.from == 0 {
		if f, ok := openpgpKey(s.text); ok {
			s.add(openpgpRule, f, s.text, view{width: 1})
		}
	}
	s.look(s.text, s.from, limit, view{base: s.base, width: 1})
	s.everywhere(s.text, s.from, limit)
	s.from = max(s.from, limit)
}

// look searches text[from:limit], as it is and in the encodings it may hold.
func (s *stream) look(text []byte, from, limit int, v view) {
	var r runs
	if v.depth == 0 && v.width == 1 {
		r.seen = max(0, int(s.encoded-v.base))
		defer func() { s.encoded = v.base + int64(r.seen) }()
	}
	base := v.base
	if v.encoding != "" {
		base = 0
	}
	var met keywords
	nul := s.engine.index.each(text, from, limit, func(a *anchor, at int) {
		if a.custom != nil {
			if !s.custom.off[a.custom] {
				met.add(a.custom, base+int64(at))
			}
			return
		}
		if f, ok := a.rule.verify(text, at, at+len(a.literal)); ok {
			s.add(a.rule, f, text, v)
		}
	}, func(i int) {
		if v.width == 1 {
			s.encodedNear(text, i, from, limit, v, &r)
		}
	})
	s.tryCustom(met, text, base, v)
	if nul && v.width == 1 {
		s.wide(text, from, limit, v)
	}
}

func (s *stream) add(r *rule, f finding, text []byte, v view) {
	value := text[f.start:f.end]
	r = cmp.Or(f.rule, r)
	// Of the last character of UTF-16 the second byte may be missing.
	c := candidate{rank: r.rank, end: min(v.behind(f.end-1), s.base+int64(len(s.text)))}
	c.Match = Match{
		Rule: r.id, Title: r.title, Severity: cmp.Or(f.severity, r.severity), Confidence: cmp.Or(f.confidence, r.confidence),
		Offset: v.position(f.start), Encoding: v.encoding, Fingerprint: s.engine.fingerprint(value),
		Redacted: redact(value, f.shown),
	}
	c.Length = int(c.end - c.Offset)
	s.found = append(s.found, c)
}

// report emits what begins before the offset. Where rules meet in one value
// the more specific one sorts first and owns it.
func (s *stream) report(before int64) {
	slices.SortStableFunc(s.found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.rank, b.rank), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(b.Length, a.Length), cmp.Compare(b.Redacted, a.Redacted), cmp.Compare(a.Title, b.Title), cmp.Compare(a.Confidence, b.Confidence))
	})
	done := 0
	for _, c := range s.found {
		if c.Offset >= before {
			break
		}
		done++
		if c.Offset < s.last {
			continue
		}
		s.last = c.end
		s.advance(int(c.Offset - s.base))
		c.Line, c.Column = s.line, s.column+1
		s.emit(c.Match)
	}
	s.found = slices.Delete(s.found, 0, done)
}

// discard is done with text up to a little before what has not been searched,
// and returns how much that is.
func (s *stream) discard() int {
	n := max(0, s.from-lookBehind)
	s.advance(n)
	s.at -= n
	s.from -= n
	s.base += int64(n)
	return n
}

// advance moves the line and column to a position in the text.
func (s *stream) advance(to int) {
	if to <= s.at {
		return
	}
	text := s.text[s.at:to]
	s.at = to
	if n := bytes.Count(text, newline); n > 0 {
		s.line += n
		s.column = len(text) - bytes.LastIndexByte(text, '\n') - 1
		return
	}
	s.column += len(text)
}

var newline = []byte{'\n'}

func (e *Engine) fingerprint(value []byte) string {
	mac := hmac.New(sha256.New, e.key)
	mac.Write(value)
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

func redact(value []byte, shown int) string {
	return fmt.Sprintf("%s… (%d characters)", value[:min(shown, len(value)/2)], len(value))
}
