package telemetry

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector is an OTLP/HTTP receiver that keeps what it is sent.
type collector struct {
	mu       sync.Mutex
	spans    []string
	metrics  []string
	logs     []string
	traceIDs []string // of log records
	resource map[string]string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err == nil {
		err = c.keep(r.URL.Path, body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *collector) keep(path string, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch path {
	case "/v1/traces":
		var request coltrace.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &request); err != nil {
			return err
		}
		for _, resource := range request.ResourceSpans {
			c.resource = make(map[string]string)
			for _, attribute := range resource.Resource.Attributes {
				c.resource[attribute.Key] = attribute.Value.GetStringValue()
			}
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					c.spans = append(c.spans, span.Name)
				}
			}
		}
	case "/v1/metrics":
		var request colmetrics.ExportMetricsServiceRequest
		if err := proto.Unmarshal(body, &request); err != nil {
			return err
		}
		for _, resource := range request.ResourceMetrics {
			for _, scope := range resource.ScopeMetrics {
				for _, metric := range scope.Metrics {
					c.metrics = append(c.metrics, metric.Name)
				}
			}
		}
	case "/v1/logs":
		var request collogs.ExportLogsServiceRequest
		if err := proto.Unmarshal(body, &request); err != nil {
			return err
		}
		for _, resource := range request.ResourceLogs {
			for _, scope := range resource.ScopeLogs {
				for _, record := range scope.LogRecords {
					c.logs = append(c.logs, record.Body.GetStringValue())
					c.traceIDs = append(c.traceIDs, string(record.TraceId))
				}
			}
		}
	}
	return nil
}

func TestEndpointReceivesSpansMetricsAndLogs(t *testing.T) {
	var got collector
	server := httptest.NewServer(&got)
	defer server.Close()
	forgetEnvironment(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=other")

	var out stderr
	tel := startForTest(t, &out, false)
	ctx, span := otel.Tracer("test").Start(t.Context(), "op")
	slog.InfoContext(ctx, "kept")
	slog.With("a", 1).WithGroup("g").DebugContext(ctx, "too quiet")
	histogram, err := otel.Meter("test").Float64Histogram("assize.seconds")
	if err != nil {
		t.Fatal(err)
	}
	histogram.Record(ctx, 0.5)
	span.End()
	page := scrape(t, tel.Metrics(), "application/openmetrics-text; version=1.0.0")
	if id := span.SpanContext().TraceID().String(); !strings.Contains(page, `trace_id="`+id) {
		t.Error("no exemplar names the exported trace")
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	slog.Info("after shutdown")

	got.mu.Lock()
	defer got.mu.Unlock()
	if !slices.Equal(got.spans, []string{"op"}) {
		t.Errorf("spans %v", got.spans)
	}
	if !slices.Contains(got.metrics, "assize.seconds") || !slices.Contains(got.metrics, "go.memory.used") {
		t.Errorf("metrics %v", got.metrics)
	}
	id := span.SpanContext().TraceID()
	if !slices.Equal(got.logs, []string{"kept"}) || got.traceIDs[0] != string(id[:]) {
		t.Errorf("logs %v of traces %x", got.logs, got.traceIDs)
	}
	for key, want := range map[string]string{
		"service.name": "other", "service.version": "v1.2.3", "service.namespace": "assize", "deployment.environment.name": "test",
	} {
		if got.resource[key] != want {
			t.Errorf("resource %s = %q, want %q", key, got.resource[key], want)
		}
	}
	if got.resource["service.instance.id"] == "" {
		t.Error("resource has no instance id")
	}
	if lines := strings.Count(out.String(), "\n"); lines != 2 || !strings.Contains(out.String(), "after shutdown") {
		t.Errorf("stderr:\n%s", out.String())
	}
}

func TestUnreachableEndpointIsReportedOnStderrOnly(t *testing.T) {
	// A port that was free a moment ago: connections are refused.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	forgetEnvironment(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
	t.Setenv("OTEL_METRICS_EXPORTER", "none")

	var out stderr
	tel := startForTest(t, &out, false)
	_, span := otel.Tracer("test").Start(t.Context(), "op")
	span.End()
	slog.Info("line")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	reported := tel.Shutdown(ctx)
	if reported == nil && !strings.Contains(out.String(), listener.Addr().String()) {
		t.Errorf("nobody was told; stderr:\n%s", out.String())
	}
	if lines := strings.Count(out.String(), "\n"); lines > 4 {
		t.Errorf("%d lines on stderr for two failed batches:\n%s", lines, out.String())
	}
}

func TestMalformedResourceAttributesAreReported(t *testing.T) {
	forgetEnvironment(t)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "good=1,bad")
	var out stderr
	tel := startForTest(t, &out, false)
	if !strings.Contains(out.String(), "OTEL_RESOURCE_ATTRIBUTES is used in part") {
		t.Errorf("stderr: %s", out.String())
	}
	if page := scrape(t, tel.Metrics(), "text/plain"); !strings.Contains(page, `service_name="ingest"`) {
		t.Errorf("the rest of the resource is lost:\n%s", page)
	}
}
