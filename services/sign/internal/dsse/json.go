package dsse

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

// maxDepth is how deep a document may nest. A statement in an envelope in a
// bundle needs less than ten levels.
const maxDepth = 32

// DecodeJSON is json.Unmarshal for signed documents, which two readers must
// not understand differently: it refuses text that is not UTF-8, a name that
// is in one object twice, and a name that differs from a member of into only
// in case, which encoding/json would take for it.
func DecodeJSON(data []byte, into any) error {
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	if err := json.Unmarshal(data, into); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return exactNames(dec, reflect.TypeOf(into), 0)
}

// exactNames reads one value, which is valid JSON, and checks its names
// against the members of t; a nil t has none.
func exactNames(dec *json.Decoder, t reflect.Type, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	token, err := dec.Token()
	if err != nil {
		return err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if delim == '[' {
		var item reflect.Type
		if t != nil && t.Kind() == reflect.Slice {
			item = t.Elem()
		}
		for dec.More() {
			if err := exactNames(dec, item, depth+1); err != nil {
				return err
			}
		}
		_, err := dec.Token()
		return err
	}
	members := membersOf(t)
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		name := token.(string)
		if seen[name] {
			return fmt.Errorf("name %.80q is there twice", name)
		}
		seen[name] = true
		at := slices.IndexFunc(members, func(m member) bool { return strings.EqualFold(m.name, name) })
		var value reflect.Type
		if at >= 0 {
			if members[at].name != name {
				return fmt.Errorf("name %.80q: want %q", name, members[at].name)
			}
			value = members[at].value
		}
		if err := exactNames(dec, value, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
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
