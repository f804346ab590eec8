package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"go.yaml.in/yaml/v3"
)

// maxYAML bounds what may become nodes of a document, which take a hundred
// times the bytes of the shortest.
const maxYAML = 400_000

// readYAML calls f with the mapping of each document of a file; most have one.
// Nodes are built without following aliases, and no lock file has any: they
// count as missing.
func readYAML(data []byte, f func(root *yaml.Node) error) error {
	marks := 0
	for i, b := range data {
		switch b {
		case '\n', '\r', ',', ':', '?', '[', '{':
			marks++
		case '-':
			if i+1 < len(data) && (data[i+1] == ' ' || data[i+1] == '\t') {
				marks++
			}
		}
	}
	if marks > maxYAML {
		return fmt.Errorf("YAML of more than %d values", maxYAML)
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("not the YAML of a lock file: %w", err)
		}
		for _, root := range doc.Content {
			if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
				continue
			}
			if root.Kind != yaml.MappingNode {
				return errors.New("not the YAML of a lock file: want a mapping")
			}
			if err := f(root); err != nil {
				return err
			}
		}
	}
}

// at finds a value by the keys that lead to it, nil if there is none. It looks
// at all keys on the way: not for mappings of packages.
func at(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		var found *yaml.Node
		for k, v := range mapping(n) {
			if k == key {
				found = v
				break
			}
		}
		n = found
	}
	return n
}

// mapping iterates over the keys and values of a mapping.
func mapping(n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

// sequence is the elements of a sequence.
func sequence(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// scalar is the text of a scalar at the end of keys.
func scalar(n *yaml.Node, path ...string) string {
	n = at(n, path...)
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}
