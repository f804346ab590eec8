package verdict

import (
	"context"
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"assize.dev/services/verdict/internal/join"
	"assize.dev/shared/event"
)

// gauges is what operators watch of decisions. Values of attributes come from
// short lists, but for registries, and rules that are not built in.
type gauges struct {
	decisions, violations, findings, verifications metric.Int64Counter
	waited, analysis                               metric.Float64Histogram
}

func newGauges() *gauges {
	m := otel.Meter("assize.dev/services/verdict")
	counter := func(name, what, unit string) metric.Int64Counter {
		c, _ := m.Int64Counter(name, metric.WithDescription(what), metric.WithUnit(unit)) // never nil
		return c
	}
	histogram := func(name, what string, bounds ...float64) metric.Float64Histogram {
		h, _ := m.Float64Histogram(name, metric.WithDescription(what), metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(bounds...))
		return h
	}
	return &gauges{
		decisions:     counter("assize.decisions", "decisions, by outcome, grade and registry", "{decision}"),
		violations:    counter("assize.policy.violations", "reasons to deny or hold, by rule", "{reason}"),
		findings:      counter("assize.findings", "findings that new evidence lists, by class and severity", "{finding}"),
		verifications: counter("assize.verifications", "artifacts whose signatures were looked at, by result", "{artifact}"),
		waited:        histogram("assize.upload.duration", "from the upload to the decision", 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
		analysis:      histogram("assize.analysis.duration", "how long an analyser took, by kind of evidence", 0.005, 0.025, 0.1, 0.5, 1, 5, 30, 60, 300),
	}
}

// decided counts a decision, once: when it was published.
func (g *gauges) decided(ctx context.Context, d *event.Decision, c join.Case) {
	text := func(key, value string) attribute.KeyValue { return attribute.String("assize."+key, value) }
	g.decisions.Add(ctx, 1, metric.WithAttributes(
		text("decision", string(d.Decision)), text("grade", string(d.Grade)), text("registry", d.Artifact.Registry),
	))
	for _, r := range d.Reasons {
		if r.Outcome != event.Allow {
			g.violations.Add(ctx, 1, metric.WithAttributes(text("rule", r.Rule), text("outcome", string(r.Outcome))))
		}
	}
	if d.Artifact.Lane == event.LaneNew {
		g.waited.Record(ctx, time.Since(d.Artifact.Received).Seconds())
	}
	for _, piece := range c.Evidence {
		e := piece.Evidence
		if e == nil || piece.Reused {
			continue
		}
		g.analysis.Record(ctx, e.Finished.Sub(e.Started).Seconds(), metric.WithAttributes(text("kind", string(e.Kind)), text("status", string(e.Status))))
		if v := e.Verification; v != nil {
			g.verifications.Add(ctx, 1, metric.WithAttributes(text("result", oneOf(v.Result, event.Pass, event.Fail, event.Undetermined))))
		}
		for _, f := range e.Findings {
			g.findings.Add(ctx, 1, metric.WithAttributes(
				text("class", oneOf(string(f.Class), classes...)), text("severity", oneOf(string(f.Severity), severities...)),
			))
		}
	}
}

var (
	classes = []string{
		string(event.ClassVulnerability), string(event.ClassMalware), string(event.ClassSecret), string(event.ClassContent),
		string(event.ClassInformational), string(event.ClassUnevaluated),
	}
	severities = []string{string(event.Critical), string(event.High), string(event.Medium), string(event.Low), string(event.Info)}
)

// oneOf keeps words that analysers invent out of the attributes.
func oneOf(word string, known ...string) string {
	if slices.Contains(known, word) {
		return word
	}
	return "other"
}
