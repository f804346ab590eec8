package identify

import (
	"bytes"
	"strings"
)

// maxFields bounds the fields of one paragraph; the rest is not kept.
const maxFields = 10_000

// fields are the "Name: value" lines of one paragraph, names in lower case.
// It is the form of Debian control files, Python's METADATA and Java
// manifests.
type fields map[string][]string

func (f fields) get(name string) string {
	if v := f[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// folding says how a continuation line joins the value it continues.
type folding int

const (
	foldLines folding = iota // Debian policy 5.1, Python core metadata: a new line
	foldBytes                // JAR file specification: the bytes go on, without the leading space
)

// paragraph reads fields up to an empty line and returns what follows it.
func paragraph(data []byte, fold folding) (fields, []byte) {
	out := fields{}
	last, count := "", 0
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		data = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(bytes.TrimSpace(line)) == 0 {
			if len(out) == 0 {
				continue // leading empty lines
			}
			return out, data
		}
		if line[0] == ' ' || line[0] == '\t' {
			if values := out[last]; len(values) > 0 && len(values[len(values)-1]) < 64<<10 {
				if fold == foldBytes {
					values[len(values)-1] += string(line[1:])
				} else if len(values[len(values)-1]) < 8<<10 { // descriptions are not needed in full
					values[len(values)-1] += "\n" + string(bytes.TrimSpace(line))
				}
			}
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		if count++; count > maxFields {
			last = "" // skip the rest of this paragraph, not the next
			continue
		}
		last = strings.ToLower(string(bytes.TrimSpace(name)))
		out[last] = append(out[last], string(bytes.TrimSpace(value)))
	}
	return out, nil
}
