package sbom

import (
	"slices"
	"strings"
)

// Change is one difference between two SBOMs.
type Change struct {
	What string  `json:"what"` // added, removed, version or licence
	From *Listed `json:"from,omitempty"`
	To   *Listed `json:"to,omitempty"`
}

// Compare tells what changed from one listing to another, in the order of
// the components. A component of which one version went and one came has
// changed its version.
func Compare(from, to *Listing) []Change {
	old, now := byPackage(from), byPackage(to)
	var names []string
	for name := range old {
		names = append(names, name)
	}
	for name := range now {
		if _, both := old[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var changes []Change
	for _, name := range names {
		changes = append(changes, compare(old[name], now[name])...)
	}
	return changes
}

// compare looks at all the versions of one package.
func compare(old, now map[string]Listed) []Change {
	var changes []Change
	var gone, came []Listed
	for _, version := range sortedKeys(old) {
		a := old[version]
		b, still := now[version]
		switch {
		case !still:
			gone = append(gone, a)
		case a.Licenses != b.Licenses:
			changes = append(changes, Change{What: "licence", From: &a, To: &b})
		}
	}
	for _, version := range sortedKeys(now) {
		if _, known := old[version]; !known {
			came = append(came, now[version])
		}
	}
	if len(gone) == 1 && len(came) == 1 {
		return append(changes, Change{What: "version", From: &gone[0], To: &came[0]})
	}
	for i := range gone {
		changes = append(changes, Change{What: "removed", From: &gone[i]})
	}
	for i := range came {
		changes = append(changes, Change{What: "added", To: &came[i]})
	}
	return changes
}

func sortedKeys(m map[string]Listed) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// byPackage groups a listing's components by package, then version.
func byPackage(l *Listing) map[string]map[string]Listed {
	all := map[string]map[string]Listed{}
	for _, p := range l.Parts {
		name, version := "\x00"+p.Name, p.Version
		if p.PURL != "" {
			name = versionless(p.PURL)
		}
		if all[name] == nil {
			all[name] = map[string]Listed{}
		}
		all[name][version] = p
	}
	return all
}

// versionless drops version and qualifiers of a package URL.
func versionless(purl string) string {
	purl, _, _ = strings.Cut(purl, "#")
	purl = bare(purl)
	if i := strings.LastIndexByte(purl, '@'); i > strings.LastIndexByte(purl, '/') {
		purl = purl[:i]
	}
	return purl
}
