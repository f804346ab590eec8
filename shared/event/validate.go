package event

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// NewRun makes the identifier of a run: a UUIDv7, so that runs sort by time.
func NewRun() string { return uuid.Must(uuid.NewV7()).String() }

// NamedRun is a run whose identifier follows from its time and from what it is
// about, so that ordering it twice is ordering it once: a UUIDv7 (RFC 9562)
// with a SHA-256 of the parts where the random bits are.
func NamedRun(at time.Time, parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	id := uuid.UUID(h[:16])
	ms := uint64(at.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

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
