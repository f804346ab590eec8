package lockfile

import "slices"

// readPoetry reads poetry.lock (Poetry docs, "Basic usage", and the files that
// its versions 1 and 2 write). Packages from elsewhere than an index have a
// source. Those of an old file have their hashes in [metadata.files]. A package
// that is in the file twice, for platforms or versions of Python, is needed in
// both versions.
func readPoetry(c *collection, data []byte) error {
	file, err := readTOML(data)
	if err != nil {
		return err
	}
	files := file.table("metadata").table("files")
	for _, t := range file.tables("package") {
		source := t.table("source")
		if kind := source.text("type"); kind != "" && kind != "legacy" {
			continue
		}
		name := t.text("name")
		p := pythonPackage(name, t.text("version"))
		p.Description = t.text("description")
		p.pythonIndex(source.text("url"))
		p.Hashes = fileHashes(t.tables("files"), "hash")
		if p.Hashes == nil {
			p.Hashes = fileHashes(files.tables(name), "hash")
		}
		for _, need := range t.table("dependencies").keys() {
			p.DependsOn = append(p.DependsOn, pythonName(need))
		}
		p.Dev = t.text("category") == "dev" || onlyGroups(t.texts("groups"))
		if err := c.add(p, p.Name); err != nil {
			return err
		}
	}
	return nil
}

// onlyGroups reports whether a package is in groups and none of them is that
// of the program itself: Poetry has the others for development.
func onlyGroups(groups []string) bool {
	return len(groups) > 0 && !slices.Contains(groups, "main")
}
