package lockfile

import (
	"encoding/json"
	"strings"

	"assize.dev/shared/identify"
	purl "github.com/package-url/packageurl-go"
)

// readRenv reads renv.lock (renv docs, "Lockfiles"). Taken are packages of CRAN
// and of its mirrors with builds for more platforms; other repositories,
// Bioconductor among them, have other names or versions. The hash is of a
// package's description and left out.
func readRenv(c *collection, data []byte) error {
	return readObject(data, func(d *json.Decoder, key string) error {
		if key != "Packages" {
			return skip(d)
		}
		return members(d, func(string) error {
			var e struct {
				Package      string
				Version      string
				Source       string
				Repository   string
				Requirements []string // up to version 1 of the file
				Depends      []string
				Imports      []string
				LinkingTo    []string
			}
			if err := decode(d, &e); err != nil {
				return err
			}
			if e.Source != "Repository" && e.Source != "CRAN" || !isCRAN(e.Repository) {
				return nil
			}
			p := Package{Package: identify.Package{Type: purl.TypeCran, Name: e.Package, Version: e.Version}}
			for _, list := range [][]string{e.Requirements, e.Depends, e.Imports, e.LinkingTo} {
				for _, need := range list {
					need, _, _ = strings.Cut(need, "(")
					p.DependsOn = append(p.DependsOn, strings.TrimSpace(need))
				}
			}
			return c.add(p, e.Package)
		})
	})
}

// isCRAN knows CRAN and its mirrors by the names that they have in R, or by a
// URL.
func isCRAN(repository string) bool {
	switch repository {
	case "CRAN", "RSPM", "PPM", "P3M":
		return true
	}
	return strings.HasPrefix(repository, "https://cran.") || strings.HasPrefix(repository, "https://") && strings.Contains(repository, "/cran/")
}
