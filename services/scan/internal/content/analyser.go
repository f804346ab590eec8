// Package content judges what unpacking and installing a package would do:
// entries that escape, overwrite or elevate, bombs, and code that runs at
// installation.
package content

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"assize.dev/services/scan/internal/unpack"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

// Analyser answers kind content from an artifact's bytes.
type Analyser struct {
	limits archive.Limits
}

// New makes an analyser with the archive package's default limits.
func New() *Analyser { return &Analyser{} }

var _ evidence.Analyser = (*Analyser)(nil)

// Kind implements evidence.Analyser.
func (*Analyser) Kind() event.Kind { return event.KindContent }

// Version implements evidence.Analyser.
func (*Analyser) Version() string { return "1.0.0" }

// Analyse implements evidence.Analyser.
func (a *Analyser) Analyse(ctx context.Context, in evidence.Input) (*evidence.Answer, error) {
	f, err := in.Bytes(ctx)
	if err != nil {
		return nil, fmt.Errorf("open artifact %s: %w", in.Artifact.Digest, err)
	}
	defer f.Close()
	return a.examine(ctx, unpack.Artifact{Bytes: f, Size: f.Size(), Name: in.Artifact.Filename, Format: in.Artifact.Format})
}

func (a *Analyser) examine(ctx context.Context, artifact unpack.Artifact) (*evidence.Answer, error) {
	found := findings{format: artifact.Format, count: make(map[string]int)}
	result, err := unpack.Walk(ctx, artifact, a.limits, func(_ context.Context, item unpack.Item, content io.Reader) error {
		if e := item.Entry; e != nil {
			for _, h := range e.Hazards {
				r := judge(h, e, artifact.Format)
				found.add(r, item.Location, subject(e)+" "+r.means)
			}
		}
		return found.scripts(item, content)
	})
	if err != nil {
		return nil, err
	}
	for _, p := range result.Problems {
		switch {
		case p.Kind == archive.KindLimit && isBomb(p.Detail):
			found.add(bomb, p.Path, bomb.means+": "+p.Detail)
		case p.Kind == archive.KindDamaged:
			found.add(damaged, p.Path, damaged.means+": "+p.Detail)
		}
	}
	answer := &evidence.Answer{Status: event.Complete, Findings: found.all()}
	if reason := result.Reason(); reason != "" {
		answer.Status, answer.Reason = event.Partial, reason
	}
	return answer, nil
}

// isBomb tells the limits that only something made to exhaust memory or
// disk reaches from those a large package may.
func isBomb(detail string) bool {
	return strings.HasPrefix(detail, "ratio:") || strings.HasPrefix(detail, "inflated:")
}

func subject(e *archive.Entry) string {
	s := fmt.Sprintf("%s %.200q", e.Type, e.RawPath)
	if e.Linkname != "" {
		s += fmt.Sprintf(" -> %.200q", e.Linkname)
	}
	return s
}

// maxPerRule is how many findings one rule lists; what is beyond is counted.
const maxPerRule = 200

// findings collects, at most maxPerRule for each rule and severity.
type findings struct {
	format string
	list   []event.Finding
	count  map[string]int
}

func (f *findings) add(r rule, location, message string) {
	key := string(r.severity) + " " + r.id
	f.count[key]++
	if f.count[key] > maxPerRule {
		return
	}
	f.list = append(f.list, event.Finding{
		ID: r.id, Class: event.ClassContent, Severity: r.severity, Location: location, Message: message,
	})
}

func (f *findings) all() []event.Finding {
	for _, key := range slices.Sorted(maps.Keys(f.count)) {
		if n := f.count[key] - maxPerRule; n > 0 {
			severity, id, _ := strings.Cut(key, " ")
			f.list = append(f.list, event.Finding{
				ID: id, Class: event.ClassContent, Severity: event.Severity(severity),
				Message: fmt.Sprintf("%d more findings of this rule are not listed", n),
			})
		}
	}
	return f.list
}
