package sbom

import (
	"errors"
	"path"
	"strings"

	"assize.dev/shared/archive"
	"assize.dev/shared/identify"
)

// wantsPackageJSON: npm, in node_modules or anywhere else; which of them name
// a package is for the content to say.
func wantsPackageJSON(e *entry) bool { return path.Base(e.Path) == "package.json" }

// readPackageJSON is strict where npm itself would have put the file.
func readPackageJSON(e *entry, data []byte) ([]identify.Package, error) {
	p, err := identify.ParsePackageJSON(data)
	if err != nil {
		if !errors.Is(err, identify.ErrNoPackage) && e.Path != "package/package.json" && !installedNodeModule(e.Path) {
			err = &misplaced{err}
		}
		return nil, err
	}
	return []identify.Package{p}, nil
}

// installedNodeModule reports whether the last node_modules of the path is
// followed by a package's name and nothing else.
func installedNodeModule(name string) bool {
	i := strings.LastIndex("/"+name, "/node_modules/")
	if i < 0 {
		return false
	}
	rest := strings.TrimSuffix(("/" + name)[i+len("/node_modules/"):], "/package.json")
	if strings.HasPrefix(rest, "@") {
		_, rest, _ = strings.Cut(rest, "/")
	}
	return rest != "" && !strings.Contains(rest, "/")
}

// wantsPython: an installed distribution's *.dist-info/METADATA or
// *.egg-info, an egg, or a source distribution that lies in the artifact.
func wantsPython(e *entry) bool {
	dir, base := dirOf(e.Path), path.Base(e.Path)
	switch {
	case base == "METADATA":
		return strings.HasSuffix(dir, ".dist-info")
	case base == "PKG-INFO":
		return strings.HasSuffix(dir, ".egg-info") || dir == "EGG-INFO" ||
			e.Format == archive.Tar && strings.Count(e.Path, "/") == 1 && strings.Contains(dir, "-")
	}
	// distutils wrote a single file.
	return strings.HasSuffix(base, ".egg-info") && (dir == "site-packages" || dir == "dist-packages")
}

func wantsCargoToml(e *entry) bool { return path.Base(e.Path) == "Cargo.toml" && dirOf(e.Path) != "" }

// readCargoToml lists vendored crates, whose folders have their name. Other
// manifests are parts of the same source, tests and examples mostly.
func readCargoToml(e *entry, data []byte) ([]identify.Package, error) {
	p, err := identify.ParseCargoToml(data)
	if err != nil {
		return nil, err
	}
	if dir := dirOf(e.Path); dir != p.Name && dir != p.Name+"-"+p.Version {
		return nil, identify.ErrNoPackage
	}
	return []identify.Package{p}, nil
}

// wantsGem: the unpacked metadata.gz of a .gem inside the artifact.
func wantsGem(e *entry) bool { return e.Path == "metadata" && path.Base(e.Name) == "metadata.gz" }

// wantsGemspec: only RubyGems' own folder of installed specifications has
// files with literal names and versions.
func wantsGemspec(e *entry) bool {
	dir := dirOf(e.Path)
	return strings.HasSuffix(e.Path, ".gemspec") && (dir == "specifications" || dir == "default")
}

func wantsNuspec(e *entry) bool { return strings.HasSuffix(e.Path, ".nuspec") }

// wantsGoMod: what a Go module requires is listed when the artifact is that
// module's zip; any other go.mod belongs to source that is not built here.
func wantsGoMod(e *entry) bool {
	return e.Root && e.Artifact.Format == identify.GoMod && e.Path == e.Artifact.Name+"@"+e.Artifact.Version+"/go.mod"
}

func readGoMod(_ *entry, data []byte) ([]identify.Package, error) { return identify.ParseGoMod(data) }
