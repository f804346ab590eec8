package lockfile

import (
	"encoding/json"
	"fmt"
	"strings"
)

// readPackageLock reads package-lock.json and npm-shrinkwrap.json (npm docs,
// configuring npm, package-lock.json). Version 1 nests "dependencies" as the
// folders nest; version 3 has "packages" by path; version 2 has both, and the
// packages say more.
func readPackageLock(c *collection, data []byte) error {
	old, paths := newModules(c), newModules(c)
	hasPaths := false
	err := readObject(data, func(d *json.Decoder, key string) error {
		switch key {
		case "packages":
			hasPaths = true
			return members(d, func(path string) error { return readNodePath(paths, d, path) })
		case "dependencies":
			return members(d, func(name string) error { return readNested(old, d, old.root, name, 1) })
		}
		return skip(d)
	})
	tree := old
	if hasPaths {
		tree = paths
	}
	if full := tree.finish(); full != nil {
		return full
	}
	return err
}

// npmEntry is an entry of "packages".
type npmEntry struct {
	Name      string `json:"name"` // where it is not that of the folder
	Version   string `json:"version"`
	Resolved  string `json:"resolved"`
	Integrity string `json:"integrity"`
	License   string `json:"license"`
	Link      bool   `json:"link"`
	Dev       bool   `json:"dev"`
	Needs     pairs  `json:"dependencies"`
	Optional  pairs  `json:"optionalDependencies"`
	Peers     pairs  `json:"peerDependencies"`
}

// readNodePath reads the entry at a path: "" is the root, one without
// node_modules a workspace.
func readNodePath(t *modules, d *json.Decoder, path string) error {
	var e npmEntry
	if err := decode(d, &e); err != nil {
		return err
	}
	folders := strings.SplitN("/"+path, "/node_modules/", maxNesting+1)
	if len(folders) > maxNesting {
		return fmt.Errorf("folders are nested deeper than %d", maxNesting)
	}
	m, err := t.root, error(nil)
	for i, name := range folders {
		if i == 0 && (name == "" || name == "/") {
			continue
		}
		if m, err = t.child(m, name); err != nil {
			return err
		}
	}
	if len(folders) == 1 || e.Link || !registryURL(e.Resolved) {
		return nil
	}
	name := folders[len(folders)-1]
	if e.Name != "" {
		name = e.Name
	}
	p, ok := npmPackage(name, e.Version)
	if !ok {
		return nil
	}
	if e.License != "" {
		p.Licenses = []string{e.License}
	}
	p.Dev, p.Hashes = e.Dev, integrity(e.Integrity)
	m.found, m.needs = p, keysOf(e.Needs, e.Optional, e.Peers)
	return nil
}

// readNested reads an entry of "dependencies" (version 1). It is read token by
// token: to read each level by itself would read the deepest once a level.
func readNested(t *modules, d *json.Decoder, up *module, name string, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("dependencies are nested deeper than %d", maxNesting)
	}
	m, err := t.child(up, name)
	if err != nil {
		return err
	}
	var version, resolved, sri string
	var dev bool
	var needs pairs
	err = members(d, func(key string) error {
		switch key {
		case "version":
			return decode(d, &version)
		case "resolved":
			return decode(d, &resolved)
		case "integrity":
			return decode(d, &sri)
		case "dev":
			return decode(d, &dev)
		case "requires":
			return decode(d, &needs)
		case "dependencies":
			return members(d, func(name string) error { return readNested(t, d, m, name, depth+1) })
		}
		return skip(d)
	})
	if err != nil || !registryURL(resolved) {
		return err
	}
	if alias, ok := strings.CutPrefix(version, "npm:"); ok {
		name, version = splitNPM(alias)
	}
	if p, ok := npmPackage(name, version); ok {
		p.Dev, p.Hashes = dev, integrity(sri)
		m.found, m.needs = p, keysOf(needs)
	}
	return nil
}
