package verdict

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"assize.dev/shared/event"
)

// A decision is counted with what speaks against it, and evidence that was
// gathered for it with its findings.
func TestMetrics(t *testing.T) {
	reader := sdk.NewManualReader()
	otel.SetMeterProvider(sdk.NewMeterProvider(sdk.WithReader(reader)))
	defer otel.SetMeterProvider(noop.NewMeterProvider())
	f := clean()
	f.found(vul, cve("CVE-1", event.High, "pkg:gem/a@1"), cve("CVE-2", event.Low, "pkg:gem/a@1"))
	f.signed(1)
	c := f.toCase(t)
	d := decide(t, builtIn(t, nil), c)
	newGauges().decided(t.Context(), &d, c)

	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					name := m.Name
					for _, a := range p.Attributes.ToSlice() {
						name += " " + a.Value.AsString()
					}
					got[name] = float64(p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					got[m.Name] += float64(p.Count)
				}
			}
		}
	}
	for name, want := range map[string]float64{
		"assize.decisions deny risk registry.example":       1,
		"assize.policy.violations deny vulnerability/known": 1,
		"assize.policy.violations deny grade/minimum":       1,
		"assize.findings vulnerability high":                1,
		"assize.findings vulnerability low":                 1,
		"assize.verifications pass":                         1,
		"assize.upload.duration":                            1,
		"assize.analysis.duration":                          5,
	} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v; all: %v", name, got[name], want, got)
		}
	}
}
