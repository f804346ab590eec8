package sbom

import (
	"crypto/sha512"
	"encoding/hex"
	"io"
	"path"
	"strings"

	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
)

// itself is the location of the file inside the artifact that a package is,
// and its format, where the metadata at e describes the container that it
// lies in, or is one. "" means that the package has many files.
func itself(e *entry, p *identify.Package) (location, format string) {
	switch depth := strings.Count(e.Path, "/"); {
	case e.Jar != "":
		return e.Location(), e.Jar
	case e.Content == archive.RPM:
		return e.Location(), identify.RPM
	case e.Container == "":
		return "", ""
	case wantsDebianControl(e):
		return outer(e), identify.Deb
	case wantsGem(e):
		return outer(e), identify.Gem
	case wantsPKGINFO(e) && p.Type == "apk":
		return e.Container, identify.APK
	case wantsPKGINFO(e):
		return e.Container, identify.Arch
	case e.Path == "package/package.json" && e.Format == archive.Tar:
		return e.Container, identify.NPM
	case depth == 1 && strings.HasSuffix(e.Path, ".dist-info/METADATA") && strings.HasSuffix(e.Name, ".whl"):
		return e.Container, identify.Wheel
	case depth == 0 && wantsNuspec(e) && strings.HasSuffix(e.Name, ".nupkg"):
		return e.Container, identify.Nupkg
	case depth == 1 && wantsCargoToml(e) && strings.HasSuffix(e.Name, ".crate"):
		return e.Container, identify.Crate
	}
	return "", ""
}

// outer is the location of the container around the innermost.
func outer(e *entry) string { return e.Container[:max(strings.LastIndexByte(e.Container, '!'), 0)] }

// fileName is the last part of a location.
func fileName(location string) string {
	return path.Base(location[strings.LastIndexByte(location, '!')+1:])
}

// mayBePackage tells which files are hashed in case they are a package.
func mayBePackage(e *entry) bool {
	switch e.Content {
	case archive.Zip, archive.RPM, archive.Ar, archive.Tar:
		return true
	case archive.Gzip, archive.Zstd, archive.XZ:
		return !strings.HasPrefix(path.Base(e.Path), "data.tar") && !strings.HasPrefix(path.Base(e.Path), "control.tar")
	}
	return false
}

// hashContent notes the SHA-512 of a file that the walk holds, as BSI
// TR-03183-2 asks for of what can be deployed by itself.
func (c *cataloguer) hashContent(e *entry, content io.Reader) {
	at, ok := content.(*io.SectionReader)
	if !ok || !mayBePackage(e) || len(c.seen.sums) >= maxComponents {
		return
	}
	h := sha512.New()
	if _, err := io.Copy(h, io.NewSectionReader(at, 0, at.Size())); err == nil {
		c.seen.sums[e.Location()] = hex.EncodeToString(h.Sum(nil))
	}
}
