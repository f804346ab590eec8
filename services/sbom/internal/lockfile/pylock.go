package lockfile

// readPylock reads pylock.toml (Python packaging specifications, "pylock.toml";
// PEP 751). Packages from a repository, a folder or an archive have a table for
// it and need not have a version.
func readPylock(c *collection, data []byte) error {
	file, err := readTOML(data)
	if err != nil {
		return err
	}
	for _, t := range file.tables("packages") {
		version := t.text("version")
		if version == "" || t["vcs"] != nil || t["directory"] != nil || t["archive"] != nil {
			continue
		}
		p := pythonPackage(t.text("name"), version)
		p.pythonIndex(t.text("index"))
		for _, published := range append([]table{t.table("sdist")}, t.tables("wheels")...) {
			if len(p.Hashes) >= maxHashes {
				break
			}
			hashes := published.table("hashes")
			for _, algorithm := range hashes.keys() {
				p.Hashes = append(p.Hashes, hexHash(algorithm, hashes.text(algorithm))...)
			}
		}
		p.DependsOn = uvNeeds(t.tables("dependencies"))
		if err := c.add(p, p.Name, p.Name+" "+version); err != nil {
			return err
		}
	}
	return nil
}
