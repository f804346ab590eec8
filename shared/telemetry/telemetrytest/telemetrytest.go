// Package telemetrytest lets a test see the spans and metrics that the code
// under test makes.
package telemetrytest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// Spans returns an exporter that receives, as each ends, all spans of the
// process until the test is over. Tests that run in parallel see each other's
// spans: tell them apart by trace.
//
// The providers are set for the whole test binary at the first call, because
// a tracer kept in a package variable follows only the first provider set.
func Spans(t testing.TB) *tracetest.InMemoryExporter {
	t.Helper()
	install()
	exporter := tracetest.NewInMemoryExporter()
	subscribers.add(exporter)
	t.Cleanup(func() { subscribers.remove(exporter) })
	return exporter
}

// Metrics collects all metrics of the test binary since the first call of
// Spans or Metrics; counters are cumulative, so compare two collections.
func Metrics(t testing.TB) metricdata.ResourceMetrics {
	t.Helper()
	install()
	var collected metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &collected); err != nil {
		t.Fatalf("collecting metrics: %v", err)
	}
	return collected
}

var (
	subscribers fanOut
	reader      = sdkmetric.NewManualReader()

	install = sync.OnceFunc(func() {
		otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(&subscribers)))
		otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
		otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	})
)

// fanOut is the one span exporter of the test binary.
type fanOut struct {
	mu        sync.Mutex
	exporters []*tracetest.InMemoryExporter
}

func (f *fanOut) add(exporter *tracetest.InMemoryExporter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.exporters = append(f.exporters, exporter)
}

func (f *fanOut) remove(exporter *tracetest.InMemoryExporter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.exporters = slices.DeleteFunc(f.exporters, func(e *tracetest.InMemoryExporter) bool { return e == exporter })
}

// ExportSpans hands the spans to every test that is listening.
func (f *fanOut) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, exporter := range f.exporters {
		if err := exporter.ExportSpans(ctx, spans); err != nil {
			return err
		}
	}
	return nil
}

// Shutdown has nothing to release.
func (f *fanOut) Shutdown(context.Context) error { return nil }
