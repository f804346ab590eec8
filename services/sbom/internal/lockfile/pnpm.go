package lockfile

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// readPnpm reads pnpm-lock.yaml (the pnpm project's specification of its lock
// file). Packages have the keys
//
//	/@a/b/1.0.0_c@2.0.0     lockfileVersion 5
//	/@a/b@1.0.0(c@2.0.0)    6
//	@a/b@1.0.0(c@2.0.0)     9
//
// of which the end names the peers that were used. What packages need stands
// beside their hashes up to version 6, in "snapshots" since then.
//
// A first document may have the package manager itself, which is a tool.
func readPnpm(c *collection, data []byte) error {
	var program, development []string
	err := readYAML(data, func(root *yaml.Node) error {
		f, err := addPnpm(c, root)
		more, tools := f.roots(root)
		program, development = append(program, more...), append(development, tools...)
		return err
	})
	c.markDev(program, development)
	return err
}

func addPnpm(c *collection, root *yaml.Node) (pnpmFile, error) {
	version, _, _ := strings.Cut(scalar(root, "lockfileVersion"), ".")
	f := pnpmFile{c: c, slashes: version == "5"}
	f.prefix = f.slashes || version == "6"
	sources := make(map[string]*yaml.Node)
	for key, entry := range mapping(at(root, "packages")) {
		sources[key] = entry
	}
	resolved := at(root, "packages")
	if snapshots := at(root, "snapshots"); snapshots != nil {
		resolved = snapshots
	}
	for key, entry := range mapping(resolved) {
		source := sources[key]
		if source == nil {
			bare, _, _ := strings.Cut(key, "(")
			source = sources[bare]
		}
		if err := f.add(key, source, entry); err != nil {
			return f, err
		}
	}
	return f, nil
}

type pnpmFile struct {
	c       *collection
	slashes bool // between name and version
	prefix  bool // keys of the registry start with a slash
}

func (f pnpmFile) add(key string, source, entry *yaml.Node) error {
	bare, ok := strings.CutPrefix(key, "/")
	ok = ok || !f.prefix
	for _, elsewhere := range []string{"directory", "repo", "commit"} {
		ok = ok && scalar(source, "resolution", elsewhere) == ""
	}
	if !ok {
		return nil
	}
	name, version := splitNPM(bare)
	if f.slashes {
		// A peer's name may have slashes, written as plus signs.
		i := strings.LastIndexByte(bare, '/')
		name, version = bare[:max(i, 0)], bare[i+1:]
		version, _, _ = strings.Cut(version, "_")
	}
	version, _, _ = strings.Cut(version, "(")
	p, ok := npmPackage(name, version)
	if !ok {
		return nil
	}
	p.Hashes = integrity(scalar(source, "resolution", "integrity"))
	p.Dev = scalar(entry, "dev") == "true"
	for _, kind := range []string{"dependencies", "optionalDependencies"} {
		for need, version := range mapping(at(entry, kind)) {
			p.DependsOn = append(p.DependsOn, f.key(need, version.Value))
		}
	}
	return f.c.add(p, key)
}

// key is that of a dependency: its version, or all of a key where the package
// goes by another name.
func (f pnpmFile) key(name, version string) string {
	switch {
	case strings.HasPrefix(version, "/"), strings.Contains(version, ":"):
		return version
	case f.slashes:
		return "/" + name + "/" + version
	case f.prefix:
		return "/" + name + "@" + version
	}
	if bare, _, _ := strings.Cut(version, "("); strings.LastIndexByte(bare, '@') > 0 {
		return version
	}
	return name + "@" + version
}

// roots are the keys of what projects ("importers") need, for the program and
// for development. Up to version 6 each package says it itself.
func (f pnpmFile) roots(root *yaml.Node) (program, development []string) {
	if f.prefix {
		return nil, nil
	}
	for _, project := range mapping(at(root, "importers")) {
		for kind, needs := range mapping(project) {
			for name, need := range mapping(needs) {
				key := f.key(name, scalar(need, "version"))
				switch kind {
				case "dependencies", "optionalDependencies":
					program = append(program, key)
				case "devDependencies", "configDependencies", "packageManagerDependencies":
					development = append(development, key)
				}
			}
		}
	}
	return program, development
}
