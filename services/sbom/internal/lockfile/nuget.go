package lockfile

import (
	"encoding/json"
	"strconv"
	"strings"

	"assize.dev/shared/identify"
	purl "github.com/package-url/packageurl-go"
)

// readNuGet reads packages.lock.json (NuGet docs, "Locking dependencies"):
// packages by the framework for which they were resolved; "net8.0/linux-x64" has
// what a platform needs besides those of net8.0. Names are the same in any case. The contentHash is left out: it is not that of the file where a
// package is signed, and most registries sign all.
func readNuGet(c *collection, data []byte) error {
	frameworks := make(map[string]string) // short, as each key has one
	return readObject(data, func(d *json.Decoder, key string) error {
		if key != "dependencies" {
			return skip(d)
		}
		return members(d, func(name string) error {
			name, _, _ = strings.Cut(name, "/")
			framework := frameworks[name]
			if framework == "" {
				framework = strconv.Itoa(len(frameworks)) + " "
				frameworks[name] = framework
			}
			return members(d, func(name string) error { return readNuGetPackage(c, d, framework, name) })
		})
	})
}

func readNuGetPackage(c *collection, d *json.Decoder, framework, name string) error {
	var e struct {
		Type     string `json:"type"`
		Resolved string `json:"resolved"`
		Needs    pairs  `json:"dependencies"`
	}
	if err := decode(d, &e); err != nil || strings.EqualFold(e.Type, "Project") {
		return err
	}
	p := Package{Package: identify.Package{Type: purl.TypeNuget, Name: name, Version: e.Resolved}}
	if e.Resolved == "" {
		return nil
	}
	for _, need := range keysOf(e.Needs) {
		p.DependsOn = append(p.DependsOn, framework+strings.ToLower(need))
	}
	return c.add(p, framework+strings.ToLower(name))
}
