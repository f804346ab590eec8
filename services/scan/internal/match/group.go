package match

import (
	"cmp"
	"slices"
	"strings"

	"assize.dev/services/scan/internal/advisory"
	"assize.dev/services/scan/internal/index"
	"assize.dev/shared/event"
)

type hit struct {
	*index.Info // shared: not to be changed
	class       event.Class
	rating      advisory.Rating
	fixed       []string
}

// group makes one Vulnerability of all hits that share an identifier: ids
// and aliases, which the schema defines as symmetric and transitive. It
// never joins by "related" or "upstream", which mean something else.
func group(hits []hit) []Vulnerability {
	switch len(hits) {
	case 0:
		return nil
	case 1:
		return []Vulnerability{hits[0].alone()}
	}
	var room [few]int
	parent := room[:min(len(hits), few)]
	if len(hits) > few {
		parent = make([]int, len(hits))
	}
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
	if len(hits) <= few {
		for i := range hits {
			for j := range i {
				if find(i) != find(j) && hits[i].shares(&hits[j]) {
					parent[find(i)] = find(j)
				}
			}
		}
	} else {
		owner := make(map[string]int, 4*len(hits))
		join := func(i int, id string) {
			if j, ok := owner[id]; ok {
				parent[find(i)] = find(j)
			} else {
				owner[id] = i
			}
		}
		for i := range hits {
			join(i, hits[i].ID)
			for _, id := range hits[i].Aliases {
				join(i, id)
			}
		}
	}
	// The members of each group as a list from its root on: each says who is
	// next, counted from one.
	var roomForNext [few]int
	next := roomForNext[:min(len(hits), few)]
	if len(hits) > few {
		next = make([]int, len(hits))
	}
	groups := 0
	for i := range hits {
		root := find(i)
		if root == i {
			groups++
			continue
		}
		next[i], next[root] = next[root], i+1
	}
	out := make([]Vulnerability, 0, groups)
	var g []*hit
	for root := range hits {
		if parent[root] != root {
			continue
		}
		if next[root] == 0 {
			out = append(out, hits[root].alone())
			continue
		}
		g = append(g[:0], &hits[root])
		for i := next[root]; i != 0; i = next[i-1] {
			g = append(g, &hits[i-1])
		}
		out = append(out, merge(g))
	}
	slices.SortFunc(out, func(a, b Vulnerability) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// few is how many hits are compared with each other rather than by a table.
const few = 16

func (h *hit) shares(with *hit) bool {
	if h.named(with.ID) {
		return true
	}
	for _, id := range with.Aliases {
		if h.named(id) {
			return true
		}
	}
	return false
}

func (h *hit) named(id string) bool {
	if h.ID == id {
		return true
	}
	for _, a := range h.Aliases {
		if a == id {
			return true
		}
	}
	return false
}

// merge takes the worst rating of a group, and the gravest class: malware,
// then a vulnerability, then a notice.
func merge(g []*hit) Vulnerability {
	slices.SortFunc(g, func(a, b *hit) int {
		return cmp.Or(cmp.Compare(preference(a.ID), preference(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	v := Vulnerability{ID: g[0].ID, Class: event.ClassInformational, Severity: event.Unknown}
	for _, h := range g {
		if gravity(h.class) > gravity(v.Class) {
			v.Class = h.class
		}
	}
	for _, h := range g {
		if v.Summary == "" {
			v.Summary = h.Summary
		}
		if !h.Published.IsZero() && (v.Published.IsZero() || h.Published.Before(v.Published)) {
			v.Published = h.Published
		}
		// A notice does not say how bad the flaw beside it is, and a
		// database that does not rate does not overrule one that does.
		if s := h.rating.Severity; gravity(h.class) == gravity(v.Class) && s != event.Unknown {
			if v.Severity == event.Unknown || s.Rank() > v.Severity.Rank() {
				v.Severity = s
			}
			v.Score = max(v.Score, h.rating.Score)
		}
		v.alias(h.ID)
		for _, id := range h.Aliases {
			v.alias(id)
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

// alone is a flaw that one advisory speaks of.
func (h *hit) alone() Vulnerability {
	return Vulnerability{
		ID: h.ID, Aliases: h.Aliases, Class: h.class, Severity: h.rating.Severity, Score: h.rating.Score, Summary: h.Summary, Published: h.Published, Fixed: h.fixed,
	}
}

// alias adds another name.
func (v *Vulnerability) alias(id string) {
	if id != v.ID && !slices.Contains(v.Aliases, id) {
		v.Aliases = append(v.Aliases, id)
	}
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
