package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ParseYAML decodes a configuration file strictly into v, a pointer to a
// struct: one document, a mapping, in which every key is known, named once
// and has a value. A key without a value would otherwise be taken for one
// that was left out, and a misspelt one for none.
func ParseYAML(text []byte, v any) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("parse YAML: %w", err)
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode || len(doc.Content[0].Content) == 0 {
		return errors.New("not a list of keys and values")
	}
	if err := everyKeyHasValue(doc.Content[0]); err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("parse YAML: %w", plain(err))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return errors.New("more than one YAML document")
	}
	return nil
}

// plain says in words for who wrote the file what the decoder says in Go's.
func plain(err error) error {
	var all *yaml.TypeError
	if !errors.As(err, &all) {
		return err
	}
	var words []string
	for _, e := range all.Errors {
		words = append(words, unknownKey.ReplaceAllString(e, "there is no key $1 here"))
	}
	return errors.New(strings.Join(words, "; "))
}

var unknownKey = regexp.MustCompile(`(?s)field (\S+) not found in type .*`)

func everyKeyHasValue(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i+1].Tag == "!!null" {
				return fmt.Errorf("line %d: %.80q has no value", n.Content[i].Line, n.Content[i].Value)
			}
		}
	}
	for _, child := range n.Content {
		if err := everyKeyHasValue(child); err != nil {
			return err
		}
	}
	return nil
}
