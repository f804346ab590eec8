package match

import (
	"cmp"
	"slices"
	"strings"

	"assize.dev/services/scan/internal/advisory"
	"assize.dev/shared/event"
)

type hit struct {
	*advisory.Entry
	fixed []string
}

// group makes one Vulnerability of all hits that share an identifier: ids
// and aliases, which the schema defines as symmetric and transitive. It
// never joins by "related" or "upstream", which mean something else.
func group(hits []hit) []Vulnerability {
	parent := make([]int, len(hits))
	for i := range parent {
		parent[i] = i
	}
	find := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	owner := make(map[string]int)
	for i, h := range hits {
		for _, id := range append([]string{h.ID}, h.Aliases...) {
			if j, ok := owner[id]; ok {
				parent[find(i)] = find(j)
			} else {
				owner[id] = i
			}
		}
	}
	groups := make(map[int][]hit)
	for i, h := range hits {
		groups[find(i)] = append(groups[find(i)], h)
	}
	out := make([]Vulnerability, 0, len(groups))
	for _, g := range groups {
		out = append(out, merge(g))
	}
	slices.SortFunc(out, func(a, b Vulnerability) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// merge takes the worst rating of a group, and the gravest class: malware,
// then a vulnerability, then a notice.
func merge(g []hit) Vulnerability {
	slices.SortFunc(g, func(a, b hit) int {
		return cmp.Or(cmp.Compare(preference(a.ID), preference(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	v := Vulnerability{ID: g[0].ID, Class: event.ClassInformational, Severity: event.Unknown}
	for _, h := range g {
		if gravity(h.Class) > gravity(v.Class) {
			v.Class = h.Class
		}
	}
	for _, h := range g {
		if v.Summary == "" {
			v.Summary = h.Summary
		}
		// A notice does not say how bad the flaw beside it is, and a
		// database that does not rate does not overrule one that does.
		if s := h.Rating.Severity; gravity(h.Class) == gravity(v.Class) && s != event.Unknown {
			if v.Severity == event.Unknown || s.Rank() > v.Severity.Rank() {
				v.Severity = s
			}
			v.Score = max(v.Score, h.Rating.Score)
		}
		for _, id := range append([]string{h.ID}, h.Aliases...) {
			if id != v.ID && !slices.Contains(v.Aliases, id) {
				v.Aliases = append(v.Aliases, id)
			}
		}
		for _, f := range h.fixed {
			if !slices.Contains(v.Fixed, f) && len(v.Fixed) < maxFixed {
				v.Fixed = append(v.Fixed, f)
			}
		}
	}
	slices.Sort(v.Aliases)
	return v
}

func gravity(c event.Class) int {
	switch c {
	case event.ClassMalware:
		return 2
	case event.ClassVulnerability:
		return 1
	}
	return 0
}

// preference orders the names of one flaw: the one that says most first.
func preference(id string) int {
	for i, prefix := range []string{"MAL-", "GHSA-", "RUSTSEC-", "GO-", "PYSEC-", "CVE-"} {
		if strings.HasPrefix(id, prefix) {
			return i
		}
	}
	return 3
}
