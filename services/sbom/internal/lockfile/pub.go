package lockfile

import (
	"strings"

	"assize.dev/shared/identify"
	"go.yaml.in/yaml/v3"
)

// readPub reads pubspec.lock (Dart docs, "Glossary: lockfile", and the file that
// pub writes). It has no dependencies of dependencies. Packages of the SDK, of
// folders and of repositories have another source than "hosted".
func readPub(c *collection, data []byte) error {
	return readYAML(data, func(root *yaml.Node) error { return addPub(c, root) })
}

func addPub(c *collection, root *yaml.Node) error {
	for name, entry := range mapping(at(root, "packages")) {
		if scalar(entry, "source") != "hosted" {
			continue
		}
		p := Package{Package: identify.Package{Type: "pub", Name: strings.ToLower(name), Version: scalar(entry, "version")}}
		p.fromRegistry(scalar(entry, "description", "url"), "pub.dev", "pub.dartlang.org")
		p.Hashes = hexHash("sha256", scalar(entry, "description", "sha256"))
		p.Dev = scalar(entry, "dependency") == "direct dev"
		if err := c.add(p); err != nil {
			return err
		}
	}
	return nil
}
