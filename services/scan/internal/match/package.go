package match

import (
	"errors"
	"fmt"
	"strings"

	"assize.dev/services/scan/internal/advisory"
	"assize.dev/shared/purl"
)

// Package is a component in the words of the advisories.
type Package struct {
	PURL      string
	Ecosystem string // base, as "Debian"
	Release   string // of a distribution, or address of a repository; may be empty
	Name      string
	Version   string
	// exactName is the Go module path as the component spells it.
	exactName string
}

// ErrNoSource is wrapped by Resolve for types of packages about which nobody
// publishes advisories that could be loaded.
var ErrNoSource = errors.New("no source of advisories")

// ErrRelease is wrapped by Resolve for a distribution's package that does
// not say which release it is of.
var ErrRelease = errors.New("release of the distribution unknown")

// Resolve reads a package URL. Errors wrap ErrNoSource, ErrRelease or, for
// what is no package URL at all, neither; with ErrRelease the Package still
// tells the ecosystem.
func Resolve(text string) (Package, error) {
	u, err := purl.Parse(text)
	if err != nil {
		return Package{}, err
	}
	p := Package{PURL: text, Name: u.Name, Version: u.Version}
	eco, distribution := u.Ecosystem()
	if eco == "" {
		where := u.Type
		if u.Type == "deb" || u.Type == "apk" || u.Type == "rpm" {
			where += "/" + u.Namespace
		}
		return p, fmt.Errorf("%w for packages of type %.60q", ErrNoSource, where)
	}
	p.Ecosystem = eco
	if distribution {
		return p, p.distribution(u)
	}
	p.language(u)
	return p, nil
}

// Of is a package as the OSV schema names it: ecosystem with its suffix
// ("Debian:12"), name and version. Errors wrap ErrNoSource or ErrRelease.
func Of(ecosystem, name, version string) (Package, error) {
	base, release, _ := strings.Cut(ecosystem, ":")
	p := Package{Ecosystem: base, Release: release, Name: name, Version: version}
	if name == "" {
		return p, errors.New("the name of the package is missing")
	}
	if !known[base] {
		return p, fmt.Errorf("%w for ecosystem %.60q", ErrNoSource, base)
	}
	if base == "Go" {
		p.goModule(name)
	}
	if release == "" && byRelease[base] {
		return p, fmt.Errorf("%w: want %s:<release>", ErrRelease, base)
	}
	return p, nil
}

// known are all base ecosystems.
var known = func() map[string]bool {
	all := purl.Ecosystems()
	all["GHC"] = true
	return all
}()

// byRelease are those whose advisories speak of one release each.
var byRelease = map[string]bool{
	"Debian": true, "Ubuntu": true, "Alpine": true, "AlmaLinux": true, "Rocky Linux": true, "Red Hat": true, "SUSE": true, "openSUSE": true,
	"openEuler": true, "Mageia": true, "Azure Linux": true,
}

func (p *Package) goModule(path string) {
	p.Name = path
	// Some cataloguers name the standard library after the toolchain.
	if path == "std" {
		p.Name = "stdlib"
	}
	p.exactName = p.Name
	if p.Name == "stdlib" || p.Name == "toolchain" {
		p.Version = strings.TrimPrefix(p.Version, "go")
	}
	p.Version = strings.TrimPrefix(p.Version, "v")
}

func (p *Package) language(u purl.PURL) {
	full := u.FullName()
	switch u.Type {
	case "golang":
		p.goModule(full)
	case "npm", "composer", "swift", "githubactions", "vscode-extension":
		p.Name = full
	case "maven":
		if u.Namespace != "" {
			p.Name = u.Namespace + ":" + u.Name
		}
	}
	if u.Type == "composer" || u.Type == "maven" {
		p.Release = u.Qualifiers["repository_url"]
	}
}

// distribution finds the release, and for those whose advisories are about
// source packages (Debian, Ubuntu, Alpine and kin) the source's name.
func (p *Package) distribution(u purl.PURL) error {
	if u.Type == "deb" || u.Type == "apk" {
		if up := u.Qualifiers["upstream"]; up != "" {
			name, version, found := strings.Cut(up, "@")
			p.Name = name
			if found && version != "" {
				p.Version = version
			}
		}
	}
	if e := u.Qualifiers["epoch"]; e != "" && u.Type != "apk" && !strings.Contains(p.Version, ":") {
		p.Version = e + ":" + p.Version
	}
	distro := u.Qualifiers["distro"]
	if i := strings.LastIndexByte(distro, '-'); i >= 0 {
		distro = distro[i+1:]
	}
	major, rest, _ := strings.Cut(distro, ".")
	switch p.Ecosystem {
	case advisory.Arch, "Wolfi", "Chainguard", "MinimOS":
		return nil // rolling
	case "Debian":
		p.Release = major
		if n, ok := debianReleases[distro]; ok {
			p.Release = n
		}
		if distro == "" {
			p.Release = after(p.Version, "deb")
		}
	case "Alpine":
		if minor, _, _ := strings.Cut(rest, "."); minor != "" {
			p.Release = "v" + strings.TrimPrefix(major, "v") + "." + minor
		}
	case "AlmaLinux", "Rocky Linux":
		p.Release = major
		if distro == "" {
			p.Release = after(p.Version, ".el")
		}
	default:
		p.Release = distro
	}
	if p.Release == "" {
		return fmt.Errorf("%w: no qualifier distro in %.200s", ErrRelease, p.PURL)
	}
	return nil
}

var debianReleases = map[string]string{
	"stretch": "9", "buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14", "sid": "sid", "unstable": "sid",
}

// after returns the number that follows the last mark in a version:
// rebuilds for a release carry it there, as in "1.2-3~deb12u1" or
// "1.2-3.el9_4".
func after(version, mark string) string {
	i := strings.LastIndex(version, mark)
	if i < 0 {
		return ""
	}
	rest := version[i+len(mark):]
	return rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
}
