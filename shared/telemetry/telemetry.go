// Package telemetry sets up tracing, metrics and logs of a process. Every
// service shares it, so that spans join into one trace per run and all logs
// can be searched alike.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"golang.org/x/term"

	"assize.dev/shared/config"
)

// Config is the part of the environment that is ours. Everything else is set
// by the OTEL_* variables of the OpenTelemetry specification, of which all
// that autoexport and the SDK know are honoured.
type Config struct {
	LogLevel slog.Level `env:"ASSIZE_LOG_LEVEL, default=info" help:"least level to log: debug, info, warn or error"`
}

// Telemetry is what Start set up. There is at most one in a process at a
// time, because OpenTelemetry and slog keep their defaults in globals.
type Telemetry struct {
	metrics  http.Handler
	shutdown []func(context.Context) error // in the order to be called
	down     atomic.Bool
}

var started atomic.Bool

// ErrStarted is returned by Start while an earlier Telemetry is not shut down.
var ErrStarted = errors.New("telemetry is already started in this process")

// Start sets the process-wide tracer, meter and logger providers, the W3C
// propagators and the default slog logger, under the given service name
// ("ingest") and version.
//
// Nothing leaves the process unless an OTEL_* variable names an exporter or
// an endpoint. Spans are made all the same, so that trace identifiers reach
// logs, events and verdicts.
func Start(ctx context.Context, service, version string) (*Telemetry, error) {
	if !started.CompareAndSwap(false, true) {
		return nil, ErrStarted
	}
	t, err := start(ctx, service, version, os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))
	if err != nil {
		started.Store(false)
		return nil, fmt.Errorf("starting telemetry: %w", err)
	}
	return t, nil
}

func start(ctx context.Context, service, version string, stderr io.Writer, terminal bool) (_ *Telemetry, err error) {
	var cfg Config
	if err := config.Load(ctx, nil, &cfg); err != nil {
		return nil, err
	}
	toStderr := stderrHandler(stderr, terminal, cfg.LogLevel)

	t := new(Telemetry)
	defer func() {
		if err != nil {
			err = errors.Join(err, t.stop(context.WithoutCancel(ctx)))
		}
	}()
	about, err := describe(ctx, service, version)
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("describing this process: %w", err)
	}
	incomplete := err

	spans, err := spanExporter(ctx)
	if err != nil {
		return nil, err
	}
	traceOptions := []sdktrace.TracerProviderOption{sdktrace.WithResource(about)}
	if spans != nil {
		traceOptions = append(traceOptions, sdktrace.WithBatcher(spans))
	}
	tracers := sdktrace.NewTracerProvider(traceOptions...)
	t.shutdown = append(t.shutdown, tracers.Shutdown)

	meters, err := t.startMetrics(ctx, about, spans != nil)
	if err != nil {
		return nil, err
	}

	handler := toStderr
	records, err := logExporter(ctx)
	if err != nil {
		return nil, err
	}
	if records != nil {
		loggers := sdklog.NewLoggerProvider(sdklog.WithResource(about), sdklog.WithProcessor(sdklog.NewBatchProcessor(records)))
		t.shutdown = append(t.shutdown, loggers.Shutdown)
		otel.SetLoggerProvider(loggers)
		handler = slog.NewMultiHandler(toStderr, bridgeHandler(service, loggers, cfg.LogLevel))
	}

	otel.SetTracerProvider(tracers)
	otel.SetMeterProvider(meters)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	// Only to stderr: sent to an exporter, the report that it fails would be
	// the next thing to fail.
	failures := slog.New(toStderr)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		failures.Warn("telemetry", "error", err)
	}))
	slog.SetDefault(slog.New(handler))
	if incomplete != nil {
		slog.WarnContext(ctx, "OTEL_RESOURCE_ATTRIBUTES is used in part", "error", incomplete)
	}
	return t, nil
}

// describe makes the resource. What the environment says about the service
// (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) wins over what it says of itself.
func describe(ctx context.Context, service, version string) (*resource.Resource, error) {
	return resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithAttributes(
			semconv.ServiceNamespace("assize"),
			semconv.ServiceName(service),
			semconv.ServiceVersion(version),
			semconv.ServiceInstanceID(uuid.NewString()),
		),
		resource.WithFromEnv(),
	)
}

// startMetrics always feeds a Prometheus registry of its own, and whatever
// OTEL_* asks for besides.
func (t *Telemetry) startMetrics(ctx context.Context, about *resource.Resource, traced bool) (*sdkmetric.MeterProvider, error) {
	registry := prometheus.NewRegistry()
	if err := registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})); err != nil {
		return nil, fmt.Errorf("registering process metrics: %w", err)
	}
	pull, err := otelprometheus.New(
		otelprometheus.WithRegisterer(registry),
		otelprometheus.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
	)
	if err != nil {
		return nil, fmt.Errorf("making the Prometheus exporter: %w", err)
	}
	options := []sdkmetric.Option{sdkmetric.WithResource(about), sdkmetric.WithReader(pull)}
	push, err := metricReader(ctx)
	if err != nil {
		return nil, err
	}
	if push != nil {
		options = append(options, sdkmetric.WithReader(push))
	}
	if !traced {
		// An exemplar would point at a trace that nobody keeps.
		options = append(options, sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter))
	}
	meters := sdkmetric.NewMeterProvider(options...)
	t.shutdown = append(t.shutdown, meters.Shutdown)
	if err := runtime.Start(runtime.WithMeterProvider(meters)); err != nil {
		return nil, fmt.Errorf("starting Go runtime metrics: %w", err)
	}
	t.metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4})
	return meters, nil
}

// Metrics serves every metric of the process in the Prometheus text or
// OpenMetrics format, whatever OTEL_* says.
func (t *Telemetry) Metrics() http.Handler { return t.metrics }

// Shutdown flushes spans, metrics and logs and stops their exporters, for as
// long as ctx allows. Logging to stderr goes on working. A second call does
// nothing.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if !t.down.CompareAndSwap(false, true) {
		return nil
	}
	defer started.Store(false)
	if err := t.stop(ctx); err != nil {
		return fmt.Errorf("shutting down telemetry: %w", err)
	}
	return nil
}

// stop goes through all of them: one exporter that cannot be reached must not
// cost the others their last batch.
func (t *Telemetry) stop(ctx context.Context) error {
	var failures []error
	for _, shutdown := range t.shutdown {
		failures = append(failures, shutdown(ctx))
	}
	return errors.Join(failures...)
}
