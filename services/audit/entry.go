package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
)

// Entry is one line of the log: an event as the stream holds it, tied to the
// entry before it. The line is the entry's JSON in the order of the fields,
// without the final newline; its SHA-256 is what the next entry names.
//
// Subject, ID and Source are foreign: what is no UTF-8 stands quoted as Go
// writes it, and what is longer than 4096 bytes is cut there.
type Entry struct {
	Index    uint64          `json:"index"` // 0 for the first
	Previous digest.Digest   `json:"prev"`  // SHA-256 of the previous line; of nothing for the first
	Stream   string          `json:"stream"`
	Sequence uint64          `json:"seq"`
	Time     time.Time       `json:"time"`    // when the stream stored it, never a local clock
	Subject  string          `json:"subject"` // empty for a hole
	Type     string          `json:"type"`    // CloudEvents type, TypeMalformed or TypeGap
	ID       string          `json:"id,omitempty"`
	Source   string          `json:"source,omitempty"`
	Digest   digest.Digest   `json:"digest"`         // SHA-256 of the event's data
	Data     json.RawMessage `json:"data,omitempty"` // the data itself if small; else, unless empty, it is a document of the store
}

const (
	// TypeGap marks sequences of a stream that were gone before they could be
	// recorded: Data holds {"from","to"}, Sequence is the latter, and Time is
	// when the stream stored the event after them. No event gets this type.
	TypeGap = "dev.assize.audit.gap"

	// TypeMalformed marks an event that does not keep the contract.
	TypeMalformed = "malformed"

	// MaxInline is the size of event data kept inside an entry, in bytes.
	MaxInline = 32 << 10

	// maxAttribute bounds a foreign string, in bytes; a NATS subject is
	// shorter. JSON makes at most six bytes out of one.
	maxAttribute = 4096

	// maxLine bounds a line with its newline: what is longer could not be
	// read back, so it is never written.
	maxLine = MaxInline + 4*6*maxAttribute + 1024
)

// origin is what the first entry names as its predecessor.
var origin = digest.Of(nil)

// entryOf is m's entry but for its place in the log.
func entryOf(m *bus.Message) *Entry {
	e := &Entry{
		Stream: m.Stream, Sequence: m.Sequence, Time: m.Time.UTC(), Subject: attribute(m.Subject),
		Type: TypeMalformed, Digest: digest.Of(m.Data),
	}
	if m.Event != nil {
		e.ID, e.Source = attribute(m.Event.ID), attribute(m.Event.Source)
		// An event must not pass for a hole.
		if t := string(m.Event.Type); t != TypeGap && t == attribute(t) {
			e.Type = t
		}
	}
	if inlineable(m.Data) {
		e.Data = m.Data
	}
	return e
}

// attribute makes a foreign string one that survives JSON and has bounds.
func attribute(s string) string {
	cut := s
	if len(cut) > maxAttribute {
		cut = cut[:maxAttribute]
		// Back to a boundary, so that cutting alone makes nothing invalid.
		for n := 0; n < utf8.UTFMax && utf8.ValidString(s) && !utf8.ValidString(cut); n++ {
			cut = cut[:len(cut)-1]
		}
	}
	if !utf8.ValidString(cut) {
		return strconv.QuoteToASCII(cut)
	}
	return cut
}

// inlineable reports whether data survives being part of a line unchanged.
// Nesting counts one level deeper there, where the decoder has its limit.
func inlineable(data []byte) bool {
	if len(data) == 0 || len(data) > MaxInline {
		return false
	}
	inside := append(append([]byte{'['}, data...), ']')
	var b bytes.Buffer
	return json.Valid(data) && json.Compact(&b, inside) == nil && bytes.Equal(b.Bytes(), inside)
}

// gapBefore is the entry for the sequences from first to the one before m.
func gapBefore(m *bus.Message, first uint64) *Entry {
	data := gapData(first, m.Sequence-1)
	return &Entry{Stream: m.Stream, Sequence: m.Sequence - 1, Time: m.Time.UTC(),
		Type: TypeGap, Digest: digest.Of(data), Data: data}
}

func gapData(first, last uint64) []byte {
	return fmt.Appendf(nil, `{"from":%d,"to":%d}`, first, last)
}

// line encodes e without escaping more than JSON asks for, so that inline
// data keeps the very bytes its digest is of.
func (e *Entry) line() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode entry %d: %w", e.Index, err)
	}
	if b.Len() > maxLine {
		return nil, fmt.Errorf("encode entry %d: line of %d bytes, at most %d", e.Index, b.Len(), maxLine)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// parseLine accepts exactly what line writes.
func parseLine(line []byte) (*Entry, error) {
	if len(line) >= maxLine {
		return nil, fmt.Errorf("not an entry: longer than %d bytes", maxLine)
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	var e Entry
	if err := dec.Decode(&e); err != nil {
		return nil, fmt.Errorf("not an entry: %w", err)
	}
	e.Time = e.Time.UTC()
	again, err := e.line()
	if err != nil {
		return nil, err
	}
	switch {
	case !bytes.Equal(again, line):
		return nil, errors.New("not an entry: not in the canonical form")
	case e.Digest == "":
		return nil, errors.New("not an entry: no digest")
	case len(e.Data) > MaxInline:
		return nil, fmt.Errorf("not an entry: %d bytes of data inline, at most %d", len(e.Data), MaxInline)
	case e.Data != nil && digest.Of(e.Data) != e.Digest:
		return nil, fmt.Errorf("data has %s, but the entry says %s", digest.Of(e.Data), e.Digest)
	}
	return &e, nil
}
