package lockfile

import (
	"fmt"
	"slices"
)

// Bounds of a file besides MaxPackages. Projects of many parts repeat a package,
// so there may be more entries than packages.
const (
	maxEntries = 8 * MaxPackages
	maxNeeds   = 1 << 20 // of all packages together
	maxHashes  = 256     // of a package
)

// collection is what a reader found so far. Until finish, DependsOn holds the
// names that the file has for its entries (keys), in whatever form the format
// wants, as an entry may refer to a later one.
type collection struct {
	packages []Package
	purls    []string // of packages
	index    map[string]int
	keys     map[string][]int // to packages; several where versions share a name
	entries  int
	needs    int
}

func newCollection() *collection {
	return &collection{index: make(map[string]int), keys: make(map[string][]int)}
}

// add takes an entry that others of the file call by the keys. One without a
// usable name is no package and left out.
func (c *collection) add(p Package, keys ...string) error {
	if c.entries++; c.entries > maxEntries {
		return fmt.Errorf("more than %d entries", maxEntries)
	}
	if c.needs += len(p.DependsOn); c.needs > maxNeeds {
		return fmt.Errorf("more than %d dependencies", maxNeeds)
	}
	p.Package = p.Printable()
	u := p.PURL()
	if u == "" {
		return nil
	}
	i, again := c.index[u]
	if again {
		old := &c.packages[i]
		old.Dev = old.Dev && p.Dev
		old.DependsOn = append(old.DependsOn, p.DependsOn...)
		c.addHashes(i, p.Hashes)
	} else {
		if i = len(c.packages); i == MaxPackages {
			return fmt.Errorf("more than %d packages", MaxPackages)
		}
		hashes := p.Hashes
		p.Hashes = nil
		c.index[u] = i
		c.purls = append(c.purls, u)
		c.packages = append(c.packages, p)
		c.addHashes(i, hashes)
	}
	for _, k := range keys {
		if all := c.keys[k]; len(all) == 0 || all[len(all)-1] != i {
			c.keys[k] = append(all, i)
		}
	}
	return nil
}

// addHashes adds hashes that package i does not have yet.
func (c *collection) addHashes(i int, hashes []Hash) {
	p := &c.packages[i]
	for _, h := range hashes {
		if len(p.Hashes) < maxHashes && !slices.Contains(p.Hashes, h) {
			p.Hashes = append(p.Hashes, h)
		}
	}
}

// markDev marks what is needed by the roots of development and not by those of
// the program itself; both are keys.
func (c *collection) markDev(program, development []string) {
	used := c.reach(program)
	for i, reached := range c.reach(development) {
		c.packages[i].Dev = c.packages[i].Dev || reached && !used[i]
	}
}

// reach follows keys through all that they need. It looks at every key once.
func (c *collection) reach(keys []string) []bool {
	reached := make([]bool, len(c.packages))
	seen := make(map[string]bool)
	next := slices.Clone(keys)
	for len(next) > 0 {
		k := next[len(next)-1]
		next = next[:len(next)-1]
		if seen[k] {
			continue
		}
		seen[k] = true
		for _, i := range c.keys[k] {
			if !reached[i] {
				reached[i] = true
				next = append(next, c.packages[i].DependsOn...)
			}
		}
	}
	return reached
}

// finish puts purls in the place of keys. Those of nothing in the collection
// are dropped: platforms, optional packages and what was left out.
func (c *collection) finish() ([]Package, error) {
	total := 0
	seen := make([]int, len(c.packages)) // by which package, counted from 1, it was last needed
	for i := range c.packages {
		var needs []string
		seen[i] = i + 1 // nothing depends on itself
		for _, k := range c.packages[i].DependsOn {
			for _, j := range c.keys[k] {
				if total++; total > maxNeeds {
					for ; i < len(c.packages); i++ {
						c.packages[i].DependsOn = nil
					}
					return c.packages, fmt.Errorf("more than %d dependencies", maxNeeds)
				}
				if seen[j] != i+1 {
					seen[j] = i + 1
					needs = append(needs, c.purls[j])
				}
			}
		}
		c.packages[i].DependsOn = needs
	}
	return c.packages, nil
}
