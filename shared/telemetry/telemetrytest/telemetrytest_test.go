package telemetrytest_test

import (
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"

	"assize.dev/shared/telemetry/telemetrytest"
)

var (
	tracer     = otel.Tracer("package variable")
	counter, _ = otel.Meter("package variable").Int64Counter("assize.test.calls")
)

func TestEachTestSeesItsOwnSpans(t *testing.T) {
	for _, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) {
			spans := telemetrytest.Spans(t)
			ctx, span := tracer.Start(t.Context(), name)
			counter.Add(ctx, 1)
			span.SetAttributes(attribute.String("assize.run", "r"))
			span.End()
			got := spans.GetSpans()
			if len(got) != 1 || got[0].Name != name || got[0].Attributes[0].Key != "assize.run" {
				t.Errorf("spans %+v", got)
			}
		})
	}
	collected := telemetrytest.Metrics(t)
	if len(collected.ScopeMetrics) != 1 || collected.ScopeMetrics[0].Metrics[0].Name != "assize.test.calls" {
		t.Errorf("metrics %+v", collected)
	}
}
