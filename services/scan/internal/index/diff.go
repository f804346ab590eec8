package index

import (
	"slices"
	"strings"
)

// Changed is a package about which a generation says something else than the
// one before.
type Changed struct {
	Ecosystem, Name string   // the name as advisory.NormaliseName writes it
	Advisories      []string // ids that came, went or were changed, sorted
}

// Diff lists the packages whose advisories differ, sorted. An advisory that
// only another time of change tells apart counts.
func Diff(from, to *Index) ([]Changed, error) {
	changed := map[string][]string{}
	note := func(e Entry) error {
		i, packages, err := e.Ref.Packages()
		if err != nil {
			return err
		}
		for _, key := range packages {
			if !slices.Contains(changed[key], i.ID) {
				changed[key] = append(changed[key], i.ID)
			}
		}
		return nil
	}
	old, now := from.cursors(), to.cursors()
	for {
		a, okA, err := old.next()
		if err != nil {
			return nil, err
		}
		b, okB, err := now.next()
		if err != nil {
			return nil, err
		}
		switch {
		case !okA && !okB:
			return sorted(changed), nil
		case okA && (!okB || a.ID < b.ID):
			err = note(a)
			old.take()
		case okB && (!okA || b.ID < a.ID):
			err = note(b)
			now.take()
		default:
			if a.Modified != b.Modified {
				if err = note(a); err == nil {
					err = note(b)
				}
			}
			old.take()
			now.take()
		}
		if err != nil {
			return nil, err
		}
	}
}

func sorted(changed map[string][]string) []Changed {
	var out []Changed
	for key, ids := range changed {
		ecosystem, name, _ := strings.Cut(key, "\x00")
		slices.Sort(ids)
		out = append(out, Changed{ecosystem, name, ids})
	}
	slices.SortFunc(out, func(a, b Changed) int {
		return strings.Compare(a.Ecosystem+"\x00"+a.Name, b.Ecosystem+"\x00"+b.Name)
	})
	return out
}
