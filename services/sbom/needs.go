package sbom

import (
	"slices"
	"strings"

	purl "github.com/package-url/packageurl-go"
)

// Needs is what a component, or the artifact, says that it needs.
type Needs struct {
	Stated  bool     // whether its metadata has a place to say so
	Met     []int    // by these of Result.Components, in order
	Missing []string // not in the artifact, as the metadata says it, in order
}

// Bounds of one artifact.
const (
	maxRequirements = 200_000
	maxMet          = 200_000
	maxMissing      = 200 // of one component
	maxCandidates   = 64  // of one name
	maxNearPaths    = 3   // of one component
)

// link finds what the artifact and its components need among the components.
// What was asked is forgotten then.
func (r *Result) link(self *Component) {
	l := linker{all: r.Components, named: map[string][]int{}, purls: map[string]int{}}
	for i := range r.Components {
		l.index(i)
	}
	for i := range r.Components {
		c := &r.Components[i]
		c.Needs = l.needs(c, i)
	}
	r.Needs = l.needs(self, artifact)
	for i := range r.Components {
		c := &r.Components[i]
		if c.Relation == Requires {
			r.Needs.Met = append(r.Needs.Met, i)
		}
		c.Requires, c.Provides, c.DependsOn = nil, nil, nil
	}
	slices.Sort(r.Needs.Met)
	r.Needs.Met = slices.Compact(r.Needs.Met)
}

// artifact stands for the place of the artifact, which is none of its
// components.
const artifact = -1

// linker looks components up.
type linker struct {
	all   []Component
	named map[string][]int
	purls map[string]int
	asked int
	met   int
}

func (l *linker) index(i int) {
	c := &l.all[i]
	if c.PURL != "" {
		l.purls[c.PURL] = i
	}
	for _, name := range append([]string{c.FullName()}, c.Provides...) {
		key := needKey(c.Type, name)
		if at := l.named[key]; len(at) < maxCandidates && (len(at) == 0 || at[len(at)-1] != i) {
			l.named[key] = append(at, i)
		}
	}
}

// needKey folds names as the ecosystem does.
func needKey(kind, name string) string {
	switch kind {
	case purl.TypePyPi:
		name = strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name))
	case purl.TypeNuget:
		name = strings.ToLower(name)
	}
	return kind + "\x00" + name
}

func (l *linker) needs(c *Component, place int) Needs {
	n := Needs{Stated: c.NeedsStated}
	for _, to := range c.DependsOn {
		if i, ok := l.purls[to]; ok && i != place {
			n.Met = append(n.Met, i)
		}
	}
	for _, r := range c.Requires {
		if l.asked++; l.asked > maxRequirements {
			n.Stated = false
			break
		}
		switch i, ok := l.first(c, place, r.Names); {
		case ok && i != place:
			n.Met = append(n.Met, i)
		case !ok && len(n.Missing) < maxMissing:
			n.Missing = append(n.Missing, r.String())
		}
	}
	slices.Sort(n.Met)
	slices.Sort(n.Missing)
	n.Met, n.Missing = slices.Compact(n.Met), slices.Compact(n.Missing)
	if l.met += len(n.Met); l.met > maxMet {
		n.Met, n.Stated = nil, false
	}
	return n
}

// first is the component that has the first of the names that any has.
func (l *linker) first(c *Component, place int, names []string) (int, bool) {
	for _, name := range names {
		if name == c.FullName() || slices.Contains(c.Provides, name) {
			return place, true
		}
		if i, ok := l.nearest(c, l.named[needKey(c.Type, name)]); ok {
			return i, true
		}
	}
	return 0, false
}

// nearest picks among the versions of a package the one that lies closest to
// a component: as npm looks it up, which suits all that nest.
func (l *linker) nearest(c *Component, candidates []int) (int, bool) {
	if len(candidates) < 2 {
		return append(candidates, 0)[0], len(candidates) == 1
	}
	best, closest := 0, -1
	for _, i := range candidates {
		for _, at := range firstPaths(&l.all[i]) {
			for _, from := range firstPaths(c) {
				if n := above(at, from); n > closest {
					best, closest = i, n
				}
			}
		}
	}
	return best, true
}

func firstPaths(c *Component) []string {
	if len(c.Paths) == 0 {
		return []string{""} // the artifact
	}
	return c.Paths[:min(len(c.Paths), maxNearPaths)]
}

// above is how long the directory is that holds both paths, in bytes; where
// the first lies in node_modules, the directory above that.
func above(at, from string) int {
	if i := strings.LastIndex(at, "node_modules/"); i >= 0 {
		if strings.HasPrefix(from, at[:i]) {
			return i + 1
		}
		return 0 // taken where nothing is closer
	}
	n := 0
	for i := 0; i < min(len(at), len(from)) && at[i] == from[i]; i++ {
		if at[i] == '/' || at[i] == '!' {
			n = i
		}
	}
	return n
}
