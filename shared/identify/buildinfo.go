package identify

import (
	"bytes"
	"errors"
	"strings"
)

// maxBuildPackages bounds the packages of a build environment.
const maxBuildPackages = 10_000

// ParseBuildInfo lists what was installed where an Arch package was built
// (BUILDINFO(5), "installed": name-version-release-architecture).
func ParseBuildInfo(data []byte) (installed []Package, err error) {
	if !bytes.Contains(data, []byte("pkgname = ")) {
		return nil, errors.New(".BUILDINFO has no pkgname")
	}
	for line := range bytes.Lines(data) {
		key, value, _ := strings.Cut(string(bytes.TrimSpace(line)), " = ")
		parts := strings.Split(value, "-")
		n := len(parts)
		if key != "installed" || n < 4 {
			continue
		}
		if len(installed) == maxBuildPackages {
			return installed, errors.New(".BUILDINFO lists more packages than are read")
		}
		p := Package{Type: "alpm", Namespace: "arch", Name: strings.Join(parts[:n-3], "-"), Version: parts[n-3] + "-" + parts[n-2]}
		p = p.withQualifier("arch", parts[n-1])
		if p.PURL() != "" {
			installed = append(installed, p)
		}
	}
	return installed, nil
}
