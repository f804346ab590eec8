package advisory

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"assize.dev/shared/event"
)

// NewerThan orders two records of the same id. With equal or unreadable
// times the text decides, so that the outcome does not depend on the order
// of reading.
func (r *Record) NewerThan(old *Record) bool {
	a, errA := time.Parse(time.RFC3339Nano, r.Modified)
	b, errB := time.Parse(time.RFC3339Nano, old.Modified)
	if errA == nil && errB == nil && !a.Equal(b) {
		return a.After(b)
	}
	if r.Modified != old.Modified {
		return r.Modified > old.Modified
	}
	if r.Withdrawn != old.Withdrawn {
		return r.Withdrawn
	}
	return len(r.Affected) > 0 && len(old.Affected) == 0
}

// osvRecord is the part of the OSV schema 1.7.5 that matching needs.
type osvRecord struct {
	ID        string          `json:"id"`
	Modified  string          `json:"modified"`
	Published string          `json:"published"`
	Withdrawn string          `json:"withdrawn"`
	Aliases   []string        `json:"aliases"`
	Summary   string          `json:"summary"`
	Details   headline        `json:"details"`
	Severity  []osvSeverity   `json:"severity"`
	Specific  json.RawMessage `json:"database_specific"`
	Affected  []struct {
		Package struct {
			Ecosystem string `json:"ecosystem"`
			Name      string `json:"name"`
		} `json:"package"`
		Severity []osvSeverity `json:"severity"`
		Ranges   []struct {
			Type   string              `json:"type"`
			Events []map[string]string `json:"events"`
		} `json:"ranges"`
		Versions []string        `json:"versions"`
		Specific json.RawMessage `json:"database_specific"`
	} `json:"affected"`
}

type osvSeverity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

// headline keeps the first line of a long text: what there is to show where
// an advisory has no summary.
type headline string

func (h *headline) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	*h = headline(strings.Clone(cut(strings.TrimLeft(line, "# "))))
	return nil
}

const (
	maxID      = 256
	maxName    = 1024
	maxVersion = 512
	maxAliases = 1000
)

// Decode reads one OSV record, of at most MaxRecord bytes. It refuses a record that it could only
// understand in part, except for kinds of ranges it cannot compare, which
// mark the entry Opaque.
func Decode(data []byte) (*Record, error) {
	if len(data) > MaxRecord {
		return nil, fmt.Errorf("%d bytes, at most %d", len(data), MaxRecord)
	}
	var rec osvRecord
	if err := json.Unmarshal(data, &rec); err != nil {
		return nil, fmt.Errorf("not an OSV record: %w", err)
	}
	if rec.ID == "" || len(rec.ID) > maxID {
		return nil, fmt.Errorf("id: %d bytes, want 1 to %d", len(rec.ID), maxID)
	}
	if len(rec.Modified) > 64 || len(rec.Aliases) > maxAliases {
		return nil, errors.New("modified or aliases too long")
	}
	for _, a := range rec.Aliases {
		if len(a) > maxID {
			return nil, fmt.Errorf("aliases: one has %d bytes, at most %d", len(a), maxID)
		}
	}
	summary := cut(rec.Summary)
	if summary == "" {
		summary = string(rec.Details)
	}
	r := &Record{ID: rec.ID, Aliases: rec.Aliases, Summary: summary, Modified: rec.Modified, Withdrawn: rec.Withdrawn != ""}
	if t, err := time.Parse(time.RFC3339Nano, rec.Published); err == nil && t.Year() < 9999 {
		r.Published = t.UTC()
	}
	if r.Withdrawn {
		return r, nil
	}
	overall := specificOf(rec.Specific)
	for i, a := range rec.Affected {
		name := a.Package.Name
		if a.Package.Ecosystem == "" && name == "" {
			continue // about a Git repository only
		}
		if name == "" || len(name) > maxName || len(a.Package.Ecosystem) > maxName {
			return nil, fmt.Errorf("affected[%d].package: name of %d bytes, want 1 to %d", i, len(name), maxName)
		}
		base, release, _ := strings.Cut(a.Package.Ecosystem, ":")
		if base == "" {
			return nil, fmt.Errorf("affected[%d] (%.100s): no ecosystem", i, name)
		}
		entry := Entry{Ecosystem: base, Name: name, Release: release, Versions: a.Versions}
		for _, v := range a.Versions {
			if len(v) > maxVersion {
				return nil, fmt.Errorf("affected[%d].versions: one has %d bytes, at most %d", i, len(v), maxVersion)
			}
		}
		for _, rg := range a.Ranges {
			if rg.Type != "ECOSYSTEM" && rg.Type != "SEMVER" {
				entry.Opaque = true
				continue
			}
			decodedRange, err := decodeRange(rg.Events)
			if err != nil {
				return nil, fmt.Errorf("affected[%d] (%.100s): %w", i, name, err)
			}
			entry.Ranges = append(entry.Ranges, decodedRange)
		}
		own := specificOf(a.Specific)
		entry.Class = classOf(&rec, own, overall)
		entry.Rating = rate(rec.ID, rec.Summary, entry.Class, own, overall, a.Severity, rec.Severity)
		r.Affected = append(r.Affected, entry)
	}
	return r, nil
}

func decodeRange(events []map[string]string) (Range, error) {
	r := Range{Bounds: make([]Bound, 0, len(events))}
	for _, e := range events {
		if len(e) != 1 {
			return r, fmt.Errorf("an event with %d keys, want one", len(e))
		}
		for k, v := range e {
			if v == "" || len(v) > maxVersion {
				return r, fmt.Errorf("event %.20q: version of %d bytes, want 1 to %d", k, len(v), maxVersion)
			}
			switch k {
			case "introduced":
				r.Bounds = append(r.Bounds, Bound{Introduced, v})
			case "fixed":
				r.Bounds = append(r.Bounds, Bound{Fixed, v})
			case "last_affected":
				r.Bounds = append(r.Bounds, Bound{LastAffected, v})
			case "limit":
				r.Limits = append(r.Limits, v)
			default:
				return r, fmt.Errorf("unknown event %.40q", k)
			}
		}
	}
	for _, b := range r.Bounds {
		if b.Kind == Introduced {
			return r, nil
		}
	}
	return r, errors.New("a range without an introduced event")
}

// classOf tells advisories that are not about a flaw in good software:
// malicious packages (ids MAL-, RustSec's category "malicious"), RustSec's
// notices, and AlmaLinux errata that fix bugs (ALBA) or add features (ALEA).
func classOf(rec *osvRecord, own, overall specific) event.Class {
	malicious := strings.HasPrefix(rec.ID, "MAL-")
	for _, a := range rec.Aliases {
		malicious = malicious || strings.HasPrefix(a, "MAL-")
	}
	for _, c := range append(own.Categories, overall.Categories...) {
		malicious = malicious || strings.EqualFold(c, "malicious")
	}
	switch {
	case malicious:
		return event.ClassMalware
	case own.Informational != "", overall.Informational != "",
		strings.HasPrefix(rec.ID, "ALBA-"), strings.HasPrefix(rec.ID, "ALEA-"):
		return event.ClassInformational
	}
	return event.ClassVulnerability
}

func cut(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	n := 0
	for i := range s {
		if n++; n > MaxSummary {
			return s[:i]
		}
	}
	return s
}
