package secrets

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"assize.dev/shared/config"
)

// Allow lists findings that somebody has looked at and accepts, for a reason
// and until a day.
type Allow struct {
	entries map[string]*AllowEntry
}

// AllowEntry accepts one credential, wherever it is met.
type AllowEntry struct {
	Fingerprint string `yaml:"fingerprint"` // 32 hexadecimal digits, as findings have it
	Reason      string `yaml:"reason"`
	Expires     string `yaml:"expires"` // the last day on which it counts, as 2026-12-31, in UTC

	until time.Time
}

const (
	maxAllowFile = 1 << 20
	dayLayout    = "2006-01-02"
)

// ParseAllow reads an allow list: YAML with one key, allow, a list of entries
// of which every key is needed.
func ParseAllow(text []byte) (*Allow, error) {
	if len(text) > maxAllowFile {
		return nil, fmt.Errorf("%d bytes, at most %d", len(text), maxAllowFile)
	}
	var file struct {
		Allow []AllowEntry `yaml:"allow"`
	}
	if err := config.ParseYAML(text, &file); err != nil {
		return nil, err
	}
	a := &Allow{entries: make(map[string]*AllowEntry)}
	for i := range file.Allow {
		e := &file.Allow[i]
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		if a.entries[e.Fingerprint] != nil {
			return nil, fmt.Errorf("entry %d: fingerprint %s is given twice", i+1, e.Fingerprint)
		}
		a.entries[e.Fingerprint] = e
	}
	return a, nil
}

func (e *AllowEntry) check() error {
	e.Fingerprint = strings.ToLower(e.Fingerprint)
	if len(e.Fingerprint) != 32 || strings.Trim(e.Fingerprint, lowerHex) != "" {
		// What stands there may be a secret itself, so it is not shown.
		return errors.New("fingerprint: want the 32 hexadecimal digits that the finding has")
	}
	if strings.TrimSpace(e.Reason) == "" {
		return errors.New("reason is missing: say why it is no danger")
	}
	day, err := time.Parse(dayLayout, e.Expires)
	if err != nil {
		return fmt.Errorf("expires: %.20q, want a day like 2026-12-31", e.Expires)
	}
	e.until = day.AddDate(0, 0, 1)
	return nil
}

// Entry is what the list says of a fingerprint, and whether it still counts
// at a time; nil if nothing.
func (a *Allow) Entry(fingerprint string, now time.Time) (e *AllowEntry, counts bool) {
	if a == nil || a.entries[fingerprint] == nil {
		return nil, false
	}
	e = a.entries[fingerprint]
	return e, now.Before(e.until)
}
