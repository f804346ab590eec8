package lockfile

import (
	"encoding/json"
	"strings"

	"assize.dev/shared/identify"
	purl "github.com/package-url/packageurl-go"
)

// readComposer reads composer.lock (Composer docs, "Basic usage" and "The
// composer.json schema", whose fields the entries have). A package stands in
// for those that it replaces.
func readComposer(c *collection, data []byte) error {
	return readObject(data, func(d *json.Decoder, key string) error {
		switch key {
		case "packages", "packages-dev":
			return elements(d, func() error { return readComposerPackage(c, d, key == "packages-dev") })
		}
		return skip(d)
	})
}

func readComposerPackage(c *collection, d *json.Decoder, dev bool) error {
	var e struct {
		Name        string   `json:"name"`
		Version     string   `json:"version"`
		Description string   `json:"description"`
		License     []string `json:"license"`
		Needs       pairs    `json:"require"`
		Replaces    pairs    `json:"replace"`
		Dist        struct {
			Type   string `json:"type"`
			Shasum string `json:"shasum"`
		} `json:"dist"`
	}
	if err := decode(d, &e); err != nil {
		return err
	}
	vendor, name, ok := strings.Cut(e.Name, "/")
	if !ok || e.Dist.Type == "path" || strings.Contains(name, "/") {
		return nil
	}
	p := Package{Package: identify.Package{
		Type: purl.TypeComposer, Namespace: vendor, Name: name, Version: e.Version,
		Licenses: e.License, Description: e.Description,
	}}
	p.Dev, p.Hashes = dev, hexHash("sha1", e.Dist.Shasum)
	for _, need := range keysOf(e.Needs) {
		p.DependsOn = append(p.DependsOn, strings.ToLower(need))
	}
	keys := []string{strings.ToLower(e.Name)}
	for _, other := range keysOf(e.Replaces) {
		keys = append(keys, strings.ToLower(other))
	}
	return c.add(p, keys...)
}
