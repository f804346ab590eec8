package lockfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Objects of many members are read one by one, so that a large file needs no
// more memory than the packages in it.

// readObject reads a file that is one JSON object. f reads the value of each
// member off the decoder.
func readObject(data []byte, f func(d *json.Decoder, key string) error) error {
	d := json.NewDecoder(bytes.NewReader(data))
	err := members(d, func(key string) error { return f(d, key) })
	if err == nil {
		if _, err = d.Token(); err == nil {
			err = errors.New("more than one value")
		} else if err == io.EOF {
			return nil
		}
	}
	return jsonError(err, d.InputOffset())
}

func jsonError(err error, offset int64) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, errShape) {
		return fmt.Errorf("not the JSON of a lock file, near byte %d: %w", offset, err)
	}
	return err
}

var errShape = errors.New("want an object or a list")

// members calls f after the key of each member of an object; f reads the value.
// null is an object without members.
func members(d *json.Decoder, f func(key string) error) error {
	return within(d, '{', func() error {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		return f(name)
	})
}

// elements calls f before each element of a list; f reads it.
func elements(d *json.Decoder, f func() error) error { return within(d, '[', f) }

func within(d *json.Decoder, open json.Delim, f func() error) error {
	t, err := d.Token()
	if err != nil || t == nil {
		return err
	}
	if t != open {
		return errShape
	}
	for d.More() {
		if err := f(); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// decode reads the next value. Parts of another type than v has are as if
// missing: one odd entry does not make a file unreadable.
func decode(d *json.Decoder, v any) error {
	err := d.Decode(v)
	var odd *json.UnmarshalTypeError
	if errors.As(err, &odd) {
		return nil
	}
	return err
}

func skip(d *json.Decoder) error {
	var raw json.RawMessage
	return d.Decode(&raw)
}

// pairs are the members of an object in their order. Values that are not
// strings are "", and what is no object has no members.
type pairs []pair

type pair struct{ key, value string }

func (p *pairs) UnmarshalJSON(data []byte) error {
	*p = nil
	if len(data) == 0 || data[0] != '{' {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	return members(d, func(key string) error {
		var value string
		if err := decode(d, &value); err != nil {
			return err
		}
		*p = append(*p, pair{key, value})
		return nil
	})
}

// keys are the names of the members of all.
func keysOf(all ...pairs) (keys []string) {
	for _, one := range all {
		for _, m := range one {
			keys = append(keys, m.key)
		}
	}
	return keys
}
