// Package match finds the advisories that affect a component, by the
// evaluation algorithm of the OSV schema (1.7.5, "Evaluation").
package match

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"assize.dev/services/scan/internal/advisory"
	"assize.dev/shared/event"
)

// Vulnerability is one flaw of one component: all advisories about it that
// name each other as aliases, as one.
type Vulnerability struct {
	ID       string   // the preferred one of the group
	Aliases  []string // the others, sorted
	Class    event.Class
	Severity event.Severity
	Score    float64
	Summary  string
	Fixed    []string // versions above the component's that fix it, ascending as far as known
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

// Find evaluates every advisory about p. The error wraps ErrVersion.
func Find(db *advisory.Database, p Package) (*Result, error) {
	entries := db.Lookup(p.Ecosystem, p.Name)
	order, err := orderOf(p.Ecosystem)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", p.PURL, ErrVersion, err)
	}
	if err := order.valid(p.Version); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", p.PURL, ErrVersion, err)
	}
	res := &Result{}
	var hits []hit
	for i := range entries {
		e := &entries[i]
		if !p.concerns(e) {
			continue
		}
		affected, fixed, err := evaluate(order, p.Version, e)
		switch {
		case affected: // what another range could not tell does not matter then
			hits = append(hits, hit{e, fixed})
		case err != nil:
			res.Unevaluated = append(res.Unevaluated, fmt.Sprintf("%s: %v", e.ID, err))
		}
	}
	res.Vulnerabilities = group(hits)
	return res, nil
}

// concerns tells whether an entry that carries p's name is about p's release
// of the distribution, or p's repository.
func (p *Package) concerns(e *advisory.Entry) bool {
	if p.exactName != "" && p.exactName != strings.ToLower(p.exactName) && e.Name != "" && e.Name != p.exactName {
		return false
	}
	if e.Release == "" || e.Release == p.Release {
		return true
	}
	switch p.Ecosystem {
	case "Packagist", "Maven", "VSCode":
		// The suffix is a repository, not a release: only a component
		// that names another repository is surely not meant.
		return p.Release == ""
	case "Ubuntu":
		release := strings.TrimSuffix(strings.TrimPrefix(e.Release, "Pro:"), ":LTS")
		return release == p.Release
	}
	return false
}

// evaluate tells whether a version is affected, and which later versions fix
// it. An error says that something could not be compared; it is nil only if
// every list and range had its say.
func evaluate(order ordering, version string, e *advisory.Entry) (affected bool, fixed []string, err error) {
	comparable := len(e.Versions) > 0 || len(e.Ranges) > 0
	if !comparable {
		if e.Class == event.ClassMalware {
			return true, nil, nil // names the package and no version: all of them
		}
		return false, nil, errors.New("it names no versions that can be compared")
	}
	listed, listErr := inList(order, version, e.Versions)
	affected = listed
	err = listErr
	for _, r := range e.Ranges {
		in, rangeErr := inRange(order, version, r)
		affected = affected || in
		err = errors.Join(err, rangeErr)
		for _, b := range r.Bounds {
			if b.Kind == advisory.Fixed && !slices.Contains(fixed, b.Version) {
				if c, cmpErr := order.compare(b.Version, version); cmpErr == nil && c > 0 && len(fixed) < maxFixed {
					fixed = append(fixed, b.Version)
				}
			}
		}
	}
	return affected, fixed, err
}

const maxFixed = 16

// inList is equality with one of the versions, by spelling or by order
// ("2.2" and "2.2.0" are one version to PEP 440).
func inList(order ordering, version string, list []string) (bool, error) {
	if slices.Contains(list, version) {
		return true, nil
	}
	var failed error
	for _, v := range list {
		switch c, err := order.compare(v, version); {
		case err != nil && failed == nil:
			failed = fmt.Errorf("its version %.60q: %w", v, err)
		case err == nil && c == 0:
			return true, nil
		}
	}
	return false, failed
}

// inRange is the schema's IncludedInRanges for one range.
func inRange(order ordering, version string, r advisory.Range) (bool, error) {
	if r.Semver && order.name == "" {
		order = semverOrder
	}
	before, err := beforeLimits(order, version, r.Limits)
	if err != nil || !before {
		return false, err
	}
	// The sort is stable: at a tie the record's own order counts, so that
	// "introduced 1, last_affected 1" means exactly 1.
	var failed error
	bounds := slices.Clone(r.Bounds)
	slices.SortStableFunc(bounds, func(a, b advisory.Bound) int {
		az, bz := a.IsZero(), b.IsZero()
		switch {
		case az && bz:
			return 0
		case az:
			return -1
		case bz:
			return 1
		}
		c, err := order.compare(a.Version, b.Version)
		if err != nil && failed == nil {
			failed = fmt.Errorf("its bounds %.60q and %.60q: %w", a.Version, b.Version, err)
		}
		return c
	})
	if failed != nil {
		return false, failed
	}
	affected := false
	for _, b := range bounds {
		if b.IsZero() {
			affected = true
			continue
		}
		c, err := order.compare(version, b.Version)
		if err != nil {
			return false, fmt.Errorf("its bound %.60q: %w", b.Version, err)
		}
		switch {
		case b.Kind == advisory.Introduced && c >= 0:
			affected = true
		case b.Kind == advisory.Fixed && c >= 0, b.Kind == advisory.LastAffected && c > 0:
			affected = false
		}
	}
	return affected, nil
}

func beforeLimits(order ordering, version string, limits []string) (bool, error) {
	if len(limits) == 0 || slices.Contains(limits, "*") {
		return true, nil
	}
	for _, l := range limits {
		c, err := order.compare(version, l)
		if err != nil {
			return false, fmt.Errorf("its limit %.60q: %w", l, err)
		}
		if c < 0 {
			return true, nil
		}
	}
	return false, nil
}
