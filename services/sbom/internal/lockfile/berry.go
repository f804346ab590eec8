package lockfile

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// readBerry reads the yarn.lock of Yarn 2 and later, which is YAML. An entry's
// key lists the descriptors that it answers, "a@npm:^1.0.0, a@npm:^1.2.0"; its
// resolution says what it is. Workspaces, links, patches and repositories have
// resolutions of other protocols than npm. The checksum is that of a zip that
// Yarn itself makes, not of what the registry publishes, and left out.
func readBerry(c *collection, data []byte) error {
	return readYAML(data, func(root *yaml.Node) error { return addBerry(c, root) })
}

func addBerry(c *collection, root *yaml.Node) error {
	for key, entry := range mapping(root) {
		name, resolved := splitNPM(scalar(entry, "resolution"))
		version, ok := strings.CutPrefix(resolved, "npm:")
		if !ok {
			continue
		}
		version, _, _ = strings.Cut(version, "::") // where it was fetched
		p, ok := npmPackage(name, version)
		if !ok {
			continue
		}
		for need, wanted := range mapping(at(entry, "dependencies")) {
			// Before version 8 of the file ranges lack the protocol.
			descriptor := wanted.Value
			if !strings.Contains(descriptor, ":") {
				descriptor = "npm:" + descriptor
			}
			p.DependsOn = append(p.DependsOn, need+"@"+descriptor)
		}
		if err := c.add(p, strings.Split(key, ", ")...); err != nil {
			return err
		}
	}
	return nil
}
