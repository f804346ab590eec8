package lockfile

import "strings"

// readPDM reads pdm.lock (PDM docs, "Lock file"). Each extra of a package is a
// table of its own. Hashes of old files are in [metadata.files], by name and
// version. A group is an extra of the program or for development, and the file
// does not say which: that is taken from the usual names.
func readPDM(c *collection, data []byte) error {
	file, err := readTOML(data)
	if err != nil {
		return err
	}
	files := file.table("metadata").table("files")
	for _, t := range file.tables("package") {
		if t.text("git") != "" || t.text("hg") != "" || t.text("svn") != "" || t.text("path") != "" || t.text("url") != "" {
			continue
		}
		name, version := t.text("name"), t.text("version")
		p := pythonPackage(name, version)
		p.Description = t.text("summary")
		p.Hashes = fileHashes(t.tables("files"), "hash")
		if p.Hashes == nil {
			p.Hashes = fileHashes(files.tables(name+" "+version), "hash")
		}
		for _, need := range t.texts("dependencies") {
			p.DependsOn = append(p.DependsOn, requirementName(need))
		}
		p.Dev = onlyForDevelopment(t.texts("groups"))
		if err := c.add(p, p.Name); err != nil {
			return err
		}
	}
	return nil
}

func onlyForDevelopment(groups []string) bool {
	for _, g := range groups {
		switch strings.ToLower(g) {
		case "dev", "develop", "development", "test", "tests", "testing", "lint", "doc", "docs":
		default:
			return false
		}
	}
	return len(groups) > 0
}
