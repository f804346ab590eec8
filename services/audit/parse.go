package audit

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"assize.dev/shared/digest"
)

// ParseLine reads a line. It accepts exactly what is written to the log: the
// canonical form leaves one way to say a thing, so a line is read from left to
// right without anything to be put right.
func ParseLine(line []byte) (*Entry, error) {
	if len(line) > maxLine {
		return nil, fmt.Errorf("not an entry: longer than %d bytes", maxLine)
	}
	if !utf8.Valid(line) {
		return nil, errors.New("not an entry: not in UTF-8")
	}
	p := parser{rest: string(line)}
	e := p.entry()
	switch {
	case p.err != nil:
		return nil, fmt.Errorf("not an entry: not in the canonical form: %w", p.err)
	case e.Digest == "":
		return nil, errors.New("not an entry: no digest")
	}
	if e.Data != "" {
		if d := digest.Of([]byte(e.Data)); d != e.Digest {
			return nil, fmt.Errorf("data has %s, but the entry says %s", d, e.Digest)
		}
	}
	return e, nil
}

// parser reads what Entry.line writes.
type parser struct {
	rest  string
	wrote bool // a member came before
	err   error
}

func (p *parser) entry() *Entry {
	e := new(Entry)
	p.expect("{")
	e.Actor = p.text("actor")
	e.Artifact = p.digest("artifact")
	e.Data = p.text("data")
	e.Digest = p.digest("digest")
	e.Envelope = p.digest("envelope")
	e.Event = EventKind(p.text("event"))
	e.ID = p.text("id")
	e.Index = p.number("index")
	e.Previous = p.digest("prev")
	e.Sequence = p.number("seq")
	e.Severity = Severity(p.text("severity"))
	e.Source = p.text("source")
	e.Stream = p.text("stream")
	e.Subject = p.text("subject")
	e.Time = p.time("time")
	e.Type = p.text("type")
	p.expect("}")
	if p.rest != "" {
		p.fail("it goes on after its end, or has a member that is out of place: %.40q", p.rest)
	}
	return e
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *parser) expect(s string) {
	if len(p.rest) < len(s) || p.rest[:len(s)] != s {
		p.fail("want %q at %.40q", s, p.rest)
		return
	}
	p.rest = p.rest[len(s):]
}

// member moves behind the name and the colon, if the next member has the name.
func (p *parser) member(name string) bool {
	at := p.rest
	if p.wrote {
		if at == "" || at[0] != ',' {
			return false
		}
		at = at[1:]
	}
	n := len(name)
	if len(at) < n+3 || at[0] != '"' || at[1:n+1] != name || at[n+1] != '"' || at[n+2] != ':' {
		return false
	}
	p.rest, p.wrote = at[n+3:], true
	return true
}

// text is a member that is left out if it is empty.
func (p *parser) text(name string) string {
	if !p.member(name) {
		return ""
	}
	s := p.string()
	if s == "" {
		p.fail("%s is empty, which is not written", name)
	}
	return s
}

// string reads one as RFC 8785, section 3.2.2.2, has it written.
func (p *parser) string() string {
	p.expect(`"`)
	for i := range len(p.rest) {
		switch c := p.rest[i]; {
		case c == '"':
			s := p.rest[:i]
			p.rest = p.rest[i+1:]
			return s
		case c == '\\':
			return p.escaped(i)
		case c < 0x20:
			p.fail("a control character in a string")
			return ""
		}
	}
	p.fail("a string does not end")
	return ""
}

// escaped is string from its first escape on, at i.
func (p *parser) escaped(i int) string {
	b := make([]byte, 0, 2*i+64)
	rest, from := p.rest, 0
	for i < len(rest) {
		switch c := rest[i]; {
		case c == '"':
			p.rest = rest[i+1:]
			return string(append(b, rest[from:i]...))
		case c < 0x20:
			p.fail("a control character in a string")
			return ""
		case c != '\\':
			i++
			continue
		}
		c, size := unescape(rest[i:])
		if size == 0 {
			p.fail("an escape that is not needed: %.8q", rest[i:])
			return ""
		}
		b = append(append(b, rest[from:i]...), c)
		i += size
		from = i
	}
	p.fail("a string does not end")
	return ""
}

// unescape is the byte that an escape stands for, and the escape's size: 0 if it
// is not one that appendString writes.
func unescape(s string) (c byte, size int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\\':
		return s[1], 2
	case 'b':
		return '\b', 2
	case 't':
		return '\t', 2
	case 'n':
		return '\n', 2
	case 'f':
		return '\f', 2
	case 'r':
		return '\r', 2
	case 'u':
		if len(s) < 6 || s[2:4] != "00" || s[4] != '0' && s[4] != '1' {
			return 0, 0
		}
		low := s[5]
		switch {
		case low >= '0' && low <= '9':
			low -= '0'
		case low >= 'a' && low <= 'f':
			low -= 'a' - 10
		default:
			return 0, 0
		}
		c = (s[4]-'0')<<4 | low
		if c == '\b' || c == '\t' || c == '\n' || c == '\f' || c == '\r' {
			return 0, 0
		}
		return c, 6
	}
	return 0, 0
}

func (p *parser) number(name string) (n uint64) {
	if !p.member(name) {
		p.fail("%s is missing", name)
		return 0
	}
	i := 0
	for i < len(p.rest) && p.rest[i] >= '0' && p.rest[i] <= '9' && n < maxNumber {
		n = 10*n + uint64(p.rest[i]-'0')
		i++
	}
	if i == 0 || i > 1 && p.rest[0] == '0' || n >= maxNumber {
		p.fail("%s is no number below 2^53: %.30q", name, p.rest)
		return 0
	}
	p.rest = p.rest[i:]
	return n
}

func (p *parser) digest(name string) digest.Digest {
	s := p.text(name)
	if s == "" || p.err != nil {
		return ""
	}
	d, err := digest.Parse(s)
	if err == nil && string(d) != s {
		err = errors.New("not as it is written")
	}
	if err != nil {
		p.fail("%s: %w", name, err)
	}
	return d
}

func (p *parser) time(name string) time.Time {
	s := p.text(name)
	if p.err != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err == nil {
		t = t.UTC()
		var room [40]byte
		if string(t.AppendFormat(room[:0], time.RFC3339Nano)) != s {
			err = errors.New("not as it is written")
		}
	}
	if err != nil {
		p.fail("%s: %w", name, err)
	}
	return t
}
