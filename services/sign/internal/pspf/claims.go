package pspf

import (
	"encoding/json"
	"maps"
	"slices"
)

// Claims are what a package says about itself that no check depends on. A
// member of the wrong type is left out.
type Claims struct {
	Tool, ToolVersion string
	Timestamp         string // of the build, RFC 3339
	Platform          string // os/arch
	// Environment names the variables that are set, changed, passed on or
	// removed, in order and without their values.
	Environment []string
}

// Claims reads the raw members of the metadata.
func (m *Metadata) Claims() Claims {
	build := object(m.Build)
	platform := object(build["platform"])
	c := Claims{
		Tool: text(build["tool"]), ToolVersion: text(build["tool_version"]),
		Timestamp: text(build["timestamp"]), Platform: text(platform["os"]),
	}
	if arch := text(platform["arch"]); arch != "" {
		c.Platform += "/" + arch
	}
	names := map[string]bool{}
	runtime := object(object(m.Runtime)["env"])
	for _, from := range []json.RawMessage{
		m.Execution.Environment, m.Execution.Env, object(m.Workenv)["env"], runtime["set"], runtime["map"],
	} {
		for name := range object(from) {
			names[name] = true
		}
	}
	for _, from := range []json.RawMessage{runtime["pass"], runtime["unset"]} {
		var list []string
		if json.Unmarshal(from, &list) == nil {
			for _, name := range list {
				names[name] = true
			}
		}
	}
	c.Environment = slices.Sorted(maps.Keys(names))
	return c
}

// object and text read what may be missing or of another type.
func object(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
