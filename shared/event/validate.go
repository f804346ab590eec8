package event

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// NewRun makes the identifier of a run: a UUIDv7, so that runs sort by time.
func NewRun() string { return uuid.Must(uuid.NewV7()).String() }

// ValidRun refuses anything but the canonical form of a UUID.
func ValidRun(run string) error {
	id, err := uuid.Parse(run)
	if err != nil || id.String() != run {
		return fmt.Errorf("run: %.80q is not a UUID in canonical form", run)
	}
	return nil
}

// PackageType is the type of a package URL, "generic" if there is none.
func PackageType(purl string) string {
	rest, ok := strings.CutPrefix(purl, "pkg:")
	if !ok {
		return "generic"
	}
	typ, _, ok := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	if !ok || typ == "" {
		return "generic"
	}
	return strings.ToLower(typ)
}

func required(field, value string) error {
	if value == "" {
		return fmt.Errorf("%s: missing", field)
	}
	return bounded(field, value)
}

func bounded(field, value string) error {
	if len(value) > MaxName {
		return fmt.Errorf("%s: %d bytes, at most %d", field, len(value), MaxName)
	}
	if !utf8.ValidString(value) {
		return fmt.Errorf("%s: not UTF-8", field)
	}
	return nil
}

func attachedWithin(files []Attached) error {
	if len(files) > MaxSignatures {
		return fmt.Errorf("signatures: %d files, at most %d", len(files), MaxSignatures)
	}
	total := 0
	for _, f := range files {
		if err := required("signatures.name", f.Name); err != nil {
			return err
		}
		total += len(f.Data)
	}
	if total > MaxAttached {
		return fmt.Errorf("signatures: %d bytes, at most %d", total, MaxAttached)
	}
	return nil
}

func validLane(lane Lane) error {
	switch lane {
	case LaneNew, LaneAsked, LaneAgain:
		return nil
	}
	return fmt.Errorf("lane: unknown value %q", lane)
}

func validOutcome(o Outcome, g Grade) error {
	switch o {
	case Allow, Deny, Hold:
	default:
		return fmt.Errorf("decision: unknown value %q", o)
	}
	if g.Rank() == 0 {
		return fmt.Errorf("grade: unknown value %q", g)
	}
	return nil
}
