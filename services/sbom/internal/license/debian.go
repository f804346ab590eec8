package license

import (
	"slices"
	"strings"
)

// FromDebian reads a machine-readable debian/copyright file (DEP-5,
// copyright-format 1.0): the licence of "Files: *", else of all stanzas. ""
// if it is none, or names a licence that is not understood.
func FromDebian(text []byte) string {
	head, _, _ := strings.Cut(string(text), "\n")
	if !strings.HasPrefix(head, "Format:") || !strings.Contains(head, "copyright-format") {
		return ""
	}
	var all []string
	files := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		switch {
		case line == "":
			files = ""
		case !ok || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t"):
		case name == "Files":
			files = strings.TrimSpace(value)
		case name == "License" && files != "":
			value = strings.TrimSpace(value)
			if files == "*" {
				return FromDeclared(debianName(value))
			}
			if !slices.Contains(all, value) && len(all) < maxTokens {
				all = append(all, value)
			}
		}
	}
	for i, value := range all {
		all[i] = debianName(value)
	}
	expression, rest := Any(all)
	if len(rest) > 0 {
		return ""
	}
	return expression
}

// debianName turns DEP-5's short names into SPDX's where they differ by more
// than spelling.
func debianName(s string) string {
	return strings.NewReplacer("Expat", "MIT", "BSD-2-clause", "BSD-2-Clause", "BSD-3-clause", "BSD-3-Clause",
		"GPL-1+", "GPL-1.0-or-later", "GPL-2+", "GPL-2.0-or-later", "GPL-3+", "GPL-3.0-or-later").Replace(s)
}
