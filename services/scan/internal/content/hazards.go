package content

import (
	"io/fs"
	"path"
	"strings"

	"assize.dev/shared/archive"
	"assize.dev/shared/event"
)

// hazardRules is what each hazard of an entry is, before its circumstances.
var hazardRules = map[archive.Hazard]*rule{
	archive.Traversal:    &traversal,
	archive.Absolute:     &absolute,
	archive.LinkOut:      &linkOut,
	archive.DeviceNode:   &device,
	archive.SetID:        &setID,
	archive.WorldWrite:   &worldWritable,
	archive.Duplicate:    &duplicate,
	archive.CaseConflict: &caseConflict,
	archive.BadName:      &badName,
}

// entry notes what is unsafe in unpacking e.
func (f *findings) entry(location string, e *archive.Entry) {
	unpacked := f.unpacked(len(e.Parents))
	for _, h := range e.Hazards {
		r := ruleOf(h, e)
		severity, means := f.atPlace(r, location, unpacked), r.means
		if r == &worldWritable && e.Format == archive.Zip {
			severity = event.Low // of these permissions installers keep at most the executable bit
		}
		if r == &linkOut && f.ofSystem() && e.Type == archive.Symlink && strings.HasPrefix(e.Linkname, "/") {
			// The root of the archive becomes the root of the system, where
			// an absolute target is inside.
			severity, means = event.Info, "links to an absolute path of the system"
		}
		f.addAs(r, severity, location, 0, subject(e)+" "+means)
	}
	if e.Mode&fs.ModeSticky != 0 && e.Type != archive.Symlink {
		f.addAs(&sticky, f.atPlace(&sticky, location, unpacked), location, 0, subject(e)+" "+sticky.means)
	}
	if r := nameRule(e.RawPath); r != nil {
		f.addAs(r, f.atPlace(r, location, unpacked), location, 0, subject(e)+" "+r.means)
	}
	if f.format == formatDeb && len(e.Parents) == 1 {
		f.debMember(location, e)
	}
}

func ruleOf(h archive.Hazard, e *archive.Entry) *rule {
	switch {
	case h == archive.SetID && e.Type == archive.Dir:
		return &setGroupDir
	case h == archive.LinkOut && e.Type != archive.Symlink && e.Type != archive.Hardlink:
		return &throughLink
	}
	if r := hazardRules[h]; r != nil {
		return r
	}
	return &unknownHazard
}

// debMember holds the members of a Debian package against deb(5): the version
// first, then one control and one data archive. dpkg and others choose
// differently among two.
func (f *findings) debMember(location string, e *archive.Entry) {
	kind, _, _ := strings.Cut(path.Base(e.Path), ".")
	switch kind {
	case "debian-binary", "control", "data":
		if f.debParts == nil {
			f.debParts = map[string]bool{}
		}
		early := kind == "data" && !f.debParts["control"] || kind != "debian-binary" && !f.debParts["debian-binary"]
		if f.debParts[kind] || early {
			f.add(&debMembers, location, subject(e)+" "+debMembers.means)
		}
		f.debParts[kind] = true
	}
}

// anomaly notes what other tools would see differently.
func (f *findings) anomaly(a archive.Anomaly, location string) {
	r := f.anomalyRule(a)
	if r == nil {
		return
	}
	depth := 1 // containers around what is strange, itself included
	if location != "" {
		depth += strings.Count(location, "!") + 1
		if a.Kind == archive.HeaderMismatch { // the location is an entry's
			depth--
		}
	}
	unpacked := f.unpacked(depth)
	severity := f.atPlace(r, location, unpacked)
	switch {
	case r == &gzipMembers && f.singleGzip():
		severity = event.Medium
	case r == &zipPrefix && !f.strictZip():
		severity = event.Low
	}
	where := "the package"
	if location != "" {
		where = "it"
	}
	f.addAs(r, severity, location, 0, where+" "+r.means+": "+a.Detail)
}

func (f *findings) anomalyRule(a archive.Anomaly) *rule {
	switch a.Kind {
	case archive.Polyglot:
		return &polyglot
	case archive.Prefixed:
		return &zipPrefix
	case archive.Trailed:
		if a.Begins == archive.Unknown {
			return &zipStray
		}
		return &zipTail
	case archive.TwoEnds:
		return &zipTwoEnds
	case archive.HiddenEntry:
		return &zipHidden
	case archive.Overlap:
		return &zipOverlap
	case archive.HeaderMismatch:
		return &twoHeaders
	case archive.SecondTar, archive.GzipMembers:
		if f.format == formatAPK {
			return nil // it is three of each, by design
		}
		if a.Kind == archive.GzipMembers {
			return &gzipMembers
		}
		return &secondTar
	}
	return &unknownAnomaly
}

// singleGzip tells the packages whose own tools write one gzip member.
func (f *findings) singleGzip() bool {
	switch f.format {
	case formatNPM, formatCrate, formatSdist, formatGem:
		return true
	}
	return false
}

// strictZip tells the packages that never are programs as well.
func (f *findings) strictZip() bool {
	switch f.format {
	case formatWheel, formatNupkg, formatGoMod, formatSdist:
		return true
	}
	return false
}
