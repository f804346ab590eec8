package advisory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"assize.dev/shared/event"
)

// Arch is the ecosystem of Arch Linux packages. OSV has none; advisories come
// from the distribution's security tracker.
const Arch = "Arch"

// isTracker tells the tracker's export, an array, from an OSV record, an
// object.
func isTracker(name string, data []byte) bool {
	return filepath.Base(name) == "all.json" && bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("["))
}

// trackerGroup is one element of security.archlinux.org/all.json.
type trackerGroup struct {
	Name     string   `json:"name"` // AVG-n
	Packages []string `json:"packages"`
	Status   string   `json:"status"`
	Severity string   `json:"severity"`
	Type     string   `json:"type"`
	Affected string   `json:"affected"`
	Fixed    string   `json:"fixed"`
	Issues   []string `json:"issues"`
}

// decodeTracker reads the tracker's export. The tracker gives no lower
// bound: everything before "fixed" is affected, everything if there is no
// fix, nothing if the status is "Not affected".
func decodeTracker(data []byte) ([]*decoded, error) {
	var groups []trackerGroup
	if err := json.Unmarshal(data, &groups); err != nil {
		return nil, fmt.Errorf("not an Arch Linux security tracker export: %w", err)
	}
	var records []*decoded
	for _, g := range groups {
		if g.Name == "" || len(g.Name) > maxID || len(g.Fixed) > maxVersion || len(g.Issues) > maxAliases {
			return nil, errors.New("a group without name, or with fields too long")
		}
		severity, _ := severityWord(g.Severity)
		r := &decoded{
			Record: &Record{ID: g.Name, Aliases: g.Issues, Summary: cut(g.Type)},
			// The export has no times; its content stands in, so that any
			// change makes another generation.
			modified:  strings.Join([]string{g.Status, g.Severity, g.Affected, g.Fixed}, " "),
			withdrawn: g.Status == "Not affected",
		}
		bounds := []Bound{{Introduced, "0"}}
		if g.Fixed != "" {
			bounds = append(bounds, Bound{Fixed, g.Fixed})
		}
		for _, p := range g.Packages {
			if p == "" || len(p) > maxName {
				return nil, fmt.Errorf("%s: package name of %d bytes", g.Name, len(p))
			}
			if r.withdrawn {
				break
			}
			r.affected = append(r.affected, affected{
				ecosystem: Arch, name: p,
				Entry: Entry{Record: r.Record, Name: p, Ranges: []Range{{Bounds: bounds}},
					Rating: Rating{Severity: severity}, Class: event.ClassVulnerability},
			})
		}
		records = append(records, r)
	}
	return records, nil
}
