package identify

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"regexp"
	"strings"

	purl "github.com/package-url/packageurl-go"
	"go.yaml.in/yaml/v3"
)

// maxGemMetadata bounds the YAML of a gem, whose parsed form takes many times
// the bytes.
const maxGemMetadata = 1 << 20

// readGemMetadata reads a gem's metadata.gz.
func readGemMetadata(r io.Reader) (Package, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return Package{}, fmt.Errorf("metadata.gz: %w", err)
	}
	data, err := readMetadata(z, maxGemMetadata)
	if err != nil {
		return Package{}, fmt.Errorf("metadata.gz: %w", err)
	}
	return ParseGemMetadata(data)
}

// ParseGemMetadata reads the YAML form of a Gem::Specification. Ruby's type
// tags are not acted on.
func ParseGemMetadata(data []byte) (Package, error) {
	if len(data) > maxGemMetadata {
		return Package{}, fmt.Errorf("gem metadata: larger than %d bytes", maxGemMetadata)
	}
	if !bytes.Contains(data, []byte("Gem::Specification")) {
		return Package{}, fmt.Errorf("gem metadata %w: no Gem::Specification", ErrNoPackage)
	}
	var doc yaml.Node // a node is built without following aliases
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return Package{}, fmt.Errorf("gem metadata: %w", err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return Package{}, fmt.Errorf("gem metadata %w: not one document", ErrNoPackage)
	}
	spec := doc.Content[0]
	p := Package{
		Type: purl.TypeGem, Name: scalar(member(spec, "name")), Version: scalar(member(member(spec, "version"), "version")),
		Description: scalar(member(spec, "summary")), Licenses: scalars(member(spec, "licenses")),
		Supplier: strings.Join(scalars(member(spec, "authors")), ", "), Requires: gemRequires(member(spec, "dependencies")), NeedsStated: true,
	}
	if p.Name == "" || p.Version == "" {
		return Package{}, fmt.Errorf("gem metadata %w: no name and version", ErrNoPackage)
	}
	if platform := scalar(member(spec, "platform")); platform != "ruby" {
		p = p.withQualifier("platform", platform)
	}
	return p, nil
}

// gemRequires reads the runtime dependencies of a specification.
func gemRequires(n *yaml.Node) (all []Requirement) {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	for _, one := range n.Content {
		if scalar(member(one, "type")) != ":development" {
			all = need(all, scalar(member(one, "name")), "")
		}
	}
	return all
}

// gemStub is the line RubyGems writes on top of an installed specification.
var gemStub = regexp.MustCompile(`(?m)^# stub: (\S+) (\S+) (\S+) `)

// gemField finds `s.name = "rack".freeze` and the like.
var gemField = regexp.MustCompile(`(?m)^\s*\w+\.(name|version|license|summary)\s*=\s*["']([^"'\n]*)["']`)

// ParseGemspec reads an installed gem's specification, which is Ruby, as far
// as RubyGems itself generates it. Specifications that compute their name or
// version describe no package here.
func ParseGemspec(data []byte) (Package, error) {
	p := Package{Type: purl.TypeGem}
	for _, m := range gemField.FindAllStringSubmatch(string(data), 100) {
		switch {
		case m[1] == "name" && p.Name == "":
			p.Name = m[2]
		case m[1] == "version" && p.Version == "":
			p.Version = m[2]
		case m[1] == "license" && p.Licenses == nil:
			p.Licenses = []string{m[2]}
		case m[1] == "summary" && p.Description == "":
			p.Description = m[2]
		}
	}
	if m := gemStub.FindStringSubmatch(string(data)); m != nil {
		p.Name, p.Version = m[1], m[2]
		if m[3] != "ruby" {
			p = p.withQualifier("platform", m[3])
		}
	}
	if p.Name == "" || p.Version == "" || strings.Contains(p.Name+p.Version, "#{") {
		return Package{}, fmt.Errorf("gemspec %w: no literal name and version", ErrNoPackage)
	}
	return p, nil
}

func member(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func scalar(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

func scalars(n *yaml.Node) []string {
	var out []string
	if n != nil && n.Kind == yaml.SequenceNode {
		for _, one := range n.Content[:min(len(n.Content), maxLicenses)] {
			if s := scalar(one); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}
