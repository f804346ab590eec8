package lockfile

import (
	"encoding/json"
	"strings"

	"assize.dev/shared/identify"
	purl "github.com/package-url/packageurl-go"
)

// readConan reads conan.lock (Conan docs, "Lockfiles"): of Conan 2 lists of
// references, name/version@user/channel#revision%time, and of Conan 1 a graph of
// nodes. Nodes with a path are the project's own.
func readConan(c *collection, data []byte) error {
	return readObject(data, func(d *json.Decoder, key string) error {
		switch key {
		case "requires", "build_requires", "python_requires":
			return elements(d, func() error {
				var reference string
				if err := decode(d, &reference); err != nil {
					return err
				}
				p, ok := conanPackage(reference)
				if !ok {
					return nil
				}
				p.Dev = key != "requires"
				return c.add(p)
			})
		case "graph_lock":
			return members(d, func(key string) error {
				if key != "nodes" {
					return skip(d)
				}
				return members(d, func(id string) error { return readConanNode(c, d, id) })
			})
		}
		return skip(d)
	})
}

func readConanNode(c *collection, d *json.Decoder, id string) error {
	var e struct {
		Reference string   `json:"ref"`
		Path      string   `json:"path"`
		Needs     []string `json:"requires"`
		Tools     []string `json:"build_requires"`
		Context   string   `json:"context"`
	}
	if err := decode(d, &e); err != nil {
		return err
	}
	p, ok := conanPackage(e.Reference)
	if !ok || e.Path != "" {
		return nil
	}
	p.Dev = e.Context == "build"
	p.DependsOn = append(e.Needs, e.Tools...)
	return c.add(p, id)
}

// conanPackage reads a reference. Its revision tells recipes of one version
// apart and is a part of the purl (rrev).
func conanPackage(reference string) (p Package, ok bool) {
	reference, _, _ = strings.Cut(reference, "%")
	reference, revision, _ := strings.Cut(reference, "#")
	reference, _, _ = strings.Cut(reference, ":")
	revision, _, _ = strings.Cut(revision, ":") // of a binary
	reference, publisher, _ := strings.Cut(reference, "@")
	user, channel, _ := strings.Cut(publisher, "/")
	name, version, ok := strings.Cut(reference, "/")
	p.Package = identify.Package{Type: purl.TypeConan, Name: name, Version: version}
	for key, value := range map[string]string{"user": user, "channel": channel, "rrev": revision} {
		if value != "_" && value != "0" {
			p.qualify(key, value)
		}
	}
	return p, ok && name != "" && version != ""
}
