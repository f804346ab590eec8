package advisory

import (
	"encoding/json"
	"strings"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"

	"assize.dev/shared/event"
)

// specific is what databases put into "database_specific" that bears on how
// bad an advisory is. Their shapes differ, so each field is read on its own
// and a surprising one is as good as absent.
type specific struct {
	Severity      string
	CVSS          string
	Informational string
	Categories    []string
}

func specificOf(raw json.RawMessage) specific {
	var s specific
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return s
	}
	text := func(name string) (v string) {
		if json.Unmarshal(fields[name], &v) != nil {
			return ""
		}
		return v
	}
	s.Severity, s.CVSS, s.Informational = text("severity"), text("cvss"), text("informational")
	if json.Unmarshal(fields["categories"], &s.Categories) != nil {
		s.Categories = nil
	}
	return s
}

// rate picks the most specific statement there is: vectors of the affected
// package, of the advisory, then words. Of several vectors the worst counts.
func rate(id, summary string, class event.Class, own, overall specific, scores ...[]osvSeverity) Rating {
	if class == event.ClassMalware {
		return Rating{Severity: event.Critical}
	}
	if class == event.ClassInformational {
		return Rating{Severity: event.Info}
	}
	scores = append([][]osvSeverity{scores[0], {{Score: own.CVSS}}}, append(scores[1:], []osvSeverity{{Score: overall.CVSS}})...)
	for _, list := range scores {
		best, found := Rating{Severity: event.Unknown}, false
		for _, s := range list {
			if r, ok := rateOne(s); ok && (!found || worse(r, best)) {
				best, found = r, true
			}
		}
		if found {
			return best
		}
	}
	for _, word := range []string{own.Severity, overall.Severity, errataWord(id, summary)} {
		if s, ok := severityWord(word); ok {
			return Rating{Severity: s}
		}
	}
	return Rating{Severity: event.Unknown}
}

func worse(a, b Rating) bool {
	if a.Score != b.Score {
		return a.Score > b.Score
	}
	return a.Severity.Rank() > b.Severity.Rank()
}

// errataWord is the rating that Red Hat and its kin put before the colon of
// an erratum's title, as in "Important: kernel security update".
func errataWord(id, summary string) string {
	if !strings.HasPrefix(id, "ALSA-") && !strings.HasPrefix(id, "RHSA-") && !strings.HasPrefix(id, "RLSA-") {
		return ""
	}
	word, _, _ := strings.Cut(summary, ":")
	return word
}

func severityWord(word string) (event.Severity, bool) {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "critical":
		return event.Critical, true
	case "high", "important":
		return event.High, true
	case "medium", "moderate":
		return event.Medium, true
	case "low", "negligible", "minor":
		return event.Low, true
	case "none":
		return event.Info, true
	}
	return event.Unknown, false
}

func rateOne(s osvSeverity) (Rating, bool) {
	score, v2, ok := baseScore(s.Score)
	if !ok {
		word, ok := severityWord(s.Score)
		return Rating{Severity: word}, ok
	}
	return Rating{Severity: severityOf(score, v2), Score: score}, true
}

// severityOf is the qualitative scale of CVSS v3 and v4 (specification,
// section 5); v2 knows no "critical" and calls 7.0 and above high.
func severityOf(score float64, v2 bool) event.Severity {
	switch {
	case score >= 9 && !v2:
		return event.Critical
	case score >= 7:
		return event.High
	case score >= 4:
		return event.Medium
	case score > 0 || v2:
		return event.Low
	}
	return event.Info
}

// baseScore computes the base score of a CVSS vector of any version.
func baseScore(vector string) (score float64, v2, ok bool) {
	if len(vector) > 512 {
		return 0, false, false
	}
	// The library slices vectors by position; a recovered panic is an
	// unreadable vector.
	defer func() {
		if recover() != nil {
			score, ok = 0, false
		}
	}()
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		if v, err := gocvss40.ParseVector(vector); err == nil {
			return v.Score(), false, true
		}
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		if v, err := gocvss31.ParseVector(vector); err == nil {
			return v.BaseScore(), false, true
		}
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		if v, err := gocvss30.ParseVector(vector); err == nil {
			return v.BaseScore(), false, true
		}
	case strings.HasPrefix(vector, "AV:"), strings.HasPrefix(vector, "(AV:"):
		if v, err := gocvss20.ParseVector(strings.Trim(vector, "()")); err == nil {
			return v.BaseScore(), true, true
		}
	}
	return 0, false, false
}
