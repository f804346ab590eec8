package lockfile

import (
	"bytes"
	"strings"

	"assize.dev/shared/identify"
	purl "github.com/package-url/packageurl-go"
)

// readGemfile reads Gemfile.lock and gems.locked (Bundler docs, "bundle lock",
// and the files that Bundler writes):
//
//	GEM
//	  remote: https://registry.example/
//	  specs:
//	    nokogiri (1.15.0-x86_64-linux)
//	      racc (~> 1.4)
//	CHECKSUMS
//	  nokogiri (1.15.0-x86_64-linux) sha256=...
//
// Sections GIT, PATH and PLUGIN SOURCE are left out. A gem that is there for
// several platforms is needed in all of them.
func readGemfile(c *collection, data []byte) error {
	checksums := gemChecksums(data)
	var p Package
	var section string
	var remotes []string
	add := func() error {
		if p.Name == "" {
			return nil
		}
		if len(remotes) == 1 {
			p.fromRegistry(remotes[0], "rubygems.org")
		}
		err := c.add(p, p.Name)
		p = Package{}
		return err
	}
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), " \t\r\n")
		body := strings.TrimLeft(text, " ")
		indent := len(text) - len(body)
		if body == "" {
			continue
		}
		if indent < 6 {
			if err := add(); err != nil {
				return err
			}
		}
		if indent == 0 {
			section, remotes = body, nil
		}
		if section != "GEM" {
			continue
		}
		name, version, whole := gemSpec(body)
		switch indent {
		case 2:
			if remote, ok := strings.CutPrefix(body, "remote: "); ok {
				remotes = append(remotes, remote)
			}
		case 4:
			if version != "" {
				p.Package = identify.Package{Type: purl.TypeGem, Name: name}
				var platform string
				p.Version, platform, _ = strings.Cut(version, "-")
				p.qualify("platform", platform)
				p.Hashes = checksums[whole]
			}
		case 6:
			p.DependsOn = append(p.DependsOn, name)
		}
	}
	return add()
}

// gemSpec reads "name (version)", of which whole leaves out what follows.
func gemSpec(s string) (name, version, whole string) {
	name, rest, _ := strings.Cut(s, " ")
	version, ok := strings.CutPrefix(rest, "(")
	version, _, closed := strings.Cut(version, ")")
	if !ok || !closed {
		return strings.TrimSuffix(name, "!"), "", name
	}
	return name, version, name + " (" + version + ")"
}

// gemChecksums reads the section at the end that has them.
func gemChecksums(data []byte) map[string][]Hash {
	all := make(map[string][]Hash)
	inside := false
	for line := range bytes.Lines(data) {
		if line[0] != ' ' {
			inside = strings.TrimSpace(string(line)) == "CHECKSUMS"
		} else if inside {
			text := strings.TrimSpace(string(line))
			if _, sum, ok := strings.Cut(text, ") "); ok {
				_, _, whole := gemSpec(text)
				all[whole] = prefixedHash(sum, "=")
			}
		}
	}
	return all
}
