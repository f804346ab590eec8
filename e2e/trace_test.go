package e2e

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"assize.dev/shared/bus"
)

// span is what the test needs to know of one.
type span struct{ service, name, id, parent string }

// collector is an OTLP/HTTP receiver that keeps the spans by trace.
type collector struct {
	mu    sync.Mutex
	spans map[string][]span
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	var request coltrace.ExportTraceServiceRequest
	if err == nil && r.URL.Path == "/v1/traces" {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		service := ""
		for _, a := range resource.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				trace := hex.EncodeToString(s.TraceId)
				c.spans[trace] = append(c.spans[trace], span{service, s.Name, hex.EncodeToString(s.SpanId), hex.EncodeToString(s.ParentSpanId)})
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *collector) trace(id string) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans[id])
}

// One upload is one trace, from the PUT through every service to the verdict.
func TestOneUploadIsOneTrace(t *testing.T) {
	t.Parallel()
	c := &collector{spans: map[string][]span{}}
	server := httptest.NewServer(c)
	defer server.Close()
	s := newStack(t, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL,
		"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_BSP_SCHEDULE_DELAY=50",
		"OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()

	const trace, client = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	name, body := npmPackage(1)
	run, err := s.put(ctx, name, "trace", body, http.Header{"Traceparent": {"00-" + trace + "-" + client + "-01"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.awaitVerdicts(ctx, 1); err != nil {
		t.Fatal(err)
	}
	for _, m := range s.messages(ctx, bus.Events) {
		if !strings.HasSuffix(m.Subject, "."+run) {
			continue
		}
		if tp := m.Header["traceparent"]; len(tp) != 1 || !strings.Contains(tp[0], trace) {
			t.Errorf("%s carries traceparent %q", m.Subject, tp)
		}
	}

	var spans []span
	wanted := []string{"ingest", "sign", "sbom", "scan", "verdict"}
	publishesVerdict := func(x span) bool {
		return x.service == "sign" && strings.Contains(strings.ToLower(x.name), "verdict")
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		spans = c.trace(trace)
		all := slices.ContainsFunc(spans, publishesVerdict)
		for _, w := range wanted {
			all = all && slices.ContainsFunc(spans, func(x span) bool { return x.service == w })
		}
		if all {
			break
		}
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(spans, func(x span) bool { return x.service == w }) {
			t.Errorf("no span of %s in the trace", w)
		}
	}
	if !slices.ContainsFunc(spans, publishesVerdict) {
		t.Errorf("no span publishes the verdict")
	}
	ids := map[string]bool{client: true}
	for _, x := range spans {
		ids[x.id] = true
	}
	for _, x := range spans {
		if !ids[x.parent] {
			t.Errorf("span %q of %s hangs in the air: parent %q", x.name, x.service, x.parent)
		}
	}
	if t.Failed() {
		for _, x := range spans {
			t.Logf("%s %q %s <- %s", x.service, x.name, x.id, x.parent)
		}
	}
}
