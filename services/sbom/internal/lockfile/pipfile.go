package lockfile

import (
	"encoding/json"
	"strings"
)

// readPipfile reads Pipfile.lock (Pipenv docs, "Pipfile & Pipfile.lock"): what
// the program needs in "default", what development needs in "develop", and
// groups of other names. It has no dependencies of dependencies. Packages from a
// repository, a file or a folder have no "version".
func readPipfile(c *collection, data []byte) error {
	return readObject(data, func(d *json.Decoder, group string) error {
		if group == "_meta" {
			return skip(d)
		}
		return members(d, func(name string) error {
			var e struct {
				Version string   `json:"version"`
				Hashes  []string `json:"hashes"`
				Git     string   `json:"git"`
				Path    string   `json:"path"`
				File    string   `json:"file"`
			}
			if err := decode(d, &e); err != nil {
				return err
			}
			version, ok := strings.CutPrefix(e.Version, "==")
			if !ok || e.Git != "" || e.Path != "" || e.File != "" {
				return nil
			}
			p := pythonPackage(name, strings.TrimSpace(version))
			for _, h := range e.Hashes[:min(len(e.Hashes), maxHashes)] {
				p.Hashes = append(p.Hashes, prefixedHash(h, ":")...)
			}
			p.Dev = group == "develop"
			return c.add(p)
		})
	})
}
