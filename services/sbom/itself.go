package sbom

import (
	"path"
	"strings"

	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
)

// itself is the file inside the artifact that a package is, and its format,
// where the metadata at e describes the container that it lies in, or is one.
// "" means that the package has many files.
func itself(e *entry, p *identify.Package) (file, format string) {
	switch depth := strings.Count(e.Path, "/"); {
	case e.Jar != "":
		return path.Base(e.Path), e.Jar
	case e.Content == archive.RPM:
		return path.Base(e.Path), identify.RPM
	case e.Container == "":
		return "", ""
	case wantsDebianControl(e):
		return outer(e), identify.Deb
	case wantsGem(e):
		return outer(e), identify.Gem
	case wantsPKGINFO(e) && p.Type == "apk":
		return inner(e), identify.APK
	case wantsPKGINFO(e):
		return inner(e), identify.Arch
	case e.Path == "package/package.json" && e.Format == archive.Tar:
		return inner(e), identify.NPM
	case depth == 1 && strings.HasSuffix(e.Path, ".dist-info/METADATA") && strings.HasSuffix(e.Name, ".whl"):
		return inner(e), identify.Wheel
	case depth == 0 && wantsNuspec(e) && strings.HasSuffix(e.Name, ".nupkg"):
		return inner(e), identify.Nupkg
	case depth == 1 && wantsCargoToml(e) && strings.HasSuffix(e.Name, ".crate"):
		return inner(e), identify.Crate
	}
	return "", ""
}

// inner is the name of the container, outer that of the one around it.
func inner(e *entry) string {
	return path.Base(e.Container[strings.LastIndexByte(e.Container, '!')+1:])
}

func outer(e *entry) string {
	around := e.Container[:max(strings.LastIndexByte(e.Container, '!'), 0)]
	if around == "" {
		return ""
	}
	return path.Base(around[strings.LastIndexByte(around, '!')+1:])
}
