package lockfile

import (
	"errors"
	"fmt"
	"strings"
)

// term is a value of Erlang or Elixir as far as their lock files have them:
// a text (string, binary or atom) or a list (tuple, list or map, whose members
// are tuples of two).
type term struct {
	text string
	list []term
}

// at is the element i of a list, an empty text where there is none.
func (t term) at(i int) term {
	if i < len(t.list) {
		return t.list[i]
	}
	return term{}
}

// Bounds of terms.
const (
	maxTermDepth = 32
	maxTerms     = 1 << 20
)

// termReader reads terms off data. It does not tell the two languages apart and
// takes what is well-formed in either.
type termReader struct {
	data  string
	pos   int
	count int
}

func (r *termReader) fail(why string) error {
	return fmt.Errorf("near byte %d: %s", r.pos, why)
}

// blanks skips blanks and comments.
func (r *termReader) blanks() {
	for r.pos < len(r.data) {
		switch b := r.data[r.pos]; {
		case b == ' ' || b == '\t' || b == '\r' || b == '\n':
			r.pos++
		case b == '#', b == '%' && !r.starts("%{"):
			end := strings.IndexByte(r.data[r.pos:], '\n')
			if end < 0 {
				end = len(r.data) - r.pos
			}
			r.pos += end
		default:
			return
		}
	}
}

func (r *termReader) starts(s string) bool { return strings.HasPrefix(r.data[r.pos:], s) }

// take reports whether s comes next, and reads it.
func (r *termReader) take(s string) bool {
	r.blanks()
	if !r.starts(s) {
		return false
	}
	r.pos += len(s)
	return true
}

// read reads a term.
func (r *termReader) read(depth int) (t term, err error) {
	if depth > maxTermDepth {
		return t, r.fail("terms are nested too deeply")
	}
	if r.count++; r.count > maxTerms {
		return t, r.fail("too many terms")
	}
	switch {
	case r.take("%{"), r.take("{"):
		t.list, err = r.elements("}", depth)
	case r.take("["):
		t.list, err = r.elements("]", depth)
	case r.take("<<"):
		if !r.take(">>") {
			if t, err = r.read(depth + 1); err == nil && !r.take(">>") {
				err = r.fail("a binary is not closed")
			}
		}
	default:
		t.text, err = r.word()
	}
	return t, err
}

// elements reads up to the closing bracket. "key: value" and "key => value" are
// tuples.
func (r *termReader) elements(closing string, depth int) (all []term, err error) {
	for !r.take(closing) {
		one, err := r.read(depth + 1)
		if err != nil {
			return nil, err
		}
		if r.take("=>") || r.take(":") {
			value, err := r.read(depth + 1)
			if err != nil {
				return nil, err
			}
			one = term{list: []term{one, value}}
		}
		all = append(all, one)
		if !r.take(",") {
			if !r.take(closing) {
				return nil, r.fail("want , or " + closing)
			}
			return all, nil
		}
	}
	return all, nil
}

// word reads a quoted text, an atom or a number.
func (r *termReader) word() (string, error) {
	r.blanks()
	if r.pos == len(r.data) {
		return "", errors.New("it ends too early")
	}
	if r.data[r.pos] == ':' {
		r.pos++
	}
	if r.starts(`"`) || r.starts("'") {
		quote := r.data[r.pos]
		for end := r.pos + 1; end < len(r.data); end++ {
			switch r.data[end] {
			case '\\':
				end++
			case quote:
				text := r.data[r.pos+1 : end]
				r.pos = end + 1
				return text, nil
			}
		}
		return "", errors.New("a string is not closed")
	}
	end := r.pos
	for end < len(r.data) && isTermByte(r.data[end]) {
		end++
	}
	if end == r.pos {
		return "", r.fail("want a term")
	}
	text := r.data[r.pos:end]
	r.pos = end
	return text, nil
}

func isTermByte(b byte) bool {
	return b == '_' || b == '@' || b == '.' || b == '-' || b == '?' || b == '!' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}
