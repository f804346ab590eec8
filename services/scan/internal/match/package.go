package match

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"assize.dev/services/scan/internal/advisory"
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

// ecosystems maps purl types whose advisories need nothing but name and
// version (purl-spec, types; OSV schema, defined ecosystems).
var ecosystems = map[string]string{
	"pypi": "PyPI", "npm": "npm", "golang": "Go", "cargo": "crates.io", "maven": "Maven", "gem": "RubyGems",
	"nuget": "NuGet", "composer": "Packagist", "hex": "Hex", "pub": "Pub", "bitnami": "Bitnami", "cran": "CRAN",
	"julia": "Julia", "hackage": "Hackage", "opam": "opam", "swift": "SwiftURL", "conan": "ConanCenter",
	"bioconductor": "Bioconductor", "githubactions": "GitHub Actions", "vscode-extension": "VSCode",
}

// distributions maps purl type and namespace to ecosystems that need the
// release as well.
var distributions = map[string]string{
	"deb/debian": "Debian", "deb/ubuntu": "Ubuntu",
	"apk/alpine": "Alpine", "apk/wolfi": "Wolfi", "apk/chainguard": "Chainguard", "apk/minimos": "MinimOS",
	"rpm/almalinux": "AlmaLinux", "rpm/alma": "AlmaLinux", "rpm/rocky": "Rocky Linux", "rpm/rockylinux": "Rocky Linux",
	"rpm/redhat": "Red Hat", "rpm/rhel": "Red Hat", "rpm/suse": "SUSE", "rpm/opensuse": "openSUSE",
	"rpm/openeuler": "openEuler", "rpm/mageia": "Mageia", "rpm/azurelinux": "Azure Linux",
	"alpm/arch": advisory.Arch, "alpm/archlinux": advisory.Arch,
}

// Resolve reads a package URL. Errors wrap ErrNoSource, ErrRelease or, for
// what is no package URL at all, neither; with ErrRelease the Package still
// tells the ecosystem.
func Resolve(purl string) (Package, error) {
	u, err := parsePURL(purl)
	if err != nil {
		return Package{}, err
	}
	p := Package{PURL: purl, Name: u.name, Version: u.version}
	if eco, ok := ecosystems[u.typ]; ok {
		p.Ecosystem = eco
		p.language(u)
		return p, nil
	}
	eco, ok := distributions[u.typ+"/"+strings.ToLower(u.namespace)]
	if !ok {
		where := u.typ
		if u.typ == "deb" || u.typ == "apk" || u.typ == "rpm" {
			where += "/" + u.namespace
		}
		return p, fmt.Errorf("%w for packages of type %.60q", ErrNoSource, where)
	}
	p.Ecosystem = eco
	return p, p.distribution(u)
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
	all := map[string]bool{"GHC": true}
	for _, name := range ecosystems {
		all[name] = true
	}
	for _, name := range distributions {
		all[name] = true
	}
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

func (p *Package) language(u purl) {
	full := u.name
	if u.namespace != "" {
		full = u.namespace + "/" + u.name
	}
	switch u.typ {
	case "golang":
		p.goModule(full)
	case "npm", "composer", "swift", "githubactions", "vscode-extension":
		p.Name = full
	case "maven":
		if u.namespace != "" {
			p.Name = u.namespace + ":" + u.name
		}
	}
	if u.typ == "composer" || u.typ == "maven" {
		p.Release = u.qualifiers["repository_url"]
	}
}

// distribution finds the release, and for those whose advisories are about
// source packages (Debian, Ubuntu, Alpine and kin) the source's name.
func (p *Package) distribution(u purl) error {
	if u.typ == "deb" || u.typ == "apk" {
		if up := u.qualifiers["upstream"]; up != "" {
			name, version, found := strings.Cut(up, "@")
			p.Name = name
			if found && version != "" {
				p.Version = version
			}
		}
	}
	if e := u.qualifiers["epoch"]; e != "" && u.typ != "apk" && !strings.Contains(p.Version, ":") {
		p.Version = e + ":" + p.Version
	}
	distro := u.qualifiers["distro"]
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

// purl is a package URL taken apart with its spelling kept: the purl
// libraries lower-case Go paths, which advisories do not.
type purl struct {
	typ, namespace, name, version string
	qualifiers                    map[string]string
}

const maxPURL = 4096

func parsePURL(s string) (purl, error) {
	var u purl
	bad := func(why string) (purl, error) { return purl{}, fmt.Errorf("no package URL: %.200q: %s", s, why) }
	rest, ok := strings.CutPrefix(s, "pkg:")
	if !ok || len(s) > maxPURL {
		return bad("want pkg:type/name of at most 4096 bytes")
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	u.qualifiers = make(map[string]string)
	for q := range strings.SplitSeq(query, "&") {
		k, v, _ := strings.Cut(q, "=")
		v, err := url.PathUnescape(v)
		if err != nil {
			return bad(err.Error())
		}
		if k != "" {
			u.qualifiers[strings.ToLower(k)] = v
		}
	}
	typ, path, ok := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	if !ok || typ == "" {
		return bad("no type")
	}
	u.typ = strings.ToLower(typ)
	path = strings.Trim(path, "/")
	// A scope's "@" ought to be escaped; where it is not, it starts a
	// segment, while a version's never does.
	if i := strings.LastIndexByte(path, '@'); i > 0 && path[i-1] != '/' {
		var err error
		if u.version, err = url.PathUnescape(path[i+1:]); err != nil {
			return bad(err.Error())
		}
		path = path[:i]
	}
	path, err := url.PathUnescape(path)
	if err != nil {
		return bad(err.Error())
	}
	u.name = path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		u.namespace, u.name = path[:i], path[i+1:]
	}
	if u.name == "" {
		return bad("no name")
	}
	return u, nil
}
