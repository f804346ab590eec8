package lockfile

import (
	"fmt"
	"strconv"
	"strings"

	"assize.dev/shared/identify"
	purl "github.com/package-url/packageurl-go"
)

// npmPackage names a package of npm's registry. ok is false for names that npm
// refuses and for versions that are not semantic versions: tags, URLs and paths
// stand in the same places.
func npmPackage(name, version string) (p Package, ok bool) {
	p.Package = identify.Package{Type: purl.TypeNPM, Name: name, Version: version}
	if scope, rest, scoped := strings.Cut(name, "/"); scoped {
		if len(scope) < 2 || scope[0] != '@' {
			return p, false
		}
		p.Namespace, p.Name = scope, rest
	}
	return p, p.Name != "" && !strings.Contains(p.Name, "/") && isSemver(version)
}

// isSemver tells a semantic version from what else stands in its place.
func isSemver(s string) bool {
	return s != "" && s[0] >= '0' && s[0] <= '9' && strings.Contains(s, ".") && !strings.ContainsAny(s, ":/ ")
}

// splitNPM divides "name@version", in which a scope starts with "@" as well.
func splitNPM(s string) (name, version string) {
	if i := strings.IndexByte(s, '@'); i > 0 {
		return s[:i], s[i+1:]
	} else if i == 0 {
		if i = strings.IndexByte(s[1:], '@'); i > 0 {
			return s[:1+i], s[i+2:]
		}
	}
	return s, ""
}

// registryURL reports whether a package that was resolved to a URL comes from
// a registry of npm's kind. They serve tarballs below "/-/", that of GitHub
// below "/download/" and the scope; elsewhere a tarball was named by its URL.
// Nothing, or a file's name in Yarn's offline mirror, is the registry too.
func registryURL(s string) bool {
	if !strings.ContainsAny(s, ":/") {
		return true
	}
	return (strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")) &&
		(strings.Contains(s, "/-/") || strings.Contains(s, "/download/@") && !strings.Contains(s, "/releases/"))
}

// maxNesting bounds the folders of packages within folders of packages.
const maxNesting = 64

// modules is a tree of node_modules folders. A package is looked for as Node
// does it: in its own folder, then in those around it.
type modules struct {
	c    *collection
	root *module
	all  []*module
}

type module struct {
	up    *module
	below map[string]*module
	key   string  // in the collection
	found Package // Name is "" where none was found
	needs []string
}

func newModules(c *collection) *modules {
	root := &module{key: "0"}
	return &modules{c: c, root: root, all: []*module{root}}
}

// child gives the folder of name inside up.
func (t *modules) child(up *module, name string) (*module, error) {
	if m := up.below[name]; m != nil {
		return m, nil
	}
	if len(t.all) >= maxEntries {
		return nil, fmt.Errorf("more than %d entries", maxEntries)
	}
	m := &module{up: up, key: strconv.Itoa(len(t.all))}
	t.all = append(t.all, m)
	if up.below == nil {
		up.below = make(map[string]*module)
	}
	up.below[name] = m
	return m, nil
}

// find is the key of what m gets when it asks for name, "" if there is none.
func (t *modules) find(m *module, name string) string {
	for ; m != nil; m = m.up {
		if found := m.below[name]; found != nil {
			return found.key
		}
	}
	return ""
}

// finish adds all packages to the collection.
func (t *modules) finish() error {
	total := 0
	for _, m := range t.all {
		if m.found.Name == "" {
			continue
		}
		if total += len(m.needs); total > maxNeeds {
			return fmt.Errorf("more than %d dependencies", maxNeeds)
		}
		for _, name := range m.needs {
			m.found.DependsOn = append(m.found.DependsOn, t.find(m, name))
		}
		if err := t.c.add(m.found, m.key); err != nil {
			return err
		}
	}
	return nil
}
