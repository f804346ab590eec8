package lockfile

import (
	"net/url"
	"slices"
)

// fromRegistry notes the registry a package comes from (purl-spec,
// "repository_url"), unless it is one of the hosts that the purl type takes for
// granted. User names, passwords and queries stay in the file.
func (p *Package) fromRegistry(raw string, defaults ...string) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || slices.Contains(defaults, u.Hostname()) {
		return
	}
	p.qualify("repository_url", u.Scheme+"://"+u.Host+u.EscapedPath())
}

// qualify sets a qualifier of the purl, unless value is empty.
func (p *Package) qualify(key, value string) {
	if value == "" {
		return
	}
	if p.Qualifiers == nil {
		p.Qualifiers = make(map[string]string)
	}
	p.Qualifiers[key] = value
}
