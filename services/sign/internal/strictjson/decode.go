package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a document that is decoded as a whole. They keep small what is
// remembered of it and what encoding/json makes of it.
type Bounds struct {
	Depth  int // of arrays and objects in each other
	Items  int // in one array or object
	Values int // in all
}

// Small are the bounds of an envelope, a statement or a key set.
var Small = Bounds{Depth: 32, Items: 65535, Values: 200_000}

// Decode is json.Unmarshal for documents that two readers must not understand
// differently: it refuses text that is not UTF-8, anything after the value, a
// name that is in one object twice, and a name that differs only in case from
// a member that into has there, which encoding/json would take for it.
func Decode(data []byte, into any, b Bounds) error {
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	w := walk{dec: json.NewDecoder(bytes.NewReader(data)), bounds: b}
	w.dec.UseNumber()
	if err := w.value(reflect.TypeOf(into), 0); err != nil {
		return err
	}
	if rest := bytes.TrimLeft(data[w.dec.InputOffset():], " \t\r\n"); len(rest) != 0 {
		return fmt.Errorf("%d bytes follow the JSON value", len(rest))
	}
	return json.Unmarshal(data, into)
}

type walk struct {
	dec    *json.Decoder
	bounds Bounds
	values int
}

// value reads one value and checks its names against the members of t; a nil
// t has none.
func (w *walk) value(t reflect.Type, depth int) error {
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	if w.values++; w.values > w.bounds.Values {
		return fmt.Errorf("more than %d values", w.bounds.Values)
	}
	start, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth == w.bounds.Depth {
		return fmt.Errorf("nested deeper than %d", w.bounds.Depth)
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if start == '[' {
		err = w.array(t, depth)
	} else {
		err = w.object(t, depth)
	}
	if err != nil {
		return err
	}
	_, err = w.dec.Token() // the end
	return err
}

func (w *walk) array(t reflect.Type, depth int) error {
	var item reflect.Type
	if t != nil && t.Kind() == reflect.Slice {
		item = t.Elem()
	}
	for n := 1; w.dec.More(); n++ {
		if n > w.bounds.Items {
			return fmt.Errorf("more than %d items in one array", w.bounds.Items)
		}
		if err := w.value(item, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) object(t reflect.Type, depth int) error {
	known := membersOf(t)
	seen := map[string]bool{}
	for w.dec.More() {
		token, err := w.dec.Token()
		if err != nil {
			return err
		}
		name := token.(string) // the decoder takes nothing else there
		switch {
		case seen[name]:
			return fmt.Errorf("duplicate name %.80q", name)
		case len(seen) == w.bounds.Items:
			return fmt.Errorf("more than %d items in one object", w.bounds.Items)
		}
		seen[name] = true
		var value reflect.Type
		if at := slices.IndexFunc(known, func(m member) bool { return strings.EqualFold(m.name, name) }); at >= 0 {
			if known[at].name != name {
				return fmt.Errorf("name %.80q: want %q", name, known[at].name)
			}
			value = known[at].value
		}
		if err := w.value(value, depth+1); err != nil {
			return err
		}
	}
	return nil
}

type member struct {
	name  string
	value reflect.Type
}

// membersOf lists what encoding/json reads into a struct: all of them have
// names in their tags, but for embedded ones.
func membersOf(t reflect.Type) []member {
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	var all []member
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			all = append(all, membersOf(f.Type)...)
			continue
		}
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			all = append(all, member{name, f.Type})
		}
	}
	return all
}
