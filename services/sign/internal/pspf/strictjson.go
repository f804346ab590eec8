package pspf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of a JSON document. The first two are the format's; the third keeps
// the memory for finding duplicate names small.
const (
	maxDepth  = 100
	maxItems  = 65535
	maxValues = 500_000
)

// checkJSON refuses documents that two readers could understand differently:
// not UTF-8, duplicate names, names of members in read that differ from the
// listed ones only in case, and anything beyond the bounds above. The keys of
// read are the names that lead to an object, joined by dots; arrays do not
// count, and "" is the outermost object.
func checkJSON(doc []byte, read map[string][]string) error {
	if !utf8.Valid(doc) {
		return errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	w := jsonWalk{read: read}
	for {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		if err := w.take(token); err != nil {
			return fmt.Errorf("at byte %d: %w", dec.InputOffset(), err)
		}
		if len(w.open) == 0 {
			break
		}
	}
	if rest := bytes.TrimLeft(doc[dec.InputOffset():], " \t\r\n"); len(rest) != 0 {
		return fmt.Errorf("%d bytes follow the JSON value", len(rest))
	}
	return nil
}

type jsonWalk struct {
	read   map[string][]string
	open   []container // outermost first
	values int
}

type container struct {
	path  string          // the names that lead to it
	names map[string]bool // nil for an array
	name  string          // the member being read, of an object
	wants bool            // the next token is a name
	items int
}

func (w *jsonWalk) take(token json.Token) error {
	if d, ok := token.(json.Delim); ok && (d == '}' || d == ']') {
		w.open = w.open[:len(w.open)-1]
		w.valueDone()
		return nil
	}
	if n := len(w.open); n > 0 && w.open[n-1].wants {
		return w.takeName(token.(string))
	}
	if w.values++; w.values > maxValues {
		return fmt.Errorf("more than %d values", maxValues)
	}
	if n := len(w.open); n > 0 {
		if w.open[n-1].items++; w.open[n-1].items > maxItems {
			return fmt.Errorf("more than %d items in one array or object", maxItems)
		}
	}
	d, ok := token.(json.Delim)
	if !ok {
		w.valueDone()
		return nil
	}
	if len(w.open) == maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	c := container{path: w.inside()}
	if d == '{' {
		c.names, c.wants = make(map[string]bool), true
	}
	w.open = append(w.open, c)
	return nil
}

func (w *jsonWalk) takeName(name string) error {
	top := &w.open[len(w.open)-1]
	if top.names[name] {
		return fmt.Errorf("duplicate name %.80q", name)
	}
	for _, known := range w.read[top.path] {
		if name != known && strings.EqualFold(name, known) {
			return fmt.Errorf("name %.80q: want %q", name, known)
		}
	}
	top.names[name], top.name, top.wants = true, name, false
	return nil
}

// inside is the path of what the innermost container holds.
func (w *jsonWalk) inside() string {
	if len(w.open) == 0 {
		return ""
	}
	c := w.open[len(w.open)-1]
	switch {
	case c.names == nil || c.path == unread:
		return c.path
	case len(c.path)+len(c.name) > maxPath:
		return unread
	case c.path == "":
		return c.name
	}
	return c.path + "." + c.name
}

// Paths longer than any that is read all become one, so that long names are
// not copied again and again.
const (
	maxPath = 100
	unread  = "."
)

// valueDone makes the enclosing object expect a name again.
func (w *jsonWalk) valueDone() {
	if n := len(w.open); n > 0 && w.open[n-1].names != nil {
		w.open[n-1].wants = true
	}
}
