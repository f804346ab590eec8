package identify

import (
	"bytes"
	"strings"
)

// OSRelease reads the distribution's purl namespace and its version from
// /etc/os-release (os-release(5): ID and VERSION_ID).
func OSRelease(data []byte) (id, version string) {
	for line := range bytes.Lines(data) {
		key, value, ok := strings.Cut(string(bytes.TrimSpace(line)), "=")
		if !ok {
			continue
		}
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			id = value
		case "VERSION_ID":
			version = value
		}
	}
	if !usable(id) || strings.Contains(id, "/") {
		return "", ""
	}
	if !usable(version) {
		version = ""
	}
	return id, version
}
