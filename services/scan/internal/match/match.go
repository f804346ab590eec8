// Package match finds the advisories that affect a component, by the
// evaluation algorithm of the OSV schema (1.7.5, "Evaluation").
package match

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"assize.dev/services/scan/internal/advisory"
	"assize.dev/services/scan/internal/index"
	"assize.dev/shared/event"
)

// Vulnerability is one flaw of one component: all advisories about it that
// name each other as aliases, as one.
type Vulnerability struct {
	ID        string   // the preferred one of the group
	Aliases   []string // the others, sorted; not to be changed
	Class     event.Class
	Severity  event.Severity
	Score     float64
	Summary   string
	Published time.Time // of the first of them
	Fixed     []string  // versions above the component's that fix it, ascending as far as known
}

// Result is what the advisories say about one component.
type Result struct {
	Vulnerabilities []Vulnerability // sorted by id
	// Unevaluated lists advisories about the component whose versions
	// could not be compared, as "id: reason".
	Unevaluated []string
}

// ErrVersion is wrapped when the component's own version cannot be placed
// in its ecosystem's order, so that nothing can be said.
var ErrVersion = errors.New("version cannot be compared")

// Find evaluates every advisory about p. The error wraps ErrVersion, or
// index.ErrDamaged.
func Find(x *index.Index, p Package) (*Result, error) {
	probe, err := index.NewProbe(p.Ecosystem, p.Version)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", p.name(), ErrVersion, err)
	}
	res := &Result{}
	scratch := hitsPool.Get().(*[]hit)
	defer func() {
		clear(*scratch) // what they refer to is the result's now
		*scratch = (*scratch)[:0]
		hitsPool.Put(scratch)
	}()
	hits := *scratch
	var damaged error
	err = x.Lookup(p.Ecosystem, p.Name, func(at *index.Posting) {
		if !p.concerns(at) {
			return
		}
		affected, err := probe.Affected(at)
		if !affected && err == nil {
			return
		}
		info, failed := at.Record.Shared()
		switch {
		case failed != nil:
			damaged = errors.Join(damaged, failed)
		case affected: // what another range could not tell does not matter then
			hits = append(hits, hit{Info: info, class: at.Class, rating: at.Rating, fixed: fixedAfter(&probe, at)})
		default:
			res.Unevaluated = append(res.Unevaluated, fmt.Sprintf("%s: %v", info.ID, err))
		}
	})
	if err = errors.Join(err, damaged); err != nil {
		return nil, err
	}
	res.Vulnerabilities = group(hits)
	*scratch = hits
	return res, nil
}

var hitsPool = sync.Pool{New: func() any { return new([]hit) }}

// name is for messages.
func (p *Package) name() string {
	if p.PURL != "" {
		return p.PURL
	}
	return fmt.Sprintf("%s/%s %.60s", p.Ecosystem, p.Name, p.Version)
}

// concerns tells whether a posting that carries p's name is about p's release
// of the distribution, or p's repository.
func (p *Package) concerns(at *index.Posting) bool {
	if p.exactName != "" && at.Name != "" && at.Name != p.exactName && hasUpper(p.exactName) {
		return false
	}
	if at.Release == "" || at.Release == p.Release {
		return true
	}
	switch p.Ecosystem {
	case "Packagist", "Maven", "VSCode":
		// The suffix is a repository, not a release: only a component
		// that names another repository is surely not meant.
		return p.Release == ""
	case "Ubuntu":
		return strings.TrimSuffix(strings.TrimPrefix(at.Release, "Pro:"), ":LTS") == p.Release
	}
	return false
}

func hasUpper(s string) bool { return s != strings.ToLower(s) }

// fixedAfter lists the versions above the probed one that fix it.
func fixedAfter(probe *index.Probe, at *index.Posting) (fixed []string) {
	for i := range at.Ranges {
		if at.Ranges[i].Broken != "" {
			continue
		}
		for j := range at.Ranges[i].Bounds {
			b := &at.Ranges[i].Bounds[j]
			if b.Kind == advisory.Fixed && !b.Zero && len(fixed) < maxFixed && probe.Compare(b) < 0 && !slices.Contains(fixed, b.Version) {
				fixed = append(fixed, strings.Clone(b.Version))
			}
		}
	}
	return fixed
}

const maxFixed = 16
