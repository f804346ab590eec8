package lockfile

// readUV reads uv.lock (uv docs, "Locking and syncing"). Packages from
// elsewhere than an index, the project's own among them, have another source
// than "registry". A dependency names the version where there are several.
func readUV(c *collection, data []byte) error {
	file, err := readTOML(data)
	if err != nil {
		return err
	}
	var program, development []string
	for _, t := range file.tables("package") {
		needs := uvNeeds(t.tables("dependencies"))
		for _, list := range extras(t, "optional-dependencies") {
			needs = append(needs, uvNeeds(list)...)
		}
		source := t.table("source")
		registry, ok := source["registry"]
		if !ok {
			program = append(program, needs...)
			for _, list := range extras(t, "dev-dependencies") {
				development = append(development, uvNeeds(list)...)
			}
			continue
		}
		p := pythonPackage(t.text("name"), t.text("version"))
		if index, ok := registry.(string); ok {
			p.pythonIndex(index)
		}
		p.Hashes = fileHashes(append([]table{t.table("sdist")}, t.tables("wheels")...), "hash")
		p.DependsOn = needs
		if err := c.add(p, p.Name, p.Name+" "+p.Version); err != nil {
			return err
		}
	}
	c.markDev(program, development)
	return nil
}

// extras are the lists of dependencies by extra or group.
func extras(t table, key string) (all [][]table) {
	lists := t.table(key)
	for _, name := range lists.keys() {
		all = append(all, lists.tables(name))
	}
	return all
}

func uvNeeds(list []table) (keys []string) {
	for _, need := range list {
		key := pythonName(need.text("name"))
		if version := need.text("version"); version != "" {
			key += " " + version
		}
		keys = append(keys, key)
	}
	return keys
}
