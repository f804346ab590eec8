package lockfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// readBun reads bun.lock (Bun docs, "Lockfile"): JSON with commas after last
// elements. The key of a package is its path of nested folders, "a/@b/c"; its
// value is a list of name@version, registry, what it needs, and integrity.
// Repositories, workspaces and tarballs have no version there.
func readBun(c *collection, data []byte) error {
	tree := newModules(c)
	var program, development []string
	err := readObject(strictJSON(data), func(d *json.Decoder, key string) error {
		switch key {
		case "packages":
			return members(d, func(path string) error { return readBunPackage(tree, d, path) })
		case "workspaces":
			return members(d, func(string) error {
				var project struct {
					npmEntry
					Development pairs `json:"devDependencies"`
				}
				err := decode(d, &project)
				program = append(program, keysOf(project.Needs, project.Optional, project.Peers)...)
				development = append(development, keysOf(project.Development)...)
				return err
			})
		}
		return skip(d)
	})
	if full := tree.finish(); full != nil {
		return full
	}
	for _, names := range [][]string{program, development} {
		for i, name := range names {
			names[i] = tree.find(tree.root, name)
		}
	}
	c.markDev(program, development)
	return err
}

func readBunPackage(t *modules, d *json.Decoder, path string) error {
	var name, sri string
	var e npmEntry
	n := 0
	err := elements(d, func() error {
		n++
		switch n {
		case 1:
			return decode(d, &name)
		case 3:
			return decode(d, &e)
		case 4:
			return decode(d, &sri)
		}
		return skip(d)
	})
	if err != nil {
		return err
	}
	m, depth := t.root, 0
	for rest := path; rest != ""; {
		if depth++; depth > maxNesting {
			return fmt.Errorf("folders are nested deeper than %d", maxNesting)
		}
		folder, after, _ := strings.Cut(rest, "/")
		if strings.HasPrefix(folder, "@") {
			scoped, further, _ := strings.Cut(after, "/")
			folder, after = folder+"/"+scoped, further
		}
		if m, err = t.child(m, folder); err != nil {
			return err
		}
		rest = after
	}
	if p, ok := npmPackage(splitNPM(name)); ok && m != t.root {
		p.Hashes = integrity(sri)
		m.found, m.needs = p, keysOf(e.Needs, e.Optional, e.Peers)
	}
	return nil
}

// strictJSON leaves out comments and the commas before closing brackets.
func strictJSON(data []byte) []byte {
	out := make([]byte, 0, len(data))
	comma := -1 // where a comma was written after which came only blanks
	for i := 0; i < len(data); i++ {
		b := data[i]
		switch {
		case b == '"':
			end := stringEnd(data, i)
			out = append(out, data[i:min(end+1, len(data))]...)
			i, comma = end, -1
			continue
		case b == '/' && i+1 < len(data) && data[i+1] == '/':
			i = lineEnd(data, i) - 1
			continue
		case b == '/' && i+1 < len(data) && data[i+1] == '*':
			end := bytes.Index(data[i+2:], []byte("*/"))
			if end < 0 {
				return out
			}
			i += 2 + end + 1
			continue
		case (b == ']' || b == '}') && comma >= 0:
			out[comma] = ' '
		}
		switch b {
		case ' ', '\t', '\r', '\n':
		case ',':
			comma = len(out)
		default:
			comma = -1
		}
		out = append(out, b)
	}
	return out
}
