package sbom

import (
	"errors"
	"path"
	"strings"

	"assize.dev/services/sbom/internal/rpmdb"
	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
)

// wantsDebianControl: the control file of a package inside the artifact, or
// of the artifact itself.
func wantsDebianControl(e *entry) bool {
	return e.Path == "control" && strings.HasPrefix(path.Base(e.Name), "control.tar")
}

func wantsPKGINFO(e *entry) bool { return e.Path == ".PKGINFO" && e.Format == archive.Tar }

func readPKGINFO(e *entry, data []byte) ([]identify.Package, error) {
	format := ""
	if e.Root && (e.Artifact.Format == identify.Arch || e.Artifact.Format == identify.APK) {
		format = e.Artifact.Format // learned from more than this file
	}
	p, err := identify.ParsePKGINFO(data, format)
	if err != nil {
		return nil, err
	}
	return []identify.Package{p}, nil
}

// rpmHeader reads packages inside the artifact, and the artifact itself.
type rpmHeader struct{}

func (rpmHeader) name() string        { return "rpm" }
func (rpmHeader) wants(e *entry) bool { return e.Content == archive.RPM }

func (rpmHeader) extract(_ *entry, src *source) ([]identify.Package, error) {
	p, err := identify.ReadRPM(src)
	if err != nil {
		return nil, err
	}
	return []identify.Package{p}, nil
}

// rpmDatabase reads what an image's package manager installed.
type rpmDatabase struct{}

func (rpmDatabase) name() string { return "rpm database" }

func (rpmDatabase) wants(e *entry) bool { return isRPMDatabase(e) }

func (rpmDatabase) extract(_ *entry, src *source) ([]identify.Package, error) {
	r, size, done, err := src.random()
	if err != nil {
		return nil, err
	}
	defer done()
	var found []identify.Package
	err = rpmdb.Read(r, size, func(header []byte) error {
		p, err := identify.ParseRPMHeader(header)
		if errors.Is(err, identify.ErrNoPackage) {
			return nil
		}
		if err == nil && len(found) <= maxComponents {
			found = append(found, p)
		}
		return err
	})
	return found, err
}

// database is an extractor of a list of installed packages.
type database struct {
	kind  string
	want  func(*entry) bool
	parse func([]byte, func(identify.Package))
}

// maxDatabase is the size of a list of installed packages; that of a full
// desktop has about 10 MB.
const maxDatabase = 64 << 20

func (d database) name() string        { return d.kind }
func (d database) wants(e *entry) bool { return d.want(e) }

func (d database) extract(_ *entry, src *source) ([]identify.Package, error) {
	data, err := src.all(maxDatabase)
	if err != nil {
		return nil, err
	}
	var found []identify.Package
	d.parse(data, func(p identify.Package) {
		if len(found) <= maxComponents {
			found = append(found, p)
		}
	})
	return found, nil
}

func isDpkgStatus(e *entry) bool {
	return e.Path == "var/lib/dpkg/status" ||
		path.Dir(e.Path) == "var/lib/dpkg/status.d" && !strings.HasSuffix(e.Path, ".md5sums") // distroless images
}

func isAPKInstalled(e *entry) bool {
	return e.Path == "lib/apk/db/installed" || e.Path == "usr/lib/apk/db/installed"
}

func isRPMDatabase(e *entry) bool {
	switch path.Base(e.Path) {
	case "Packages", "Packages.db", "rpmdb.sqlite":
		dir := path.Dir(e.Path)
		return strings.HasSuffix(dir, "lib/rpm") || strings.HasSuffix(dir, "lib/sysimage/rpm")
	}
	return false
}

// isBuildInfo: what makepkg notes of where it built the artifact.
func isBuildInfo(e *entry) bool {
	return e.Root && e.Path == ".BUILDINFO" && e.Artifact.Format == identify.Arch
}

func isOSRelease(e *entry) bool {
	return e.Path == "etc/os-release" || e.Path == "usr/lib/os-release"
}
