// Package strictjson reads JSON that was signed by somebody else. Two readers
// of one document must not see two things in it, so objects are taken apart
// one level at a time: names count exactly as written, where encoding/json
// takes any case, and a name that occurs twice is an error, where
// encoding/json takes the last. Levels that nobody reads are not looked at.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest: several times what any
// statement or bundle needs, and far below where parsers recurse too deep.
const MaxDepth = 100

// Values takes a stream of JSON values apart: one document, or JSON lines.
// It gives at most limit values, then an error.
func Values(data []byte, limit int) ([]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	if depth(data) > MaxDepth {
		return nil, fmt.Errorf("nested deeper than %d", MaxDepth)
	}
	var values []json.RawMessage
	for dec := json.NewDecoder(bytes.NewReader(data)); ; {
		var v json.RawMessage
		switch err := dec.Decode(&v); {
		case err == io.EOF:
			return values, nil
		case err != nil:
			return nil, fmt.Errorf("not JSON: %w", err)
		case len(values) == limit:
			return nil, fmt.Errorf("more than %d JSON values", limit)
		}
		values = append(values, v)
	}
}

// depth is how deep brackets nest outside strings. It is right for JSON, and
// no less than what a parser meets before it finds that something is not.
func depth(data []byte) int {
	level, deepest := 0, 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			level++
			deepest = max(deepest, level)
		case '}', ']':
			level--
		case '"':
			for i++; i < len(data) && data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		}
	}
	return deepest
}

// Document is the one value of data, within the bounds of Values.
func Document(data []byte) (json.RawMessage, error) {
	values, err := Values(data, 1)
	if err == nil && len(values) == 0 {
		err = errors.New("not JSON: empty")
	}
	if err != nil {
		return nil, err
	}
	return values[0], nil
}

// Object is the members of an object.
func Object(value json.RawMessage) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(value))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, fmt.Errorf("want an object, not %s", kind(value))
	}
	members := map[string]json.RawMessage{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string) // the decoder takes nothing else there
		if _, twice := members[name]; twice {
			return nil, fmt.Errorf("duplicate name %.80q", name)
		}
		var member json.RawMessage
		if err := dec.Decode(&member); err != nil {
			return nil, err
		}
		members[name] = member
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	return members, nil
}

// Array is the elements of an array; nothing, or null, has none.
func Array(value json.RawMessage) ([]json.RawMessage, error) {
	var elements []json.RawMessage
	if Absent(value) {
		return nil, nil
	}
	if err := json.Unmarshal(value, &elements); err != nil {
		return nil, fmt.Errorf("want an array, not %s", kind(value))
	}
	return elements, nil
}

// Text is a string; nothing, or null, is empty.
func Text(value json.RawMessage) (string, error) {
	var s string
	if Absent(value) {
		return "", nil
	}
	if err := json.Unmarshal(value, &s); err != nil {
		return "", fmt.Errorf("want a string, not %s", kind(value))
	}
	return s, nil
}

// Absent says that a member is not there, or null.
func Absent(value json.RawMessage) bool { return len(value) == 0 || string(value) == "null" }

func kind(value json.RawMessage) string {
	if len(bytes.TrimSpace(value)) == 0 {
		return "nothing"
	}
	switch bytes.TrimSpace(value)[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
