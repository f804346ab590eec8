package content

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"assize.dev/shared/archive"
	"assize.dev/shared/event"
)

// maxPerRule is how many findings one rule lists; what is beyond is counted.
const maxPerRule = 200

// findings collects what is found in one package, at most maxPerRule for each
// rule and severity, and what was not looked at.
type findings struct {
	format      string
	judged      int // bytes of all scripts
	list        []event.Finding
	count       map[string]int
	notSeen     []string
	unlisted    int // further reasons like those in notSeen
	links       links
	followed    map[string]string // what a file is, by Location, that a script runs
	programs    []program         // of a wheel
	anyPlatform bool              // so the wheel says
	debParts    map[string]bool   // kinds of members met at the top of a Debian package
}

// add notes a finding at the rule's own severity for this kind of package.
func (f *findings) add(r *rule, location, message string) {
	f.addAs(r, f.severity(r), location, 0, message)
}

func (f *findings) addAs(r *rule, severity event.Severity, location string, line int, message string) {
	key := string(severity) + " " + r.id
	f.count[key]++
	if f.count[key] > maxPerRule {
		return
	}
	if severity.Rank() >= event.Low.Rank() {
		message += ": " + r.advice
	}
	f.list = append(f.list, event.Finding{
		ID: r.id, Class: r.class, Severity: severity, Location: location, Line: line, Message: message,
	})
}

// severity is what the rule is worth in this kind of package.
func (f *findings) severity(r *rule) event.Severity {
	if r.system != "" && f.ofSystem() {
		return r.system
	}
	return r.severity
}

// ofSystem says that root unpacks the package into the root of a system, be
// it a container's.
func (f *findings) ofSystem() bool {
	switch f.format {
	case formatDeb, formatRPM, formatArch, formatAPK, formatOCI, formatDocker:
		return true
	}
	return false
}

// unpacked says that installing the package unpacks a container that is this
// deep, where 1 is the package itself. Others merely lie in it.
func (f *findings) unpacked(depth int) bool {
	switch f.format {
	case formatDeb, formatGem, formatPSPF, formatOCI, formatDocker:
		return depth <= 2
	}
	return depth <= 1
}

// amongTests tells paths where odd files are at home.
func amongTests(location string) bool {
	for dir := range strings.FieldsFuncSeq(strings.ToLower(location), func(r rune) bool { return r == '/' || r == '!' }) {
		switch dir {
		case "test", "tests", "testdata", "__tests__", "fixtures", "spec", "examples", "example", "docs", "doc", "functest", "testing":
			return true
		}
	}
	return false
}

func milder(s event.Severity) event.Severity {
	switch s {
	case event.Critical:
		return event.High
	case event.High:
		return event.Medium
	case event.Medium:
		return event.Low
	}
	return s
}

// atPlace is the severity of something that is only in the package, and not
// on its way to be installed: one step lower, and two among tests.
func (f *findings) atPlace(r *rule, location string, unpacked bool) event.Severity {
	s := f.severity(r)
	if !unpacked {
		s = milder(s)
		if amongTests(location) {
			s = milder(s)
		}
	}
	return s
}

// maxNotSeen is how many reasons are spelled out.
const maxNotSeen = 3

// unseen says that something was not looked at.
func (f *findings) unseen(reason string) {
	if slices.Contains(f.notSeen, reason) {
		return
	}
	if len(f.notSeen) == maxNotSeen {
		f.unlisted++
		return
	}
	f.notSeen = append(f.notSeen, reason)
}

// reason sums up what was not looked at, other than by the walk.
func (f *findings) reason() string {
	s := strings.Join(f.notSeen, "; ")
	if f.unlisted > 0 {
		s += fmt.Sprintf("; and %d more", f.unlisted)
	}
	return s
}

func (f *findings) all() []event.Finding {
	for _, key := range slices.Sorted(maps.Keys(f.count)) {
		if n := f.count[key] - maxPerRule; n > 0 {
			severity, id, _ := strings.Cut(key, " ")
			i := slices.IndexFunc(f.list, func(l event.Finding) bool { return l.ID == id })
			f.list = append(f.list, event.Finding{
				ID: id, Class: f.list[i].Class, Severity: event.Severity(severity),
				Message: fmt.Sprintf("%d more findings of this rule are not listed", n),
			})
		}
	}
	return f.list
}

// subject names an entry as its container spells it.
func subject(e *archive.Entry) string {
	s := fmt.Sprintf("%s %.200q", e.Type, e.RawPath)
	if e.Linkname != "" {
		s += fmt.Sprintf(" -> %.200q", e.Linkname)
	}
	return s
}
