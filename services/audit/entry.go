package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"assize.dev/shared/digest"
)

// Entry is one line of the log: an event as the stream holds it, tied to the
// entry before it. The line is the entry's JSON in the order of the fields,
// without the final newline; its SHA-256 is what the next entry names.
type Entry struct {
	Index    uint64          `json:"index"` // 0 for the first
	Previous digest.Digest   `json:"prev"`  // SHA-256 of the previous line; of nothing for the first
	Stream   string          `json:"stream"`
	Sequence uint64          `json:"seq"`
	Time     time.Time       `json:"time"` // when the stream stored it, never a local clock
	Subject  string          `json:"subject"`
	Type     string          `json:"type"` // CloudEvents type; "malformed" for what keeps no contract, TypeGap for a hole
	ID       string          `json:"id,omitempty"`
	Source   string          `json:"source,omitempty"`
	Digest   digest.Digest   `json:"digest"`         // SHA-256 of the event's data
	Data     json.RawMessage `json:"data,omitempty"` // the data itself if small; else it is a document of the store
}

// TypeGap marks sequences of a stream that were gone before they could be
// recorded; Sequence is the last one missing and Data holds {"from","to"}.
const TypeGap = "dev.assize.audit.gap"

// MaxInline is the size of event data kept inside an entry, in bytes.
const MaxInline = 32 << 10

// maxLine bounds a line that is read back.
const maxLine = 2*MaxInline + 8192

// origin is what the first entry names as its predecessor.
var origin = digest.Of(nil)

// line encodes e without escaping more than JSON asks for, so that inline
// data keeps the very bytes its digest is of.
func (e *Entry) line() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode entry %d: %w", e.Index, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func parseLine(line []byte) (*Entry, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	var e Entry
	if err := dec.Decode(&e); err != nil {
		return nil, fmt.Errorf("not an entry: %w", err)
	}
	again, err := e.line()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, line) {
		return nil, errors.New("not an entry: not in the canonical form")
	}
	if e.Data != nil && digest.Of(e.Data) != e.Digest {
		return nil, fmt.Errorf("data has %s, but the entry says %s", digest.Of(e.Data), e.Digest)
	}
	return &e, nil
}

// inlineable reports whether data survives being part of a line unchanged.
func inlineable(data []byte) bool {
	if len(data) == 0 || len(data) > MaxInline {
		return false
	}
	var b bytes.Buffer
	return json.Compact(&b, data) == nil && bytes.Equal(b.Bytes(), data)
}
