package sbom

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	purl "github.com/package-url/packageurl-go"

	"assize.dev/shared/identify"
)

// Relation says what a component is to the artifact.
type Relation string

// The relations. A component that is found in several ways has the first of
// them that holds.
const (
	Contains Relation = "contains" // its files or compiled code are in the artifact
	Requires Relation = "requires" // the artifact's metadata names this exact version
	Locked   Relation = "locked"   // a lock file in the artifact names this exact version
	Stated   Relation = "stated"   // an SBOM in or beside the artifact lists it, and nothing else does
)

var relations = []Relation{Contains, Requires, Locked, Stated}

// Component is one package found in the artifact.
type Component struct {
	identify.Package
	PURL     string // "" where the metadata gives no full identity
	Relation Relation
	// Concluded is what the licence files beside it amount to, an SPDX
	// expression; "" if there are none, or none that is known.
	Concluded string
	Needs     Needs
	File      string   // name of the file that is the component, "" where it is many
	Format    string   // of that file: see identify.Identity
	Paths     []string // where it was found, the first few, sorted
	Found     int      // how often
}

// maxPaths bounds the places kept of one component.
const maxPaths = 10

// key is what makes two findings the same component.
func (c *Component) key() string {
	if c.PURL != "" {
		return c.PURL
	}
	return "\x00" + c.Type + "\x00" + c.FullName() + "\x00" + c.Version
}

// collection gathers components.
type collection struct {
	root    identify.Identity
	self    Component // what the artifact's own metadata says, without a purl
	all     map[string]*Component
	distro  map[*Component]bool // installed by the system's package manager
	os      string              // purl namespace of the distribution
	version string
	omitted int
	sums    map[string]string // SHA-512 of files that may be packages, by location
}

func newCollection(root identify.Identity) *collection {
	return &collection{root: root, all: map[string]*Component{}, distro: map[*Component]bool{}, sums: map[string]string{}}
}

// release notes which distribution the artifact is an image of.
func (c *collection) release(id, version string) {
	if id != "" {
		c.os, c.version = id, version
	}
}

// add lists a package, unless it is the artifact itself or nameless.
func (c *collection) add(e *entry, p identify.Package) {
	p = p.Printable()
	one := Component{Package: p, PURL: p.PURL(), Relation: Contains}
	if p.Name == "" {
		return
	}
	if c.isRoot(&one) {
		if e.Root || !c.self.NeedsStated {
			c.self.merge(p)
			c.self.Paths = []string{e.Location()}
		}
		return
	}
	switch {
	case wantsGoMod(e):
		one.Relation = Requires
	case wantsLockFile(e):
		one.Relation = Locked
	case isSBOM(e), e.Name == besideName:
		one.Relation = Stated
	}
	known := c.all[one.key()]
	if known == nil {
		if len(c.all) >= maxComponents {
			c.omitted++
			return
		}
		known = &one
		c.all[one.key()] = known
		if isDpkgStatus(e) || isAPKInstalled(e) || isRPMDatabase(e) {
			c.distro[known] = true
		}
	}
	known.Found++
	if slices.Index(relations, one.Relation) < slices.Index(relations, known.Relation) {
		known.Relation = one.Relation
	}
	if known.File == "" {
		if at, format := itself(e, &p); at != "" {
			known.File, known.Format = fileName(at), format
			if sum := c.sums[at]; sum != "" {
				p.Hashes = map[string]string{"SHA-512": sum}
			}
		}
	}
	known.Development = known.Development && p.Development
	known.merge(p)
	if at := e.Location(); len(known.Paths) < maxPaths && !slices.Contains(known.Paths, at) {
		known.Paths = append(known.Paths, at)
	}
}

// merge takes over what another finding of the same package says, where this
// one says nothing.
func (c *Component) merge(p identify.Package) {
	if c.Name == "" {
		c.Type, c.Namespace, c.Name, c.Version = p.Type, p.Namespace, p.Name, p.Version
	}
	if len(c.Licenses) == 0 {
		c.Licenses = p.Licenses
	}
	c.Supplier, c.Description = cmp.Or(c.Supplier, p.Supplier), cmp.Or(c.Description, p.Description)
	if !c.NeedsStated {
		c.NeedsStated, c.Requires, c.Provides, c.DependsOn = p.NeedsStated, p.Requires, p.Provides, p.DependsOn
	}
	if c.Hashes == nil {
		c.Hashes = p.Hashes
	}
}

// isRoot compares without qualifiers, which a file inside may not know.
func (c *collection) isRoot(one *Component) bool {
	if c.root.PURL == "" {
		return c.root.Name != "" && one.FullName() == c.root.Name && one.Version == c.root.Version
	}
	return bare(one.PURL) == bare(c.root.PURL)
}

func bare(purl string) string {
	purl, _, _ = strings.Cut(purl, "?")
	return purl
}

// components are all that were added, in the order of their package URLs,
// then names.
func (c *collection) components() []Component {
	// What the system's package manager installed belongs to the
	// distribution that the image says it is, whichever order the files came in.
	for one := range c.distro {
		if c.os == "" {
			continue
		}
		one.Namespace = c.os
		if one.Type == purl.TypeRPM {
			one.Namespace = identify.RPMNamespace(c.os)
		}
		if c.version != "" {
			q := maps.Clone(one.Qualifiers)
			if q == nil {
				q = map[string]string{}
			}
			q["distro"] = c.os + "-" + c.version
			one.Qualifiers = q
		}
		one.PURL = one.Package.PURL()
	}
	out := make([]Component, 0, len(c.all))
	for _, one := range c.all {
		slices.Sort(one.Paths)
		out = append(out, *one)
	}
	slices.SortFunc(out, func(a, b Component) int {
		return cmp.Or(cmp.Compare(a.PURL, b.PURL), cmp.Compare(a.key(), b.key()))
	})
	return out
}
