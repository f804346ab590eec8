package lockfile

import (
	"bytes"
	"strings"
)

// readRequirements reads the exact pins of requirements.txt (pip docs,
// "Requirements File Format"). Ranges, URLs, other files and options are not
// of exact versions, so that a file may well have no package.
func readRequirements(c *collection, data []byte) error {
	var joined strings.Builder
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), "\r\n")
		if before, ok := strings.CutSuffix(text, `\`); ok {
			joined.WriteString(before)
			continue
		}
		joined.WriteString(text)
		if err := addRequirement(c, joined.String()); err != nil {
			return err
		}
		joined.Reset()
	}
	return addRequirement(c, joined.String())
}

// addRequirement adds a line "name[extra] == version ; marker --hash=...".
func addRequirement(c *collection, line string) error {
	line, _, _ = strings.Cut(line, " #")
	line = strings.TrimSpace(line)
	requirement, options, _ := strings.Cut(line, " --")
	requirement, _, _ = strings.Cut(requirement, ";")
	name, version, ok := strings.Cut(requirement, "==")
	if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "-") {
		return nil
	}
	version = strings.TrimSpace(strings.TrimPrefix(version, "="))
	name, _, _ = strings.Cut(name, "[")
	name = strings.TrimSpace(name)
	// What is left in a name is of another form: a range before the pin, or a
	// URL with "==" in it.
	if strings.ContainsAny(name, " \t<>=!~,(@/:") || strings.ContainsAny(version, " \t*,<>=!~)@/:") {
		return nil
	}
	p := pythonPackage(name, version)
	for n := 0; options != "" && n < maxHashes; n++ {
		var option string
		option, options, _ = strings.Cut(options, " --")
		option = strings.TrimPrefix(strings.TrimSpace(option), "hash=")
		p.Hashes = append(p.Hashes, prefixedHash(strings.TrimPrefix(option, "hash "), ":")...)
	}
	return c.add(p)
}
