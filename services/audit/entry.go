package audit

import (
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"assize.dev/services/audit/internal/tree"
	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
)

// Entry is one line of the log: an event as the stream holds it, tied to the
// entry before it. The line is the entry's JSON in canonical form (RFC 8785),
// without a final newline; its SHA-256 is what the next entry names, and the
// same bytes are the leaf of the Merkle tree.
//
// Actor, ID, Source and Subject are foreign: what is no UTF-8 stands quoted as
// Go writes it, and what is longer than 1024 bytes is cut there.
type Entry struct {
	Actor    string        // who caused it: the uploader if there is one, else Source
	Artifact digest.Digest // that it is about, if it is about one
	Data     string        // the event's data if it is small; else, unless empty, it is a document of the store
	Digest   digest.Digest // SHA-256 of the event's data
	Envelope digest.Digest // SHA-256 of the signed verdict; of verdicts
	Event    EventKind     // what happened
	ID       string
	Index    uint64        // 0 for the first
	Previous digest.Digest // SHA-256 of the previous line; of nothing for the first
	Sequence uint64
	Severity Severity
	Source   string
	Stream   string
	Subject  string    // empty for a hole
	Time     time.Time // when the stream stored it, never a local clock
	Type     string    // CloudEvents type, TypeMalformed or TypeGap
}

const (
	// TypeGap marks sequences of a stream that were gone before they could be
	// recorded: Data holds {"from","to"}, Sequence is the latter, and Time is
	// when the stream stored the event after them. No event gets this type.
	TypeGap = "dev.assize.audit.gap"

	// TypeMalformed marks an event that does not keep the contract.
	TypeMalformed = "malformed"

	// MaxInline is the size of event data kept inside an entry, in bytes and
	// as JSON writes it.
	MaxInline = 32 << 10

	// maxAttribute bounds a foreign string, in bytes. JSON makes at most six
	// bytes out of one.
	maxAttribute = 1024

	// maxLine bounds a line: what is longer fits in no bundle, so it is
	// never written.
	maxLine = MaxInline + 4*6*maxAttribute + 2048
)

var _ = [tree.MaxEntry - maxLine]byte{} // a line is an entry of the tree

// origin is what the first entry names as its predecessor.
var origin = digest.Of(nil)

// entryOf is m's entry but for its place in the log.
func entryOf(m *bus.Message) *Entry {
	e := &Entry{
		Stream: m.Stream, Sequence: m.Sequence, Time: m.Time.UTC(), Subject: attribute(m.Subject),
		Type: TypeMalformed, Digest: digest.Of(m.Data), Event: EventMalformed, Severity: Warning,
	}
	if m.Event != nil {
		e.ID, e.Source = attribute(m.Event.ID), attribute(m.Event.Source)
		// An event must not pass for a hole.
		if t := string(m.Event.Type); t != TypeGap && t == attribute(t) {
			e.Type = t
		}
		e.classify(m.Event)
	}
	if e.Actor == "" {
		e.Actor = e.Source
	}
	if inlineable(m.Data) {
		e.Data = string(m.Data)
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

// inlineable reports whether data survives being a string of a line.
func inlineable(data []byte) bool {
	if len(data) > MaxInline || !utf8.Valid(data) {
		return false
	}
	return 6*len(data)+2 <= MaxInline || len(appendString(nil, string(data))) <= MaxInline
}

// gapBefore is the entry for the sequences from first to the one before m.
func gapBefore(m *bus.Message, first uint64) *Entry {
	data := gapData(first, m.Sequence-1)
	return &Entry{Stream: m.Stream, Sequence: m.Sequence - 1, Time: m.Time.UTC(), Actor: "assize/audit",
		Type: TypeGap, Event: EventGap, Severity: Critical, Digest: digest.Of([]byte(data)), Data: data}
}

func gapData(first, last uint64) string { return fmt.Sprintf(`{"from":%d,"to":%d}`, first, last) }

// line is appendLine alone.
func (e *Entry) line() ([]byte, error) { return e.appendLine(nil) }

// appendLine appends e in canonical form: the names in order, no space, numbers
// below 2^53, strings with no escape that is not needed. Names whose values are
// empty are left out. After an error b is as it was.
func (e *Entry) appendLine(b []byte) ([]byte, error) {
	if e.Index >= maxNumber || e.Sequence >= maxNumber {
		return b, fmt.Errorf("encode entry %d: sequence %d: numbers end at %d", e.Index, e.Sequence, uint64(maxNumber))
	}
	start := len(b)
	b = append(b, '{')
	b = appendMember(b, "actor", e.Actor)
	b = appendMember(b, "artifact", string(e.Artifact))
	b = appendMember(b, "data", e.Data)
	b = appendMember(b, "digest", string(e.Digest))
	b = appendMember(b, "envelope", string(e.Envelope))
	b = appendMember(b, "event", string(e.Event))
	b = appendMember(b, "id", e.ID)
	b = append(b, `"index":`...)
	b = append(strconv.AppendUint(b, e.Index, 10), ',')
	b = appendMember(b, "prev", string(e.Previous))
	b = append(b, `"seq":`...)
	b = append(strconv.AppendUint(b, e.Sequence, 10), ',')
	b = appendMember(b, "severity", string(e.Severity))
	b = appendMember(b, "source", e.Source)
	b = appendMember(b, "stream", e.Stream)
	b = appendMember(b, "subject", e.Subject)
	b = append(b, `"time":"`...)
	b = append(e.Time.UTC().AppendFormat(b, time.RFC3339Nano), `",`...)
	b = appendMember(b, "type", e.Type)
	b[len(b)-1] = '}'
	if n := len(b) - start; n > maxLine {
		return b[:start], fmt.Errorf("encode entry %d: line of %d bytes, at most %d", e.Index, n, maxLine)
	}
	return b, nil
}

// appendMember appends one with the comma after it, unless it is empty.
func appendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return append(appendString(b, value), ',')
}

const maxNumber = 1 << 53 // the integers that RFC 8785 leaves exact

// appendString is a JSON string as RFC 8785, section 3.2.2.2, writes it.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, '\\', 'b')
		case '\t':
			b = append(b, '\\', 't')
		case '\n':
			b = append(b, '\\', 'n')
		case '\f':
			b = append(b, '\\', 'f')
		case '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(b, s[from:]...), '"')
}
