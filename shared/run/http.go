package run

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// newServer leaves ReadTimeout and WriteTimeout unset: a package of many
// gigabytes may take as long as it takes to arrive, and an event feed never
// ends. Handlers that want to be stricter use http.ResponseController.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    256 << 10, // an upload's headers hold its signatures, event.MaxAttached in base64
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// stopServer ends connections that are left over: kept alive, or stuck.
func stopServer(deadline context.Context, server *http.Server) []error {
	// Only probes can still be in flight, or requests already reported late.
	ctx, done := context.WithTimeout(deadline, time.Second)
	defer done()
	if server.Shutdown(ctx) == nil {
		return nil
	}
	if err := server.Close(); err != nil {
		return []error{fmt.Errorf("closing HTTP connections: %w", err)}
	}
	return nil
}

// routes mounts the endpoints every service has and those of the parts.
func (s *service) routes() (_ http.Handler, err error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", s.serveReady)
	if s.opts.Metrics != nil {
		mux.Handle("GET /metrics", s.opts.Metrics)
	}
	for _, part := range s.parts {
		if part.Handler == nil {
			continue
		}
		// The server's name is fixed because a caller chooses the Host header,
		// and each new one would be a new series of the metrics.
		handler := otelhttp.NewHandler(s.requests.guard(part.Handler), part.Pattern, otelhttp.WithServerName(s.opts.Name))
		if err := mount(mux, part.Pattern, handler); err != nil {
			return nil, fmt.Errorf("part %s: %w", part.Name, err)
		}
	}
	return mux, nil
}

// mount turns the panic of ServeMux for a malformed or conflicting pattern
// into an error.
func mount(mux *http.ServeMux, pattern string, handler http.Handler) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("pattern %q: %v", pattern, cause)
		}
	}()
	mux.Handle(pattern, handler)
	return nil
}

// gate counts requests to the parts' handlers and lets no more in once shut.
type gate struct {
	mu       sync.Mutex
	inFlight int
	closed   bool
	idle     chan struct{} // closed when shut and empty
}

func (g *gate) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.enter() {
			// The caller should come back to another replica, or to our successor.
			w.Header().Set("Connection", "close")
			w.Header().Set("Retry-After", "1")
			http.Error(w, "this service is shutting down", http.StatusServiceUnavailable)
			return
		}
		defer g.leave()
		next.ServeHTTP(w, r)
	})
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inFlight++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	if g.closed && g.inFlight == 0 {
		close(g.idle)
	}
}

// shut is called once.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.inFlight == 0 {
		close(g.idle)
	}
}

func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed
}
