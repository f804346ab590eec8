package identify

import (
	"maps"
	"slices"
	"strings"
)

// Requirement is a package that another one says it needs.
type Requirement struct {
	Names []string // any of which will do, as FullName or Provides spell them
	Range string   // of versions, as the metadata spells it; "" for any
}

// String is the requirement for people: "a | b >= 2".
func (r Requirement) String() string {
	return strings.TrimSpace(strings.Join(r.Names, " | ") + " " + r.Range)
}

// maxRequires bounds the requirements, and the provided names, kept of one
// package.
const maxRequires = 2000

// need appends a requirement of one name, unless there are too many.
func need(all []Requirement, name, versions string) []Requirement {
	name, versions = clean(name, maxName), clean(versions, maxLicense)
	if name == "" || len(all) >= maxRequires {
		return all
	}
	return append(all, Requirement{Names: []string{name}, Range: versions})
}

// needAll appends the members of an object of names and ranges, as npm
// writes them, in the order of names.
func needAll(all []Requirement, ranges map[string]string) []Requirement {
	for _, name := range slices.Sorted(maps.Keys(ranges)) {
		all = need(all, name, ranges[name])
	}
	return all
}

// nameAndRange splits a requirement at the first byte that no name has.
func nameAndRange(s string) (name, versions string) {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, " \t<>=~!^(;["); i > 0 {
		return s[:i], strings.TrimSpace(s[i:])
	}
	return s, ""
}

// pythonRequires reads Requires-Dist fields (PEP 508); what only extras need
// is left out.
func pythonRequires(fields []string) (all []Requirement) {
	for _, f := range fields {
		f, marker, _ := strings.Cut(f, ";")
		if strings.Contains(marker, "extra") {
			continue
		}
		name, versions := nameAndRange(f)
		if strings.HasPrefix(versions, "[") {
			_, versions, _ = strings.Cut(versions, "]")
		}
		all = need(all, name, strings.Trim(strings.TrimSpace(versions), "()"))
	}
	return all
}

// debianRequires reads Depends and the like (Debian policy 7.1): commas
// between requirements, bars between alternatives.
func debianRequires(fields ...string) (all []Requirement) {
	for _, f := range fields {
		for one := range strings.SplitSeq(f, ",") {
			var r Requirement
			for alternative := range strings.SplitSeq(one, "|") {
				name, versions := nameAndRange(alternative)
				name, _, _ = strings.Cut(name, ":") // the architecture
				if name = clean(name, maxName); name != "" && len(r.Names) < 20 {
					r.Names = append(r.Names, name)
				}
				if r.Range == "" {
					r.Range = clean(strings.Trim(versions, "()"), maxLicense)
				}
			}
			if len(r.Names) > 0 && len(all) < maxRequires {
				all = append(all, r)
			}
		}
	}
	return all
}

// listed reads requirements with their ranges in one word each, as pacman,
// apk and rpm write them. Conflicts, "!name", are left out, and so is what
// the package manager itself must be able to do.
func listed(words []string) (all []Requirement) {
	for _, w := range words {
		if strings.HasPrefix(w, "!") || strings.HasPrefix(w, "rpmlib(") || strings.HasPrefix(w, "config(") {
			continue
		}
		name, versions := w, ""
		if i := strings.IndexAny(w, "<>=~"); i > 0 {
			name, versions = w[:i], w[i:]
		}
		all = need(all, name, versions)
	}
	return all
}

// provided are the names of such words.
func provided(words []string) (names []string) {
	for _, r := range listed(words) {
		names = append(names, r.Names...)
	}
	return names
}
