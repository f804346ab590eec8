package run_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"assize.dev/shared/run"
	"assize.dev/shared/telemetry/telemetrytest"
)

// served is a running call of Serve.
type served struct {
	url  string
	log  journal
	stop context.CancelFunc
	done chan error
}

func (s *served) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("Serve does not return")
		return nil
	}
}

func serve(t *testing.T, opts run.Options, parts ...run.Part) *served {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &served{stop: stop, done: make(chan error, 1)}
	address := make(chan net.Addr, 1)
	opts.Name, opts.HTTP = "test", "127.0.0.1:0"
	opts.OnListen = func(addr net.Addr) { address <- addr }
	opts.Log = slog.New(slog.NewJSONHandler(&s.log, nil))
	go func() { s.done <- run.Serve(ctx, opts, parts...) }()
	select {
	case addr := <-address:
		s.url = "http://" + addr.String()
	case err := <-s.done:
		t.Fatalf("Serve: %v", err)
	}
	t.Cleanup(stop)
	return s
}

type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func get(t *testing.T, url string) (code int, body string, header http.Header) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(content), answer.Header
}

// checkReady compares /readyz; parts is "name:ok name:reason", sorted.
func checkReady(t *testing.T, url string, wantCode int, wantStatus, wantParts string) {
	t.Helper()
	code, body, _ := get(t, url+"/readyz")
	var got struct {
		Status string
		Parts  map[string]string
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("/readyz: %v: %s", err, body)
	}
	var parts []string
	for name, reason := range got.Parts {
		parts = append(parts, name+":"+reason)
	}
	slices.Sort(parts)
	if code != wantCode || got.Status != wantStatus || strings.Join(parts, " ") != wantParts {
		t.Errorf("/readyz: %d %s, want %d %s %s", code, body, wantCode, wantStatus, wantParts)
	}
}

func untilDone(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestReadiness(t *testing.T) {
	var reason atomic.Pointer[error]
	set := func(err error) { reason.Store(&err) }
	set(errors.New("no connection"))
	s := serve(t, run.Options{},
		run.Part{Name: "bus", Run: untilDone, Ready: func(context.Context) error { return *reason.Load() }},
		run.Part{Name: "worker", Run: untilDone},
		run.Part{Name: "routes", Pattern: "/v1/", Handler: http.NotFoundHandler()},
	)
	checkReady(t, s.url, 503, "not ready", "bus:no connection routes:ok worker:ok")
	if code, body, _ := get(t, s.url+"/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("/healthz while not ready: %d %s", code, body)
	}
	set(nil)
	checkReady(t, s.url, 200, "ready", "bus:ok routes:ok worker:ok")
	set(errors.New("connection lost"))
	checkReady(t, s.url, 503, "not ready", "bus:connection lost routes:ok worker:ok")
	s.stop()
	if err := s.wait(t); err != nil {
		t.Error(err)
	}
}

func TestReadyThatPanicsOrHangsIsNotReady(t *testing.T) {
	s := serve(t, run.Options{},
		run.Part{Name: "hangs", Ready: untilDone},
		run.Part{Name: "panics", Ready: func(context.Context) error { panic("oh") }},
	)
	checkReady(t, s.url, 503, "not ready", "hangs:context deadline exceeded panics:panicked: oh")
}

func TestHandlersAreServedAndTraced(t *testing.T) {
	spans := telemetrytest.Spans(t)
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "metrics") })
	upload := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "got "+r.PathValue("name")) })
	s := serve(t, run.Options{Metrics: metrics},
		run.Part{Name: "upload", Pattern: "GET /v1/uploads/{name}", Handler: upload},
		run.Part{Name: "pages", Pattern: "/", Handler: http.NotFoundHandler()},
	)
	if code, body, _ := get(t, s.url+"/v1/uploads/a"); code != 200 || body != "got a" {
		t.Errorf("handler: %d %s", code, body)
	}
	if code, body, _ := get(t, s.url+"/metrics"); code != 200 || body != "metrics" {
		t.Errorf("/metrics: %d %s", code, body)
	}
	if code, _, _ := get(t, s.url+"/healthz"); code != 200 {
		t.Errorf("a part's / hides /healthz: %d", code)
	}
	s.stop()
	if err := s.wait(t); err != nil {
		t.Error(err)
	}
	got := spans.GetSpans()
	if len(got) != 1 || got[0].Name != "GET /v1/uploads/{name}" {
		t.Errorf("spans %+v", got)
	}
}

func TestServeRefusesWhatCannotRun(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	part := run.Part{Name: "a", Run: untilDone}
	handler := http.NotFoundHandler()
	tests := map[string]struct {
		http  string
		parts []run.Part
		want  string
	}{
		"no parts":          {want: "there are no parts to run"},
		"no name":           {parts: []run.Part{part, {Run: untilDone}}, want: "part 1 has no name"},
		"same name":         {parts: []run.Part{part, part}, want: "two parts are named a"},
		"handler alone":     {parts: []run.Part{{Name: "a", Handler: handler}}, want: "a handler needs a pattern"},
		"pattern alone":     {parts: []run.Part{{Name: "a", Pattern: "/"}}, want: "a handler needs a pattern"},
		"malformed pattern": {parts: []run.Part{{Name: "a", Pattern: "GET  x/{", Handler: handler}}, want: `part a: pattern "GET  x/{"`},
		"same pattern":      {parts: []run.Part{{Name: "a", Pattern: "/x", Handler: handler}, {Name: "b", Pattern: "/x", Handler: handler}}, want: `part b: pattern "/x"`},
		"taken pattern":     {parts: []run.Part{{Name: "a", Pattern: "GET /readyz", Handler: handler}}, want: `part a: pattern "GET /readyz"`},
		"taken port":        {http: taken.Addr().String(), parts: []run.Part{part}, want: "listening for HTTP: listen tcp " + taken.Addr().String()},
		"not an address":    {http: "nowhere", parts: []run.Part{part}, want: "listening for HTTP: listen tcp: address nowhere"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			closed := 0
			for i := range test.parts {
				test.parts[i].Close = func(context.Context) error { closed++; return nil }
			}
			if test.http == "" {
				test.http = "127.0.0.1:0"
			}
			err := run.Serve(t.Context(), run.Options{HTTP: test.http}, test.parts...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
			if closed != len(test.parts) {
				t.Errorf("%d of %d parts were closed", closed, len(test.parts))
			}
		})
	}
}

func TestServeOfAnEndedContextStillCloses(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	closed := false
	err := run.Serve(ctx, run.Options{HTTP: "127.0.0.1:0"}, run.Part{Name: "a", Run: untilDone, Close: func(context.Context) error {
		closed = true
		return nil
	}})
	if err != nil || !closed {
		t.Errorf("error %v, closed %t", err, closed)
	}
}
