package vulnerabilities

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"assize.dev/services/scan/internal/index"
	"assize.dev/services/scan/internal/match"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

// evaluate answers for a list of package URLs. Components of an ecosystem
// that has advisories which are not loaded make the answer partial; those no
// advisory could judge are listed as informational findings.
func (k *Known) evaluate(ctx context.Context, purls []string) (*evidence.Answer, error) {
	answer := &evidence.Answer{Status: event.Complete}
	unloaded := make(map[string]int)
	var open unevaluated
	for _, purl := range purls {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("match components: %w", err)
		}
		j := k.PURL(purl)
		switch {
		case errors.Is(j.Err, index.ErrDamaged):
			return failed(j.Err.Error()), nil
		case j.Unloaded != "":
			unloaded[j.Unloaded]++
		case j.Err != nil:
			open.add(reasonClass(j.Err), purl)
		}
		for _, u := range j.Unevaluated {
			open.add("an advisory's versions could not be compared", purl+" and "+u)
		}
		answer.Findings = append(answer.Findings, j.Findings...)
	}
	answer.Findings = append(answer.Findings, open.findings()...)
	if s := k.Index.Stats(); s.Rejected > 0 {
		answer.Findings = append(answer.Findings, event.Finding{
			ID: "vulnerabilities/rejected-advisories", Class: event.ClassUnevaluated, Severity: event.Info,
			Message: fmt.Sprintf("%d advisories could not be read when they were loaded, the first is %s", s.Rejected, first(s.RejectedNames)),
		})
	}
	if len(unloaded) > 0 {
		answer.Status = event.Partial
		answer.Reason = "no advisories loaded for " + counts(unloaded)
	}
	return answer, nil
}

// loaded asks for the release where the ecosystem has advisories per
// release: those for Debian 11 say nothing about 12.
func loaded(db *index.Index, p *match.Package) bool {
	if !db.Loaded(p.Ecosystem) {
		return false
	}
	switch p.Ecosystem {
	case "Debian", "Alpine", "AlmaLinux", "Rocky Linux", "openEuler", "Mageia", "Azure Linux":
		return p.Release == "" || db.Loaded(p.Ecosystem+":"+p.Release)
	case "Ubuntu":
		return p.Release == "" || db.Loaded("Ubuntu:"+p.Release) || db.Loaded("Ubuntu:"+p.Release+":LTS") ||
			db.Loaded("Ubuntu:Pro:"+p.Release+":LTS")
	}
	return true
}

func ecosystemOf(p *match.Package) string {
	switch p.Ecosystem {
	case "Packagist", "Maven":
		return p.Ecosystem
	}
	if p.Release != "" {
		return p.Ecosystem + ":" + p.Release
	}
	return p.Ecosystem
}

// counts renders "Debian:12 (3 components), npm (1 component)".
func counts(m map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if len(parts) == maxExamples*4 {
			parts = append(parts, fmt.Sprintf("and %d more", len(m)-len(parts)))
			break
		}
		noun := "components"
		if m[name] == 1 {
			noun = "component"
		}
		parts = append(parts, fmt.Sprintf("%.80s (%d %s)", name, m[name], noun))
	}
	return strings.Join(parts, ", ")
}

func (k *Known) finding(p *match.Package, v match.Vulnerability) event.Finding {
	verb := "is affected by"
	switch v.Class {
	case event.ClassMalware:
		verb = "is malware according to"
	case event.ClassInformational:
		verb = "is the subject of the notice"
	}
	message := fmt.Sprintf("%s %s %s %s", p.Name, p.Version, verb, v.ID)
	if v.Summary != "" {
		message += ": " + v.Summary
	}
	f := event.Finding{
		ID: v.ID, Class: v.Class, Severity: v.Severity, Score: v.Score, Message: message,
		Component: p.PURL, Aliases: v.Aliases, Fixed: v.Fixed, Published: v.Published,
	}
	names := append([]string{v.ID}, v.Aliases...)
	if known, ok := k.Facts.Lookup(names...); ok {
		f.KEV, f.EPSS = known.KEV, known.EPSS
	}
	f.VEX = k.VEX.About(names, p.PURL, k.Artifact)
	return f
}

// reasonClass is the part of a reason that many components can share.
func reasonClass(err error) string {
	switch {
	case errors.Is(err, match.ErrNoSource):
		return err.Error()
	case errors.Is(err, match.ErrRelease):
		return match.ErrRelease.Error()
	case errors.Is(err, match.ErrVersion):
		return match.ErrVersion.Error()
	}
	return "no package URL"
}

// unevaluated collects what could not be judged, by reason.
type unevaluated map[string][]string

const maxExamples = 5

func (u *unevaluated) add(reason, what string) {
	if *u == nil {
		*u = make(unevaluated)
	}
	(*u)[reason] = append((*u)[reason], what)
}

func (u unevaluated) findings() []event.Finding {
	var out []event.Finding
	for _, reason := range slices.Sorted(maps.Keys(u)) {
		list := u[reason]
		examples := make([]string, 0, maxExamples)
		for _, x := range list[:min(len(list), maxExamples)] {
			examples = append(examples, fmt.Sprintf("%.160s", x))
		}
		f := event.Finding{
			ID: "vulnerabilities/unevaluated", Class: event.ClassUnevaluated, Severity: event.Info,
			Message: fmt.Sprintf("%d not evaluated: %s: %s", len(list), reason, strings.Join(examples, ", ")),
		}
		if len(list) == 1 && strings.HasPrefix(list[0], "pkg:") && !strings.Contains(list[0], " ") {
			f.Component = list[0]
		}
		if len(list) > maxExamples {
			f.Message += fmt.Sprintf(" and %d more", len(list)-maxExamples)
		}
		out = append(out, f)
	}
	return out
}

func first(names []string) string {
	if len(names) == 0 {
		return "not named"
	}
	return names[0]
}
