package audit

import (
	"bytes"
	"encoding/json"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// gist is what matters here of what events say.
type gist struct {
	artifact      digest.Digest // of decisions: of the artifact in them
	decision      event.Outcome
	digest        digest.Digest
	envelope      []byte
	findings      []rated
	findingsTotal int
	kind          event.Kind
	lane          event.Lane
	manual        bool   // it comes with a decision by hand
	by            string // whose it claims to be
	status        event.Status
	supersedes    string
	uploader      string
	result        string // of the verification
}

type rated struct {
	Severity event.Severity `json:"severity"`
}

// gistOf picks the members out of an event's JSON and leaves the rest undecoded:
// decoding all of it would take longer than everything else that is done to an
// entry. Not ok if one of them is not what it should be, or there is no object.
func gistOf(data []byte) (g gist, ok bool) {
	good := true
	found := members(data, func(name, value []byte) {
		if bytes.Equal(value, []byte("null")) {
			return
		}
		switch string(name) {
		case "artifact":
			if value[0] == '{' {
				inner, ok := gistOf(value)
				g.artifact, good = inner.digest, good && ok
				return
			}
			good = pick(value, &g.artifact) && good
		case "decision":
			good = pick(value, &g.decision) && good
		case "digest":
			good = pick(value, &g.digest) && good
		case "envelope":
			g.envelope = value
		case "findings":
			good = pick(value, &g.findings) && good
		case "findingsTotal":
			good = pick(value, &g.findingsTotal) && good
		case "kind":
			good = pick(value, &g.kind) && good
		case "lane":
			good = pick(value, &g.lane) && good
		case "manual":
			var m event.Manual
			var said struct {
				By string `json:"by"`
			}
			good = pick(value, &m) && good
			if json.Unmarshal(m.Payload, &said) == nil {
				g.by = said.By
			}
			g.manual = true
		case "status":
			good = pick(value, &g.status) && good
		case "supersedes":
			good = pick(value, &g.supersedes) && good
		case "uploader":
			good = pick(value, &g.uploader) && good
		case "verification":
			var v struct {
				Result string `json:"result"`
			}
			good = pick(value, &v) && good
			g.result = v.Result
		}
	})
	return g, found && good
}

func pick(value []byte, to any) bool { return json.Unmarshal(value, to) == nil }

// members calls f with the members of a JSON object, names and values as they
// stand there; of names with escapes it says nothing. It does not check what it
// passes over: whether it is JSON at all is for those to say who read it.
func members(b []byte, f func(name, value []byte)) (ok bool) {
	s := scan{b: b}
	if !s.take('{') {
		return false
	}
	if s.take('}') {
		return true
	}
	for {
		s.space()
		name := s.value()
		if len(name) < 2 || name[0] != '"' || !s.take(':') {
			return false
		}
		s.space()
		value := s.value()
		if len(value) == 0 {
			return false
		}
		if name = name[1 : len(name)-1]; bytes.IndexByte(name, '\\') < 0 {
			f(name, value)
		}
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// scan moves over JSON.
type scan struct {
	b  []byte
	at int
}

func (s *scan) space() {
	for s.at < len(s.b) && (s.b[s.at] == ' ' || s.b[s.at] == '\n' || s.b[s.at] == '\t' || s.b[s.at] == '\r') {
		s.at++
	}
}

func (s *scan) take(c byte) bool {
	s.space()
	if s.at == len(s.b) || s.b[s.at] != c {
		return false
	}
	s.at++
	return true
}

// value moves over one; empty if there is none, or it does not end.
func (s *scan) value() []byte {
	start, depth := s.at, 0
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case '"':
			if !s.string() {
				return nil
			}
			if depth == 0 {
				return s.b[start:s.at]
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return s.b[start:s.at]
			}
			if depth--; depth == 0 {
				s.at++
				return s.b[start:s.at]
			}
		case ',', ':', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return s.b[start:s.at]
			}
		}
		s.at++
	}
	if depth > 0 {
		return nil
	}
	return s.b[start:s.at]
}

// string moves over one, from its first quote.
func (s *scan) string() bool {
	for i := s.at + 1; i < len(s.b); {
		n := bytes.IndexByte(s.b[i:], '"')
		if n < 0 {
			return false
		}
		end := i + n
		escapes := 0
		for end-1-escapes > s.at && s.b[end-1-escapes] == '\\' {
			escapes++
		}
		if i = end + 1; escapes%2 == 0 {
			s.at = i
			return true
		}
	}
	return false
}
