package lockfile

import (
	"encoding/json"
	"net/url"
	"path"
	"strings"

	"assize.dev/shared/identify"
	purl "github.com/package-url/packageurl-go"
)

// readSwift reads Package.resolved (Swift Package Manager docs, "Resolving and
// updating dependencies", and the versions 1 to 3 that it writes). A package is
// named by where its repository is; one that is not at a released version has
// the revision as vcs_url instead. Local packages and those of a registry, which
// have no repository, are left out. It has no dependencies of dependencies.
func readSwift(c *collection, data []byte) error {
	pins := func(d *json.Decoder) error {
		return elements(d, func() error { return readSwiftPin(c, d) })
	}
	return readObject(data, func(d *json.Decoder, key string) error {
		switch key {
		case "pins":
			return pins(d)
		case "object": // version 1
			return members(d, func(key string) error {
				if key == "pins" {
					return pins(d)
				}
				return skip(d)
			})
		}
		return skip(d)
	})
}

func readSwiftPin(c *collection, d *json.Decoder) error {
	var e struct {
		Kind     string `json:"kind"`
		Location string `json:"location"`
		Old      string `json:"repositoryURL"` // version 1
		State    struct {
			Revision string `json:"revision"`
			Version  string `json:"version"`
		} `json:"state"`
	}
	if err := decode(d, &e); err != nil {
		return err
	}
	location := e.Location
	if location == "" {
		location = e.Old
	}
	repository, ok := repositoryPath(location)
	if !ok || e.Kind != "" && e.Kind != "remoteSourceControl" {
		return nil
	}
	p := Package{Package: identify.Package{
		Type: purl.TypeSwift, Namespace: path.Dir(repository), Name: path.Base(repository), Version: e.State.Version,
	}}
	if p.Version == "" {
		if hexHash("sha1", e.State.Revision) == nil {
			return nil
		}
		p.qualify("vcs_url", "git+https://"+repository+"@"+e.State.Revision)
	}
	return c.add(p)
}

// repositoryPath is the host of a repository and its path there, of a URL or of
// the form user@host:path that ssh has.
func repositoryPath(location string) (string, bool) {
	host, folder := "", ""
	if u, err := url.Parse(location); err == nil && u.Host != "" {
		if u.Scheme == "file" {
			return "", false
		}
		host, folder = u.Hostname(), u.Path
	} else if before, after, ok := strings.Cut(location, ":"); ok && !strings.Contains(before, "/") {
		host, folder = before[strings.IndexByte(before, '@')+1:], after
	}
	folder = strings.TrimSuffix(strings.Trim(folder, "/"), ".git")
	if host == "" || folder == "" || folder != path.Clean(folder) || strings.HasPrefix(folder, "..") {
		return "", false
	}
	return strings.ToLower(host) + "/" + folder, true
}
