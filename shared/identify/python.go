package identify

import (
	"errors"
	"strings"

	purl "github.com/package-url/packageurl-go"
)

// ParsePythonMetadata reads METADATA of a wheel or PKG-INFO of an sdist or egg
// (Python core metadata 2.4).
func ParsePythonMetadata(data []byte) (Package, error) {
	f, _ := paragraph(data, foldLines)
	p := Package{
		Type: purl.TypePyPi, Name: f.get("name"), Version: f.get("version"), Description: f.get("summary"),
		Supplier: f.get("author"), Requires: pythonRequires(f["requires-dist"]),
	}
	// Before version 1.2 of the metadata there was no such field.
	p.NeedsStated = p.Requires != nil || f.get("metadata-version") > "1.1"
	if p.Name == "" || p.Version == "" {
		return Package{}, errors.New("metadata has no Name and Version")
	}
	if p.Supplier == "" {
		p.Supplier = f.get("author-email")
	}
	// License-Expression is an SPDX expression; License is free text, often
	// the whole licence, of which the first line says most; classifiers are
	// the oldest form.
	known := func(l string) bool { return l != "" && !strings.EqualFold(l, "UNKNOWN") }
	switch expression, license := f.get("license-expression"), f.get("license"); {
	case known(expression):
		p.Licenses = []string{expression}
	case known(license):
		first, _, _ := strings.Cut(license, "\n")
		p.Licenses = []string{first}
	default:
		for _, c := range f["classifier"] {
			if l, ok := strings.CutPrefix(c, "License :: "); ok && len(p.Licenses) < maxLicenses {
				p.Licenses = append(p.Licenses, l[strings.LastIndex(l, ": ")+1:])
			}
		}
	}
	return p, nil
}

// pythonDir reports whether a directory is named as that of a distribution
// of p: name-version, in any of the spellings build tools use.
func pythonDir(dir string, p Package) bool {
	fold := strings.NewReplacer("-", "_", ".", "_")
	return strings.EqualFold(fold.Replace(dir), fold.Replace(p.Name+"-"+p.Version))
}
