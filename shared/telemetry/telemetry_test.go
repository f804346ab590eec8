package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"

	"assize.dev/shared/config"
)

// stderr is what a process under test has logged.
type stderr struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *stderr) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *stderr) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// forgetEnvironment keeps the OTEL_* variables of whoever runs the tests out.
func forgetEnvironment(t *testing.T) {
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "OTEL_") || name == "ASSIZE_LOG_LEVEL" {
			t.Setenv(name, "")
		}
	}
	logger := slog.Default()
	t.Cleanup(func() { slog.SetDefault(logger) })
}

func startForTest(t *testing.T, to *stderr, terminal bool) *Telemetry {
	t.Helper()
	tel, err := start(t.Context(), "ingest", "v1.2.3", to, terminal)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = tel.Shutdown(ctx)
	})
	return tel
}

func TestWithoutAnyVariableNothingIsExported(t *testing.T) {
	forgetEnvironment(t)
	var out stderr
	tel := startForTest(t, &out, false)

	ctx, span := otel.Tracer("test").Start(t.Context(), "op")
	counter, err := otel.Meter("test").Int64Counter("assize.runs")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(ctx, 3)
	slog.DebugContext(ctx, "too quiet")
	slog.With("a", 1).WithGroup("g").With("b", 2).InfoContext(ctx, "seen", "c", 3)
	slog.Info("outside")
	span.End()

	carrier := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(ctx, carrier)
	if !strings.Contains(carrier["traceparent"], span.SpanContext().TraceID().String()) {
		t.Errorf("propagated %v", carrier)
	}

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("stderr:\n%s", out.String())
	}
	var line struct {
		Msg     string
		TraceID string `json:"trace_id"`
		SpanID  string `json:"span_id"`
		A       int
		G       struct{ B, C int }
	}
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
		t.Fatal(err)
	}
	if line.Msg != "seen" || line.TraceID != span.SpanContext().TraceID().String() ||
		line.SpanID != span.SpanContext().SpanID().String() || line.A != 1 || line.G.B != 2 || line.G.C != 3 {
		t.Errorf("line %s", lines[0])
	}
	if strings.Contains(lines[1], "trace_id") {
		t.Errorf("line outside a span: %s", lines[1])
	}

	for accept, wants := range map[string][]string{
		"text/plain": {
			"assize_runs_total{", "go_goroutine_count", "process_resident_memory_bytes",
			`service_name="ingest"`, `service_version="v1.2.3"`, `service_namespace="assize"`, "service_instance_id=",
		},
		"application/openmetrics-text; version=1.0.0": {"assize_runs_total{", "# EOF"},
	} {
		page := scrape(t, tel.Metrics(), accept)
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("metrics as %s lack %s:\n%s", accept, want, page)
			}
		}
		if strings.Contains(page, "trace_id=") {
			t.Error("an exemplar names a trace that is not exported")
		}
	}
}

func scrape(t *testing.T, handler http.Handler, accept string) string {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	request.Header.Set("Accept", accept)
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		t.Fatalf("metrics: %d %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func TestTextOnATerminal(t *testing.T) {
	forgetEnvironment(t)
	t.Setenv("ASSIZE_LOG_LEVEL", "debug")
	var out stderr
	startForTest(t, &out, true)
	slog.Debug("hello", "token", config.Secret(strings.Repeat("hide", 2)))
	if got := out.String(); !strings.Contains(got, "level=DEBUG msg=hello token=[redacted]\n") {
		t.Errorf("stderr: %s", got)
	}
}

func TestOneTelemetryAtATime(t *testing.T) {
	forgetEnvironment(t)
	first, err := Start(t.Context(), "assize", "v0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), "assize", "v0"); !errors.Is(err, ErrStarted) {
		t.Errorf("second start: %v", err)
	}
	for range 2 {
		if err := first.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Start(t.Context(), "assize", "v0")
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), "assize", "v0"); !errors.Is(err, ErrStarted) {
		t.Errorf("a late second shutdown of the first let in another: %v", err)
	}
	if err := again.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestBadVariablesAreNamed(t *testing.T) {
	tests := map[string][2]string{
		"ASSIZE_LOG_LEVEL":      {"loud", `ASSIZE_LOG_LEVEL: "loud": invalid syntax`},
		"OTEL_TRACES_EXPORTER":  {"pigeon", `OTEL_TRACES_EXPORTER="pigeon": making an exporter: unknown exporter`},
		"OTEL_METRICS_EXPORTER": {"pigeon", `OTEL_METRICS_EXPORTER="pigeon": making an exporter: unknown exporter`},
		"OTEL_LOGS_EXPORTER":    {"pigeon", `OTEL_LOGS_EXPORTER="pigeon": making an exporter: unknown exporter`},
	}
	for variable, test := range tests {
		t.Run(variable, func(t *testing.T) {
			forgetEnvironment(t)
			t.Setenv(variable, test[0])
			_, err := Start(t.Context(), "assize", "v0")
			if err == nil || !strings.Contains(err.Error(), test[1]) {
				t.Fatalf("error %v, want %s", err, test[1])
			}
		})
	}
	forgetEnvironment(t)
	tel, err := Start(t.Context(), "assize", "v0")
	if err != nil {
		t.Fatalf("after failed starts: %v", err)
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestNoExporterWhenTurnedOff(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"none":     {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"},
		"disabled": {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
		"unset":    {},
	} {
		t.Run(name, func(t *testing.T) {
			forgetEnvironment(t)
			for variable, value := range env {
				t.Setenv(variable, value)
			}
			spans, err1 := spanExporter(t.Context())
			reader, err2 := metricReader(t.Context())
			records, err3 := logExporter(t.Context())
			if err := errors.Join(err1, err2, err3); err != nil || spans != nil || reader != nil || records != nil {
				t.Errorf("exporters %v %v %v, error %v", spans, reader, records, err)
			}
		})
	}
}
