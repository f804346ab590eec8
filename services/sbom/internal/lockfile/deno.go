package lockfile

import (
	"encoding/json"
	"strings"
)

// readDeno reads the npm packages of deno.lock (Deno docs, "Integrity checking
// and lock files"). Versions 4 and 5 have them in "npm", version 3 in
// "packages" and version 2 in "npm" with "packages" below. Modules of JSR and
// those named by URLs have no purl and are left out.
func readDeno(c *collection, data []byte) error {
	return readObject(data, func(d *json.Decoder, key string) error {
		switch key {
		case "npm", "packages":
			return members(d, func(key string) error { return readDenoMember(c, d, key) })
		}
		return skip(d)
	})
}

// readDenoMember reads a package or, in older versions, the object that has
// them all.
func readDenoMember(c *collection, d *json.Decoder, key string) error {
	switch key {
	case "npm", "packages":
		return members(d, func(key string) error { return readDenoPackage(c, d, key) })
	case "specifiers", "jsr":
		return skip(d)
	}
	return readDenoPackage(c, d, key)
}

func readDenoPackage(c *collection, d *json.Decoder, key string) error {
	var e struct {
		Integrity string          `json:"integrity"`
		Needs     json.RawMessage `json:"dependencies"`
		Optional  []string        `json:"optionalDependencies"`
	}
	if err := decode(d, &e); err != nil {
		return err
	}
	name, version := splitNPM(key)
	version, _, _ = strings.Cut(version, "_") // peers
	p, ok := npmPackage(name, version)
	if !ok {
		return nil
	}
	p.Hashes = integrity(e.Integrity)
	var byName pairs
	if json.Unmarshal(e.Needs, &byName) == nil {
		for _, need := range byName {
			p.DependsOn = append(p.DependsOn, need.value)
		}
	}
	var list []string
	if json.Unmarshal(e.Needs, &list) == nil {
		p.DependsOn = append(p.DependsOn, denoKeys(list)...)
	}
	p.DependsOn = append(p.DependsOn, denoKeys(e.Optional)...)
	// A list names what has one version in the file without it.
	return c.add(p, key, name)
}

// denoKeys takes the other name of a package off, "b@npm:a@1.0.0".
func denoKeys(needs []string) []string {
	for i, need := range needs {
		if _, real, ok := strings.Cut(need, "@npm:"); ok {
			needs[i] = real
		}
	}
	return needs
}
