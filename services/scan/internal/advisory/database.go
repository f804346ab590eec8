// Package advisory reads security advisories in the layout of the public OSV
// export and keeps of each only what matching a version needs.
package advisory

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"assize.dev/shared/event"
)

// Database is a loaded set of advisories. It never changes after Load, so
// any number of goroutines may look things up.
type Database struct {
	entries map[string][]Entry // by key(base ecosystem, normalised name)
	// loaded holds every base ecosystem with advisories, and for those
	// that come per release also "Debian:12".
	loaded     map[string]bool
	generation string
	stats      Stats
}

// Stats says what is in a Database.
type Stats struct {
	Advisories map[string]int // per base ecosystem; one naming two ecosystems counts twice
	Withdrawn  int
	Newest     time.Time // latest "modified"
	Rejected   int
	// RejectedNames are the first MaxRejectedNames of them, as
	// "PyPI/all.zip/PYSEC-1.json: reason".
	RejectedNames []string
}

// MaxRejectedNames is how many rejected records are kept by name.
const MaxRejectedNames = 100

// Entry is one affected package of one advisory.
type Entry struct {
	*Record
	Name string // of the package, as the record spells it
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
	ID      string
	Aliases []string
	Summary string // at most MaxSummary runes
}

// MaxSummary is how many runes of a summary are kept.
const MaxSummary = 200

// Range is one run of events; see the OSV schema, "affected[].ranges[]".
type Range struct {
	Semver bool // type SEMVER, else ECOSYSTEM
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

// Lookup lists the entries about a package in its base ecosystem
// ("Debian", not "Debian:12"). The result is shared: do not change it.
func (db *Database) Lookup(ecosystem, name string) []Entry {
	return db.entries[key(ecosystem, name)]
}

// Loaded reports whether advisories were loaded for the ecosystem, or for
// one release of it, as "Debian:12".
func (db *Database) Loaded(ecosystem string) bool { return db.loaded[ecosystem] }

// Generation is the SHA-256, in lower-case hexadecimal, over the sorted
// (id, modified) pairs of all advisories, withdrawn ones included: two
// databases with the same generation give the same answers.
func (db *Database) Generation() string { return db.generation }

// Stats tells what was loaded.
func (db *Database) Stats() Stats {
	s := db.stats
	s.Advisories = maps.Clone(s.Advisories)
	s.RejectedNames = slices.Clone(s.RejectedNames)
	return s
}

func key(ecosystem, name string) string { return ecosystem + "\x00" + NormaliseName(ecosystem, name) }

// NormaliseName makes the spellings of a package's name that its ecosystem
// treats as one the same: PEP 503 for PyPI, case-blind for NuGet, Packagist
// and Hex. Go paths are folded too, because the purl specification lower-
// cases them in SBOMs; who matches compares the case where it is known.
func NormaliseName(ecosystem, name string) string {
	switch ecosystem {
	case "PyPI":
		return pep503(name)
	case "NuGet", "Packagist", "Hex", "Go", "Bitnami", "GitHub Actions", "SwiftURL", "VSCode":
		return strings.ToLower(name)
	}
	return name
}

func pep503(name string) string {
	var b strings.Builder
	dash := false
	for _, c := range []byte(strings.ToLower(name)) {
		if c == '-' || c == '_' || c == '.' {
			dash = true
			continue
		}
		if dash {
			b.WriteByte('-')
			dash = false
		}
		b.WriteByte(c)
	}
	if dash {
		b.WriteByte('-')
	}
	return b.String()
}

// newDatabase indexes records by package.
func newDatabase(records map[string]*decoded, ecosystems map[string]bool, stats Stats) *Database {
	db := &Database{entries: make(map[string][]Entry), loaded: maps.Clone(ecosystems), stats: stats}
	db.stats.Advisories = make(map[string]int)
	sum := sha256.New()
	for _, id := range slices.Sorted(maps.Keys(records)) {
		r := records[id]
		sum.Write([]byte(id + "\x00" + r.modified + "\n"))
		if t, err := time.Parse(time.RFC3339Nano, r.modified); err == nil && t.After(db.stats.Newest) {
			db.stats.Newest = t
		}
		if r.withdrawn {
			db.stats.Withdrawn++
			continue
		}
		seen := make(map[string]bool, 1)
		for _, a := range r.affected {
			k := key(a.ecosystem, a.name)
			db.entries[k] = append(db.entries[k], a.Entry)
			if !seen[a.ecosystem] {
				seen[a.ecosystem] = true
				db.stats.Advisories[a.ecosystem]++
			}
			db.loaded[a.ecosystem] = true
			if a.Release != "" {
				db.loaded[a.ecosystem+":"+a.Release] = true
			}
		}
	}
	for k, list := range db.entries {
		db.entries[k] = slices.Clip(list)
	}
	db.generation = hex.EncodeToString(sum.Sum(nil))
	return db
}
