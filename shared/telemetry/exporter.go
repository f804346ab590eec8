package telemetry

import (
	"context"
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// signal is the name of a signal as OTEL_* variables spell it.
type signal string

const (
	traces  signal = "TRACES"
	metrics signal = "METRICS"
	logs    signal = "LOGS"
)

// wanted reports whether the environment asks to export the signal. Without
// this, autoexport would send to localhost:4318 by default and complain for
// ever where nothing listens.
func (s signal) wanted() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	return os.Getenv(s.exporterVariable()) != "" ||
		os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" ||
		os.Getenv("OTEL_EXPORTER_OTLP_"+string(s)+"_ENDPOINT") != ""
}

func (s signal) exporterVariable() string { return "OTEL_" + string(s) + "_EXPORTER" }

func (s signal) failed(err error) error {
	return fmt.Errorf("%s=%q: making an exporter: %w", s.exporterVariable(), os.Getenv(s.exporterVariable()), err)
}

// spanExporter is nil when spans are not to be exported, and so are the other two.
func spanExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if !traces.wanted() {
		return nil, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, traces.failed(err)
	}
	if autoexport.IsNoneSpanExporter(exporter) {
		return nil, nil
	}
	return exporter, nil
}

func metricReader(ctx context.Context) (sdkmetric.Reader, error) {
	if !metrics.wanted() {
		return nil, nil
	}
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return nil, metrics.failed(err)
	}
	if autoexport.IsNoneMetricReader(reader) {
		return nil, nil
	}
	return reader, nil
}

func logExporter(ctx context.Context) (sdklog.Exporter, error) {
	if !logs.wanted() {
		return nil, nil
	}
	exporter, err := autoexport.NewLogExporter(ctx)
	if err != nil {
		return nil, logs.failed(err)
	}
	if autoexport.IsNoneLogExporter(exporter) {
		return nil, nil
	}
	return exporter, nil
}
