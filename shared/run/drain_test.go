package run_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"assize.dev/shared/run"
)

func TestAFailingPartDrainsTheOthers(t *testing.T) {
	cause := errors.New("disk full")
	tests := map[string]struct {
		fail func(context.Context) error
		want string
		log  string
	}{
		"error":      {func(context.Context) error { return cause }, "part bad: disk full", "disk full"},
		"panic":      {func(context.Context) error { panic("oh") }, "part bad panicked: oh", "drain_test.go"},
		"early end":  {func(context.Context) error { return nil }, "part bad: ended before it was asked to", "ended before"},
		"goroutine":  {func(context.Context) error { runtime.Goexit(); return nil }, "part bad: its goroutine was ended", "goroutine was ended"},
		"own cancel": {func(context.Context) error { return context.Canceled }, "part bad: context canceled", "canceled"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var order journal
			closing := func(name string) func(context.Context) error {
				return func(context.Context) error { fmt.Fprintf(&order, "close %s\n", name); return nil }
			}
			s := serve(t, run.Options{},
				run.Part{Name: "connection", Close: closing("connection")},
				run.Part{Name: "good", Close: closing("good"), Run: func(ctx context.Context) error {
					<-ctx.Done()
					fmt.Fprintln(&order, "good drained")
					return nil
				}},
				run.Part{Name: "bad", Run: test.fail},
			)
			err := s.wait(t)
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
			if got := order.String(); got != "good drained\nclose good\nclose connection\n" {
				t.Errorf("order:\n%s", got)
			}
			if !strings.Contains(s.log.String(), test.log) {
				t.Errorf("log lacks %s:\n%s", test.log, s.log.String())
			}
		})
	}
}

func TestFailuresWhileDrainingAreReported(t *testing.T) {
	s := serve(t, run.Options{},
		run.Part{Name: "connection", Close: func(context.Context) error { panic("twice closed") }},
		run.Part{Name: "worker", Run: func(ctx context.Context) error { <-ctx.Done(); return errors.New("cannot flush") }},
	)
	s.stop()
	err := s.wait(t)
	if err == nil || err.Error() != "part worker: cannot flush\nclosing part connection: panicked: twice closed" {
		t.Errorf("error %v", err)
	}
}

func TestAPartThatDoesNotStopIsNamed(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	stuck := func(context.Context) error { <-release; return nil }
	closed := make(chan struct{})
	s := serve(t, run.Options{Drain: 50 * time.Millisecond},
		run.Part{Name: "connection", Close: func(context.Context) error { close(closed); return nil }},
		run.Part{Name: "scan", Run: stuck},
		run.Part{Name: "fine", Run: untilDone},
		run.Part{Name: "sbom", Run: stuck},
	)
	s.stop()
	err := s.wait(t)
	if err == nil || err.Error() != "did not stop within 50ms: scan, sbom" {
		t.Errorf("error %v", err)
	}
	select {
	case <-closed:
		t.Error("the connection was closed under parts still running")
	default:
	}
	if _, err := http.Get(s.url + "/healthz"); err == nil {
		t.Error("still listening")
	}
}

func TestDrainingFinishesRequestsInFlight(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	var order journal
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-release
		fmt.Fprintln(&order, "request done")
		fmt.Fprint(w, "stored")
	})
	s := serve(t, run.Options{}, run.Part{
		Name: "ingest", Pattern: "/v1/", Handler: handler,
		Run: func(ctx context.Context) error {
			<-ctx.Done()
			fmt.Fprintln(&order, "part stopped")
			return nil
		},
		Close: func(context.Context) error { fmt.Fprintln(&order, "closed"); return nil },
	})

	answered := make(chan string, 1)
	go func() {
		answer, err := http.Get(s.url + "/v1/a")
		if err != nil {
			answered <- err.Error()
			return
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		answered <- string(body)
	}()
	<-entered
	s.stop()
	for order.String() == "" {
		time.Sleep(time.Millisecond)
	}
	checkReady(t, s.url, 503, "draining", "ingest:ok")
	code, _, header := get(t, s.url+"/v1/b")
	if code != 503 || header.Get("Retry-After") == "" {
		t.Errorf("a new request while draining: %d %v", code, header)
	}
	if code, _, _ := get(t, s.url+"/healthz"); code != 200 {
		t.Errorf("/healthz while draining: %d", code)
	}
	close(release)
	if got := <-answered; got != "stored" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := s.wait(t); err != nil {
		t.Error(err)
	}
	if got := order.String(); got != "part stopped\nrequest done\nclosed\n" {
		t.Errorf("order:\n%s", got)
	}
}

func TestReadinessTurnsBeforePartsAreStopped(t *testing.T) {
	logging, release := make(chan struct{}), make(chan struct{})
	stopped := make(chan struct{})
	log := slog.New(slog.NewJSONHandler(writerFunc(func(line []byte) (int, error) {
		if bytes.Contains(line, []byte(`"msg":"draining"`)) {
			close(logging)
			<-release
		}
		return len(line), nil
	}), nil))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	address, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- run.Serve(ctx, run.Options{
			HTTP: "127.0.0.1:0", Log: log, OnListen: func(addr net.Addr) { address <- addr.String() },
		}, run.Part{Name: "worker", Run: func(ctx context.Context) error {
			<-ctx.Done()
			checkReady(t, "http://"+<-address, 503, "draining", "worker:ok")
			close(stopped)
			return nil
		}})
	}()
	stop()
	<-logging // the caller's context has ended, and nothing was done about it yet
	select {
	case <-stopped:
		t.Error("the part saw the end of the caller's context")
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestARequestThatDoesNotEndIsCutOff(t *testing.T) {
	entered, cut := make(chan struct{}), make(chan struct{})
	s := serve(t, run.Options{Drain: 50 * time.Millisecond}, run.Part{
		Name: "feed", Pattern: "/", Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			close(entered)
			<-r.Context().Done()
			close(cut)
		}),
	})
	answer, err := http.Get(s.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	<-entered
	s.stop()
	if err := s.wait(t); err == nil || err.Error() != "requests in flight did not end within 50ms" {
		t.Errorf("error %v", err)
	}
	<-cut
}
