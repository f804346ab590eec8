package lockfile

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/BurntSushi/toml"
)

// Bounds of a TOML file (TOML 1.0): the library goes into nested values by
// recursion, joins all parts of a key for each value below it, and takes some
// hundred bytes for each.
const (
	maxTOML      = 1 << 19 // values and tables
	maxTOMLDepth = 32
	maxTOMLKey   = 512 // bytes of a key or of a table's header
	maxTOMLDots  = 16  // in them
)

// table is a TOML table; values of another type than asked for are missing.
type table map[string]any

func readTOML(data []byte) (table, error) {
	if err := checkTOML(data); err != nil {
		return nil, err
	}
	var t map[string]any
	if err := toml.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("not the TOML of a lock file: %w", err)
	}
	return t, nil
}

func (t table) text(key string) string {
	s, _ := t[key].(string)
	return s
}

func (t table) table(key string) table {
	m, _ := t[key].(map[string]any)
	return m
}

// tables is a list of tables, in either of its forms.
func (t table) tables(key string) (all []table) {
	switch list := t[key].(type) {
	case []map[string]any:
		for _, one := range list {
			all = append(all, one)
		}
	case []any:
		for _, one := range list {
			if m, ok := one.(map[string]any); ok {
				all = append(all, m)
			}
		}
	}
	return all
}

func (t table) texts(key string) (all []string) {
	list, _ := t[key].([]any)
	for _, one := range list {
		if s, ok := one.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

func (t table) keys() []string { return slices.Sorted(maps.Keys(t)) }

// checkTOML holds a file against the bounds. It tells strings, comments and
// keys apart and leaves all else that may be wrong to the library.
func checkTOML(data []byte) error {
	values, depth, dots, start := 0, 0, 0, 0
	lineStart := true // nothing but blanks since the last newline
	for i := 0; i < len(data) && values <= maxTOML; i++ {
		b := data[i]
		if lineStart && depth == 0 && b == '[' {
			end := lineEnd(data, i)
			if end-i > maxTOMLKey || bytes.Count(data[i:end], []byte(".")) > maxTOMLDots {
				return fmt.Errorf("TOML: the name of a table is longer than %d bytes or %d parts", maxTOMLKey, maxTOMLDots)
			}
			values++
			i, start, dots = end, end, 0
			continue
		}
		switch b {
		case '#':
			i = lineEnd(data, i) - 1
			continue
		case '"', '\'':
			i = stringEnd(data, i)
		case '[', '{':
			if depth++; depth > maxTOMLDepth {
				return fmt.Errorf("TOML: values are nested deeper than %d", maxTOMLDepth)
			}
			start, dots = i+1, 0
		case ']', '}':
			depth = max(depth-1, 0)
			start, dots = i+1, 0
		case '=':
			if i-start > maxTOMLKey || dots > maxTOMLDots {
				return fmt.Errorf("TOML: a key is longer than %d bytes or %d parts", maxTOMLKey, maxTOMLDots)
			}
			values++
			start, dots = i+1, 0
		case ',':
			values++
			start, dots = i+1, 0
		case '.':
			dots++
		case '\n':
			start, dots = i+1, 0
		}
		lineStart = b == '\n' || lineStart && (b == ' ' || b == '\t' || b == '\r')
	}
	if values > maxTOML {
		return fmt.Errorf("TOML of more than %d values", maxTOML)
	}
	return nil
}

func lineEnd(data []byte, i int) int {
	if n := bytes.IndexByte(data[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(data)
}

// stringEnd is the index of the last byte of the string that starts at i. A
// string of one line ends with the line, if it is not closed.
func stringEnd(data []byte, i int) int {
	quote := data[i]
	closing := []byte{quote, quote, quote}
	multiline := bytes.HasPrefix(data[i:], closing)
	if multiline {
		i += 2
	}
	for i++; i < len(data); i++ {
		switch {
		case quote == '"' && data[i] == '\\':
			i++
		case multiline && bytes.HasPrefix(data[i:], closing):
			// Two quotes may stand before the closing three.
			i += 2
			for range 2 {
				if i+1 < len(data) && data[i+1] == quote {
					i++
				}
			}
			return i
		case !multiline && data[i] == quote:
			return i
		case !multiline && data[i] == '\n':
			return i - 1
		}
	}
	return i
}
