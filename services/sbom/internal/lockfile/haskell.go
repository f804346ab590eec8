package lockfile

import (
	"bytes"
	"strings"

	"assize.dev/shared/identify"
	purl "github.com/package-url/packageurl-go"
	"go.yaml.in/yaml/v3"
)

// readCabalFreeze reads cabal.project.freeze (Cabal User Guide, "cabal freeze"):
// a field of constraints, "any.name ==1.2.3", between those that set flags.
func readCabalFreeze(c *collection, data []byte) error {
	inside := false
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), " \t\r\n")
		if comment := strings.TrimLeft(text, " \t"); comment == "" || strings.HasPrefix(comment, "--") {
			continue
		}
		if text[0] != ' ' && text[0] != '\t' {
			var field string
			field, text, _ = strings.Cut(text, ":")
			inside = strings.EqualFold(strings.TrimSpace(field), "constraints")
		}
		if !inside {
			continue
		}
		for constraint := range strings.SplitSeq(text, ",") {
			name, version, ok := strings.Cut(constraint, "==")
			name, version = strings.TrimPrefix(strings.TrimSpace(name), "any."), strings.TrimSpace(version)
			if !ok || strings.ContainsAny(version, " *|&<>=") || strings.ContainsAny(name, " :") {
				continue
			}
			if err := c.add(hackagePackage(name, version)); err != nil {
				return err
			}
		}
	}
	return nil
}

// readStack reads stack.yaml.lock (Stack docs, "Lock files"): packages besides
// those of the snapshot, which the file only names. Each is
// name-version@sha256:hash,size, of which the hash is that of the description
// and left out.
func readStack(c *collection, data []byte) error {
	return readYAML(data, func(root *yaml.Node) error { return addStack(c, root) })
}

func addStack(c *collection, root *yaml.Node) error {
	for _, entry := range sequence(at(root, "packages")) {
		whole, _, _ := strings.Cut(scalar(entry, "completed", "hackage"), "@")
		i := strings.LastIndexByte(whole, '-')
		if i < 0 {
			continue
		}
		if err := c.add(hackagePackage(whole[:i], whole[i+1:])); err != nil {
			return err
		}
	}
	return nil
}

func hackagePackage(name, version string) Package {
	return Package{Package: identify.Package{Type: purl.TypeHackage, Name: name, Version: version}}
}
