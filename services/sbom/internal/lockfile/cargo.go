package lockfile

import (
	"strings"

	"assize.dev/shared/identify"
	purl "github.com/package-url/packageurl-go"
)

// readCargo reads Cargo.lock (The Cargo Book, "Cargo.toml vs Cargo.lock", and
// cargo's own description of its versions 1 to 4). Packages without a source
// are the workspace's own. Up to version 1 the checksums stand in [metadata],
// by the package's whole name.
func readCargo(c *collection, data []byte) error {
	file, err := readTOML(data)
	if err != nil {
		return err
	}
	checksums := file.table("metadata")
	for _, t := range file.tables("package") {
		name, version, source := t.text("name"), t.text("version"), t.text("source")
		registry, ok := cargoRegistry(source)
		if !ok {
			continue
		}
		p := Package{Package: identify.Package{Type: purl.TypeCargo, Name: name, Version: version}}
		p.fromRegistry(registry, "index.crates.io")
		whole := name + " " + version + " (" + source + ")"
		p.Hashes = hexHash("sha256", t.text("checksum"))
		if p.Hashes == nil {
			p.Hashes = hexHash("sha256", checksums.text("checksum "+whole))
		}
		p.DependsOn = t.texts("dependencies")
		// A need has as much of the name as tells it from others.
		if err := c.add(p, whole, name+" "+version, name); err != nil {
			return err
		}
	}
	return nil
}

// cargoRegistry is the index of a source of registries, which is a repository
// or, "sparse", files; "" stands for the index that cargo has of itself.
func cargoRegistry(source string) (index string, ok bool) {
	if index, ok = strings.CutPrefix(source, "registry+"); !ok {
		index, ok = source, strings.HasPrefix(source, "sparse+")
		index = strings.TrimPrefix(index, "sparse+")
	}
	if index == "https://github.com/rust-lang/crates.io-index" {
		return "", ok
	}
	return index, ok
}
