package identify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	purl "github.com/package-url/packageurl-go"
)

// ErrNoPackage is wrapped where a file is well-formed and yet describes no
// package, such as a package.json that only sets {"type": "module"}.
var ErrNoPackage = errors.New("describes no package")

// ParsePackageJSON reads npm's package.json.
func ParsePackageJSON(data []byte) (Package, error) {
	var m struct {
		Name        json.RawMessage `json:"name"`
		Version     json.RawMessage `json:"version"`
		Description json.RawMessage `json:"description"`
		License     json.RawMessage `json:"license"`
		Licenses    json.RawMessage `json:"licenses"` // deprecated spelling, still met
		Author      json.RawMessage `json:"author"`
		Needs       json.RawMessage `json:"dependencies"`
		Optional    json.RawMessage `json:"optionalDependencies"`
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if err := json.Unmarshal(data, &m); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return Package{}, fmt.Errorf("package.json %w: not an object", ErrNoPackage)
		}
		return Package{}, fmt.Errorf("package.json: %w", err)
	}
	p := Package{
		Type: purl.TypeNPM, Name: text(m.Name), Version: text(m.Version), Description: text(m.Description),
		Supplier: textOr(m.Author, "name"),
	}
	p.NeedsStated = true
	for _, raw := range []json.RawMessage{m.Needs, m.Optional} {
		var ranges map[string]string
		if len(raw) > 0 && json.Unmarshal(raw, &ranges) != nil {
			p.NeedsStated = false
		}
		p.Requires = needAll(p.Requires, ranges)
	}
	if p.Name == "" || p.Version == "" {
		return Package{}, fmt.Errorf("package.json %w: no name and version", ErrNoPackage)
	}
	if scope, name, ok := strings.Cut(p.Name, "/"); ok {
		if !strings.HasPrefix(scope, "@") || strings.Contains(name, "/") {
			return Package{}, fmt.Errorf("package.json: %.100q is no npm name", p.Name)
		}
		p.Namespace, p.Name = scope, name
	}
	if l := textOr(m.License, "type"); l != "" {
		p.Licenses = []string{l}
	}
	var many []json.RawMessage
	if json.Unmarshal(m.Licenses, &many) == nil {
		for _, one := range many[:min(len(many), maxLicenses)] {
			if l := textOr(one, "type"); l != "" {
				p.Licenses = append(p.Licenses, l)
			}
		}
	}
	return p, nil
}

// text is a JSON string's value, "" for anything else.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// textOr is a JSON string's value, or that of a member of an object.
func textOr(raw json.RawMessage, member string) string {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) == nil && object != nil {
		return text(object[member])
	}
	return text(raw)
}
