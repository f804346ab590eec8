package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"assize.dev/services/verdict/internal/join"
	"assize.dev/shared/event"
)

// changes says what is other than in the verdict that a decision replaces:
// what was decided, by which policy, on which findings. Evidence lists only
// its worst findings, so of very many the mildest are compared with nothing.
func changes(c Case, d *event.Decision) []event.Change {
	if c.Before == nil {
		return nil
	}
	var all []event.Change
	note := func(what, subject, from, to string) {
		if from != to {
			all = append(all, event.Change{What: what, Subject: clipped(maxChange, subject), From: clipped(maxChange, from), To: clipped(maxChange, to)})
		}
	}
	if c.Before.Decision != "" {
		note("decision", "", string(c.Before.Decision), string(d.Decision))
		note("grade", "", string(c.Before.Grade), string(d.Grade))
	}
	if c.Before.Policy.Digest != "" {
		note("policy", d.Policy.Name, string(c.Before.Policy.Digest), string(d.Policy.Digest))
	}
	for _, now := range c.Evidence {
		if now.Reused {
			continue
		}
		i := slices.IndexFunc(c.Before.Evidence, func(p join.Piece) bool { return p.Kind == now.Kind })
		if i < 0 {
			note("evidence", string(now.Kind), "", statusOf(now))
			continue
		}
		was := c.Before.Evidence[i]
		note("evidence", string(now.Kind), statusOf(was), statusOf(now))
		all = append(all, findings(was, now)...)
	}
	if len(all) > event.MaxChanges {
		more := len(all) - event.MaxChanges + 1
		all = append(all[:event.MaxChanges-1], event.Change{What: "more", Subject: fmt.Sprintf("%d further changes", more)})
	}
	return all
}

func statusOf(p join.Piece) string {
	if p.Fault != "" || p.Evidence == nil {
		return "unusable"
	}
	return string(p.Evidence.Status)
}

// findings compares two pieces of evidence of one kind, the worst first.
func findings(was, now join.Piece) []event.Change {
	before, after := described(was), described(now)
	var all []event.Change
	for _, f := range after.order {
		if before.said[f] != after.said[f] {
			all = append(all, event.Change{What: "finding", Subject: clipped(maxChange, f), From: clipped(maxChange, before.said[f]), To: clipped(maxChange, after.said[f])})
		}
	}
	for _, f := range before.order {
		if _, still := after.said[f]; !still {
			all = append(all, event.Change{What: "finding", Subject: clipped(maxChange, f), From: clipped(maxChange, before.said[f])})
		}
	}
	return all
}

// listing is what evidence says of each finding, by what and where it is.
type listing struct {
	order []string
	said  map[string]string
}

func described(p join.Piece) listing {
	l := listing{said: map[string]string{}}
	if p.Evidence == nil {
		return l
	}
	for _, f := range p.Evidence.Findings {
		where := cmp.Or(f.Component, f.Location)
		subject := strings.TrimSpace(f.ID + " " + where)
		if _, twice := l.said[subject]; !twice {
			l.order = append(l.order, subject)
		}
		words := []string{string(f.Severity)}
		if f.KEV != "" {
			words = append(words, "exploited since "+f.KEV)
		}
		if f.VEX != nil {
			words = append(words, "VEX "+f.VEX.Status)
		}
		if len(f.Fixed) > 0 {
			words = append(words, "fixed in "+strings.Join(f.Fixed, ", "))
		}
		l.said[subject] = strings.Join(words, ", ")
	}
	return l
}

// maxChange is how much of a name changes say, in bytes.
const maxChange = 300

// clipped bounds what packages and advisories can make a verdict carry.
func clipped(most int, s string) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
