package lockfile

import (
	"strings"

	"assize.dev/shared/identify"
	purl "github.com/package-url/packageurl-go"
)

// pythonPackage names a distribution as the file spells it, like the
// metadata of an installed one does: package URLs fold less than installers.
func pythonPackage(name, version string) Package {
	return Package{Package: identify.Package{Type: purl.TypePyPi, Name: name, Version: version}}
}

// pythonName is a name in its normal form, in lower case with single dashes
// (Python packaging specifications, "Names and normalization").
func pythonName(s string) string {
	var b strings.Builder
	separated := false
	for _, r := range strings.ToLower(s) {
		if r == '-' || r == '_' || r == '.' {
			separated = true
			continue
		}
		if separated {
			b.WriteByte('-')
			separated = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// requirementName is the normal name in front of a requirement, such as
// "a[extra]>=1; python_version < '3'" (PEP 508).
func requirementName(s string) string {
	s = strings.TrimSpace(s)
	if end := strings.IndexAny(s, " \t[<>=!~;(@,"); end >= 0 {
		s = s[:end]
	}
	return pythonName(s)
}

// pythonIndex notes an index of packages other than Python's own.
func (p *Package) pythonIndex(url string) {
	p.fromRegistry(url, "pypi.org", "pypi.python.org", "files.pythonhosted.org")
}

// fileHashes are those of the files of a distribution, each a table with a hash
// such as "sha256:..." in member key.
func fileHashes(files []table, key string) (all []Hash) {
	for _, f := range files[:min(len(files), maxHashes)] {
		all = append(all, prefixedHash(f.text(key), ":")...)
	}
	return all
}
