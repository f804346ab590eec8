package identify

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	purl "github.com/package-url/packageurl-go"
)

// ParsePomProperties reads META-INF/maven/<group>/<artifact>/pom.properties.
func ParsePomProperties(data []byte) (Package, error) {
	p := Package{Type: purl.TypeMaven}
	for line := range bytes.Lines(data) {
		key, value, ok := strings.Cut(string(bytes.TrimSpace(line)), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "groupId":
			p.Namespace = value
		case "artifactId":
			p.Name = value
		case "version":
			p.Version = value
		}
	}
	if !usable(p.Namespace) || !usable(p.Name) || !usable(p.Version) {
		return Package{}, fmt.Errorf("pom.properties %w: groupId, artifactId and version are not all given", ErrNoPackage)
	}
	return p, nil
}

// ParsePomXML reads what META-INF/maven/.../pom.xml says of its own project;
// group and version may come from the parent.
func ParsePomXML(data []byte) (Package, error) {
	var m struct {
		Group       string `xml:"groupId"`
		Artifact    string `xml:"artifactId"`
		Version     string `xml:"version"`
		Description string `xml:"description"`
		Parent      struct {
			Group   string `xml:"groupId"`
			Version string `xml:"version"`
		} `xml:"parent"`
		Organization struct {
			Name string `xml:"name"`
		} `xml:"organization"`
		Licenses []struct {
			Name string `xml:"name"`
		} `xml:"licenses>license"`
	}
	if err := decodeXML(data, &m); err != nil {
		return Package{}, fmt.Errorf("pom.xml: %w", err)
	}
	p := Package{
		Type: purl.TypeMaven, Namespace: firstOf(m.Group, m.Parent.Group), Name: strings.TrimSpace(m.Artifact),
		Version: firstOf(m.Version, m.Parent.Version), Description: m.Description, Supplier: m.Organization.Name,
	}
	for _, l := range m.Licenses[:min(len(m.Licenses), maxLicenses)] {
		p.Licenses = append(p.Licenses, l.Name)
	}
	if !usable(p.Name) {
		return Package{}, fmt.Errorf("pom.xml %w: no artifactId", ErrNoPackage)
	}
	return p, nil
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s = strings.TrimSpace(s); s != "" {
			return s
		}
	}
	return ""
}

// manifest is the main section of META-INF/MANIFEST.MF, as far as it names
// the jar.
type manifest struct {
	title        string // Implementation-Title
	version      string // as in Maven
	looseVersion string // of the bundle or specification, often written differently
	vendorID     string
	bundle       string // Bundle-SymbolicName
	module       string // Automatic-Module-Name
	license      string
	vendor       string
	description  string
}

func parseManifest(data []byte) manifest {
	f, _ := paragraph(data, foldBytes)
	bundle, _, _ := strings.Cut(f.get("bundle-symbolicname"), ";")
	m := manifest{
		title: f.get("implementation-title"), version: f.get("implementation-version"),
		vendorID: f.get("implementation-vendor-id"), bundle: strings.TrimSpace(bundle),
		module: f.get("automatic-module-name"), license: f.get("bundle-license"),
		vendor:      firstOf(f.get("implementation-vendor"), f.get("bundle-vendor"), f.get("specification-vendor")),
		description: firstOf(f.get("bundle-description"), f.get("implementation-title")),
	}
	for _, v := range []string{f.get("bundle-version"), f.get("specification-version")} {
		if m.looseVersion == "" && usable(v) {
			m.looseVersion = v
		}
	}
	if !usable(m.version) || !mavenVersion.MatchString(m.version) {
		m.version = ""
	}
	return m
}

var (
	mavenArtifact = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9._\-]*$`)
	mavenVersion  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+\-]*$`)
)

// artifact is the title where it reads like an artifactId, which some build
// tools put there. "unknown" is what careless ones put.
func (m manifest) artifact() string {
	if mavenArtifact.MatchString(m.title) && m.title != "unknown" {
		return m.title
	}
	return ""
}
