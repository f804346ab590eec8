// Package advisory reads security advisories, in the OSV schema and as Arch
// Linux's security tracker exports them, and keeps of each what matching a
// version needs.
package advisory

import (
	"time"

	"assize.dev/shared/event"
	"assize.dev/shared/purl"
)

// Entry is one affected package of one advisory.
type Entry struct {
	Ecosystem string // base: "Debian" of "Debian:12"
	Name      string // of the package, as the record spells it
	// Release is what follows the first colon of the ecosystem: "12" of
	// "Debian:12", a repository's address for Packagist and Maven.
	Release  string
	Ranges   []Range
	Versions []string
	// Opaque says the entry also has ranges that versions cannot be
	// compared with (GIT).
	Opaque bool
	Rating Rating
	Class  event.Class // vulnerability, malware or informational
}

// Record is what an advisory says of all its packages.
type Record struct {
	ID        string
	Aliases   []string
	Summary   string // at most MaxSummary runes
	Modified  string // as the record spells it
	Published time.Time
	Withdrawn bool // then nothing is affected
	Affected  []Entry
}

// MaxSummary is how many runes of a summary are kept.
const MaxSummary = 200

// Range is one run of events; see the OSV schema, "affected[].ranges[]".
type Range struct {
	Bounds []Bound
	Limits []string // empty or containing "*": no limit
}

// BoundKind is the key of an event.
type BoundKind uint8

// The kinds of bounds that switch a range on or off.
const (
	Introduced BoundKind = iota
	Fixed
	LastAffected
)

// Bound is one event of a range.
type Bound struct {
	Kind    BoundKind
	Version string
}

// IsZero reports whether the bound is "introduced": "0", which comes before
// every version.
func (b Bound) IsZero() bool { return b.Kind == Introduced && b.Version == "0" }

// Rating is how bad an advisory says it is.
type Rating struct {
	Severity event.Severity
	Score    float64 // CVSS base score, 0 if there is no vector
}

// Key is what a package is looked up by, in its base ecosystem.
func Key(ecosystem, name string) string {
	return ecosystem + "\x00" + purl.NormaliseName(ecosystem, name)
}
