package pspf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// compactForms are the spellings of a JSON value that builders hash: without
// spaces, in the order of the document (Rust) or sorted by name (Python), and
// with characters beyond ASCII as they are or, by Python's default, escaped.
// Numbers keep their spelling. The document was decoded strictly.
func compactForms(doc []byte) ([][]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	var forms [][]byte
	value, err := readOrdered(dec)
	if err != nil {
		return nil, err
	}
	for _, f := range []compactForm{{}, {ascii: true}, {sorted: true}, {sorted: true, ascii: true}} {
		f.write(value)
		forms = append(forms, f.out.Bytes())
	}
	return forms, nil
}

// orderedObject is a JSON object in the order of the document.
type orderedObject []orderedMember

type orderedMember struct {
	name  string
	value any
}

// readOrdered reads one value: an orderedObject, []any, string, json.Number,
// bool or nil. How deep it is has been bounded.
func readOrdered(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		object := orderedObject{}
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			value, err := readOrdered(dec)
			if err != nil {
				return nil, err
			}
			object = append(object, orderedMember{name.(string), value})
		}
		_, err = dec.Token()
		return object, err
	case json.Delim('['):
		array := []any{}
		for dec.More() {
			value, err := readOrdered(dec)
			if err != nil {
				return nil, err
			}
			array = append(array, value)
		}
		_, err = dec.Token()
		return array, err
	}
	return token, nil
}

type compactForm struct {
	sorted, ascii bool
	out           bytes.Buffer
}

func (f *compactForm) write(value any) {
	switch value := value.(type) {
	case orderedObject:
		if f.sorted {
			value = slices.Clone(value)
			slices.SortFunc(value, func(a, b orderedMember) int { return strings.Compare(a.name, b.name) })
		}
		f.out.WriteByte('{')
		for i, m := range value {
			if i > 0 {
				f.out.WriteByte(',')
			}
			f.quote(m.name)
			f.out.WriteByte(':')
			f.write(m.value)
		}
		f.out.WriteByte('}')
	case []any:
		f.out.WriteByte('[')
		for i, element := range value {
			if i > 0 {
				f.out.WriteByte(',')
			}
			f.write(element)
		}
		f.out.WriteByte(']')
	case string:
		f.quote(value)
	case json.Number:
		f.out.WriteString(value.String())
	case bool:
		f.out.WriteString(strconv.FormatBool(value))
	case nil:
		f.out.WriteString("null")
	}
}

// quote escapes as Python's json and Rust's serde_json both do; Go's encoder
// escapes more.
func (f *compactForm) quote(s string) {
	const short = "\b\t\n\f\r\"\\"
	f.out.WriteByte('"')
	for _, r := range s {
		switch i := strings.IndexRune(short, r); {
		case i >= 0:
			f.out.WriteByte('\\')
			f.out.WriteByte(`btnfr"\`[i])
		case r < ' ', f.ascii && r > '~' && r < 0x10000:
			fmt.Fprintf(&f.out, `\u%04x`, r)
		case f.ascii && r > '~':
			r -= 0x10000
			fmt.Fprintf(&f.out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			f.out.WriteRune(r)
		}
	}
	f.out.WriteByte('"')
}
