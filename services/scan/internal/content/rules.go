package content

import (
	"slices"

	"assize.dev/shared/archive"
	"assize.dev/shared/event"
)

// rule says what one hazard means.
type rule struct {
	id       string
	severity event.Severity
	means    string // completes "<entry> "
}

// hazards is what each hazard of an archive's entry is worth by itself.
var hazards = map[archive.Hazard]rule{
	archive.Traversal:    {"content/traversal", event.High, "would be written outside of where the package is unpacked"},
	archive.Absolute:     {"content/absolute", event.High, "would be written to an absolute path"},
	archive.LinkOut:      {"content/link-out", event.High, "links to outside of where the package is unpacked"},
	archive.DeviceNode:   {"content/device", event.High, "is a device or a fifo"},
	archive.SetID:        {"content/setid", event.High, "runs with its owner's rights whoever starts it (setuid or setgid)"},
	archive.WorldWrite:   {"content/world-writable", event.Medium, "can be changed by anyone"},
	archive.Duplicate:    {"content/duplicate", event.Medium, "occurs twice, so that what one tool checks another may not install"},
	archive.CaseConflict: {"content/case-conflict", event.Low, "differs from another entry in case only, so that one replaces the other on some systems"},
	archive.BadName:      {"content/bad-name", event.Medium, "has a name that is empty, not UTF-8, or holds control characters"},
}

// Hazards no rule knows are of a newer archive package.
var unknownHazard = rule{"content/unknown-hazard", event.Unknown, "is unsafe in a way no rule here knows"}

// system packages are unpacked by root into the root of a system.
var systemFormats = []string{"deb", "rpm", "arch", "apk"}

// judge applies the rule for a hazard as it stands in a package of this
// format.
func judge(h archive.Hazard, e *archive.Entry, format string) rule {
	r, ok := hazards[h]
	if !ok {
		return unknownHazard
	}
	if !slices.Contains(systemFormats, format) {
		return r
	}
	switch h {
	case archive.SetID:
		// Their package managers keep the bits on purpose; sudo needs them.
		if format != "apk" {
			r.severity = event.Medium
		}
	case archive.LinkOut:
		// The root of the archive becomes the root of the system, where
		// an absolute target is inside.
		if e.Type == archive.Symlink && len(e.Linkname) > 0 && e.Linkname[0] == '/' {
			r.severity = event.Info
			r.means = "links to an absolute path of the system"
		}
	}
	return r
}

// bomb and damaged are about containers as a whole.
var (
	bomb    = rule{"content/bomb", event.High, "inflates beyond what is examined"}
	damaged = rule{"content/damaged", event.Medium, "is damaged, so that tools will disagree on what it holds"}
)
