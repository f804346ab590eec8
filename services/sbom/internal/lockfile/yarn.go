package lockfile

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// readYarn reads yarn.lock in both forms: that of Yarn 1, which looks like YAML
// and is not, and that of later versions (Yarn docs, "Lockfiles").
func readYarn(c *collection, data []byte) error {
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(line, []byte("__metadata:")) {
			return readBerry(c, data)
		}
	}
	return readYarnClassic(c, data)
}

// readYarnClassic reads blocks such as
//
//	"@a/b@^1.0.0", "@a/b@^1.1.0":
//	  version "1.2.3"
//	  resolved "https://registry.example/@a/b/-/b-1.2.3.tgz#<sha1>"
//	  integrity sha512-...
//	  dependencies:
//	    c "^2.0.0"
//
// A need is a key as well once name and range are put together.
func readYarnClassic(c *collection, data []byte) error {
	var b yarnBlock
	number := 0
	for line := range bytes.Lines(data) {
		number++
		text := strings.TrimRight(string(line), " \t\r\n")
		body := strings.TrimLeft(text, " ")
		if body == "" || body[0] == '#' {
			continue
		}
		var err error
		switch indent := len(text) - len(body); indent {
		case 0:
			if err = b.add(c); err == nil {
				b, err = newYarnBlock(body)
			}
		case 2:
			err = b.field(body)
		default:
			err = b.need(body)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return b.add(c)
}

type yarnBlock struct {
	keys                         []string
	version, resolved, integrity string
	list                         string // the field whose lines are being read
	needs                        []string
}

func newYarnBlock(header string) (b yarnBlock, err error) {
	header, ok := strings.CutSuffix(header, ":")
	for ok && header != "" {
		var key string
		key, header, ok = yarnWord(header)
		b.keys = append(b.keys, key)
		header = strings.TrimLeft(strings.TrimPrefix(header, ","), " ")
	}
	if !ok || len(b.keys) == 0 {
		return b, fmt.Errorf("not the name of an entry of yarn.lock: %.80q", header)
	}
	return b, nil
}

// yarnWord reads a bare or quoted word, up to a blank or a comma.
func yarnWord(s string) (word, rest string, ok bool) {
	if strings.HasPrefix(s, `"`) {
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return "", "", false
		}
		word, err = strconv.Unquote(quoted)
		return word, s[len(quoted):], err == nil
	}
	end := strings.IndexAny(s, " ,")
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:], end > 0
}

func (b *yarnBlock) field(line string) error {
	b.list = ""
	if list, ok := strings.CutSuffix(line, ":"); ok {
		b.list = list
		return nil
	}
	key, rest, ok := yarnWord(line)
	value := ""
	if ok {
		value, _, ok = yarnWord(strings.TrimLeft(rest, " "))
	}
	if !ok {
		return fmt.Errorf("not a field of yarn.lock: %.80q", line)
	}
	switch key {
	case "version":
		b.version = value
	case "resolved":
		b.resolved = value
	case "integrity":
		// Hashes of several algorithms are not quoted.
		b.integrity = strings.Trim(strings.TrimSpace(rest), `"`)
	}
	return nil
}

func (b *yarnBlock) need(line string) error {
	if b.list != "dependencies" && b.list != "optionalDependencies" {
		return nil
	}
	name, rest, ok := yarnWord(line)
	if ok {
		rest, _, ok = yarnWord(strings.TrimLeft(rest, " "))
	}
	if !ok {
		return fmt.Errorf("not a dependency of yarn.lock: %.80q", line)
	}
	b.needs = append(b.needs, name+"@"+rest)
	return nil
}

func (b *yarnBlock) add(c *collection) error {
	if len(b.keys) == 0 || !registryURL(b.resolved) {
		return nil
	}
	name, wanted := splitNPM(b.keys[0])
	if alias, ok := strings.CutPrefix(wanted, "npm:"); ok {
		name, wanted = splitNPM(alias)
	}
	for _, local := range []string{"file:", "link:", "git", "http:", "https:", "./", "../", "/"} {
		if strings.HasPrefix(wanted, local) {
			return nil
		}
	}
	p, ok := npmPackage(name, b.version)
	if !ok {
		return nil
	}
	p.Hashes, p.DependsOn = integrity(b.integrity), b.needs
	if _, sum, ok := strings.Cut(b.resolved, "#"); ok && len(p.Hashes) == 0 {
		p.Hashes = hexHash("sha1", sum)
	}
	return c.add(p, b.keys...)
}
