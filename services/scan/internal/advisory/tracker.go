package advisory

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"assize.dev/shared/version"
)

// Arch is the ecosystem of Arch Linux packages. OSV has none; advisories come
// from the distribution's security tracker.
const Arch = version.Arch

// IsTracker tells the tracker's export, an array, from an OSV record, an
// object.
func IsTracker(name string, data []byte) bool {
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

// DecodeTracker reads the tracker's export and gives each group as an OSV
// record, decoded and as text, or says why it was refused. The tracker gives
// no lower bound: everything before "fixed" is affected, everything if there
// is no fix, nothing if the status is "Not affected".
func DecodeTracker(data []byte, each func(name string, r *Record, raw []byte, err error)) error {
	var groups []json.RawMessage
	if err := json.Unmarshal(data, &groups); err != nil {
		return fmt.Errorf("not an Arch Linux security tracker export: %w", err)
	}
	for i, text := range groups {
		var g trackerGroup
		var r *Record
		var raw []byte
		err := json.Unmarshal(text, &g)
		if err == nil {
			raw, err = json.Marshal(g.osv())
		}
		if err == nil {
			r, err = Decode(raw)
		}
		each(cmp.Or(g.Name, fmt.Sprintf("group %d", i)), r, raw, err)
	}
	return nil
}

// osv writes a group in the OSV schema. The export has no times; its content
// stands in, so that any change makes another generation.
func (g *trackerGroup) osv() map[string]any {
	record := map[string]any{
		"id": g.Name, "aliases": g.Issues, "summary": g.Type,
		"modified":          strings.Join([]string{g.Status, g.Severity, g.Affected, g.Fixed}, " "),
		"database_specific": map[string]string{"severity": g.Severity},
		"references":        []map[string]string{{"type": "ADVISORY", "url": "https://security.archlinux.org/" + g.Name}},
	}
	if g.Status == "Not affected" {
		record["withdrawn"] = g.Status
		return record
	}
	events := []map[string]string{{"introduced": "0"}}
	if g.Fixed != "" {
		events = append(events, map[string]string{"fixed": g.Fixed})
	}
	var affected []map[string]any
	for _, p := range g.Packages {
		affected = append(affected, map[string]any{
			"package": map[string]string{"ecosystem": Arch, "name": p},
			"ranges":  []map[string]any{{"type": "ECOSYSTEM", "events": events}},
		})
	}
	record["affected"] = affected
	return record
}
