package identify

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	purl "github.com/package-url/packageurl-go"
)

// ParseCargoToml reads the [package] table of Cargo.toml as cargo writes it
// into a crate: one "key = value" a line. Values that are inherited from a
// workspace are not known here.
func ParseCargoToml(data []byte) (Package, error) {
	p := Package{Type: purl.TypeCargo}
	table, multiline := "", ""
	for line := range bytes.Lines(data) {
		s := strings.TrimSpace(string(line))
		if multiline != "" {
			if strings.Contains(s, multiline) {
				multiline = ""
			}
			continue
		}
		if strings.HasPrefix(s, "[") {
			table = strings.TrimSpace(strings.Trim(strings.SplitN(s, "#", 2)[0], "[] \t"))
			continue
		}
		key, value, ok := strings.Cut(s, "=")
		if !ok || strings.HasPrefix(s, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		for _, quote := range []string{`"""`, "'''"} {
			if strings.HasPrefix(value, quote) && !strings.Contains(value[3:], quote) {
				multiline = quote
			}
		}
		if table != "package" && table != "project" {
			continue
		}
		switch strings.TrimSpace(key) {
		case "name":
			p.Name = tomlString(value)
		case "version":
			p.Version = tomlString(value)
		case "description":
			p.Description = tomlString(value)
		case "license":
			if l := tomlString(value); l != "" {
				p.Licenses = []string{l}
			}
		}
	}
	if p.Name == "" || p.Version == "" {
		return Package{}, fmt.Errorf("crate manifest %w: no package name and version", ErrNoPackage)
	}
	return p, nil
}

// tomlString is the value of a one-line basic or literal string (TOML 1.0),
// "" for anything else.
func tomlString(s string) string {
	if s == "" {
		return ""
	}
	switch s[0] {
	case '\'':
		if end := strings.IndexByte(s[1:], '\''); end >= 0 {
			return s[1 : 1+end]
		}
	case '"':
		for i := 1; i < len(s); i++ {
			switch s[i] {
			case '\\':
				i++
			case '"':
				out, err := strconv.Unquote(s[:i+1])
				if err != nil {
					return ""
				}
				return out
			}
		}
	}
	return ""
}
