package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Defaults of Options.
const (
	DefaultHTTP  = ":8080"
	DefaultDrain = 25 * time.Second // Kubernetes kills 30 s after SIGTERM
)

// Options is how to run parts; its zero value is of use.
type Options struct {
	Name     string              // of the service, for logs and spans
	HTTP     string              // address to listen on; DefaultHTTP if empty
	Drain    time.Duration       // how long stopping may take; DefaultDrain if 0
	Metrics  http.Handler        // served at /metrics unless nil
	Log      *slog.Logger        // slog.Default() if nil
	OnListen func(addr net.Addr) // unless nil, called once when addr accepts connections
}

// Serve runs the parts until ctx ends or one of them does, and answers
// /healthz (200 while the process lives), /readyz (200 while every part is
// ready, else 503 with the reasons) and /metrics meanwhile.
//
// To stop, it first turns /readyz to 503 and refuses new requests to the
// parts' handlers, then ends the contexts of all parts, waits for them and for
// requests in flight at most Options.Drain, calls Close, and stops listening.
//
// The error is nil if ctx ended and all parts stopped in time. Otherwise it
// joins why the service stopped and which parts failed to stop; those go on
// running, so the process should exit. Close is called even if Serve could
// not start.
func Serve(ctx context.Context, opts Options, parts ...Part) error {
	if opts.HTTP == "" {
		opts.HTTP = DefaultHTTP
	}
	if opts.Drain == 0 {
		opts.Drain = DefaultDrain
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	s := &service{opts: opts, parts: parts, readySlot: make(chan struct{}, 1)}
	s.requests.idle = make(chan struct{})
	listener, mux, err := s.prepare(ctx)
	if err != nil {
		release, done := context.WithTimeout(context.WithoutCancel(ctx), opts.Drain)
		defer done()
		return errors.Join(append([]error{err}, s.closeParts(release)...)...)
	}
	return s.run(ctx, listener, mux)
}

// service is one call of Serve.
type service struct {
	opts      Options
	parts     []Part
	requests  gate
	readySlot chan struct{} // held by the one request that is asking the parts
}

func (s *service) prepare(ctx context.Context) (net.Listener, http.Handler, error) {
	if err := checkParts(s.parts); err != nil {
		return nil, nil, err
	}
	mux, err := s.routes()
	if err != nil {
		return nil, nil, err
	}
	listener, err := new(net.ListenConfig).Listen(context.WithoutCancel(ctx), "tcp", s.opts.HTTP)
	if err != nil {
		return nil, nil, fmt.Errorf("listening for HTTP: %w", err)
	}
	return listener, mux, nil
}

func (s *service) run(ctx context.Context, listener net.Listener, mux http.Handler) error {
	log := s.opts.Log
	// Parts must not see ctx end: /readyz turns to 503 before they stop.
	partsContext, stopParts := context.WithCancel(context.WithoutCancel(ctx))
	defer stopParts()
	endings := make(chan ended, len(s.parts)) // room for all: nobody waits for one that is late
	for _, part := range s.parts {
		go func() {
			err := fmt.Errorf("part %s: its goroutine was ended", part.Name) // by runtime.Goexit
			defer func() { endings <- ended{part.Name, err} }()
			err = runPart(partsContext, part, log)
		}()
	}

	server := newServer(mux, log)
	httpEnded := make(chan error, 1)
	go func() { httpEnded <- server.Serve(listener) }()
	log.InfoContext(ctx, "serving", "service", s.opts.Name, "version", BuildVersion(), "address", listener.Addr().String())
	if s.opts.OnListen != nil {
		s.opts.OnListen(listener.Addr())
	}

	running := make(map[string]bool)
	for _, part := range s.parts {
		running[part.Name] = true
	}
	var failures []error
	select {
	case <-ctx.Done():
		log.InfoContext(ctx, "draining", "within", s.opts.Drain.String(), "why", context.Cause(ctx).Error())
	case end := <-endings:
		delete(running, end.part)
		failures = append(failures, end.err)
		log.ErrorContext(ctx, "draining", "within", s.opts.Drain.String(), "why", end.err)
	case err := <-httpEnded:
		httpEnded <- err // for the wait below
		failures = append(failures, fmt.Errorf("serving HTTP: %w", err))
		log.ErrorContext(ctx, "draining", "within", s.opts.Drain.String(), "why", err)
	}

	deadline, done := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Drain)
	defer done()
	s.requests.shut()
	stopParts()
	failures = append(failures, s.drain(deadline, endings, running)...)
	failures = append(failures, stopServer(deadline, server)...)
	<-httpEnded
	return errors.Join(failures...)
}

// drain waits for parts and requests, then closes. The failures it returns
// are those that came up meanwhile.
func (s *service) drain(deadline context.Context, endings <-chan ended, running map[string]bool) []error {
	var failures []error
	for len(running) > 0 {
		select {
		case end := <-endings:
			delete(running, end.part)
			if end.err != nil {
				failures = append(failures, end.err)
			}
		case <-deadline.Done():
			var late []string
			for _, part := range s.parts {
				if running[part.Name] {
					late = append(late, part.Name)
				}
			}
			return append(failures, fmt.Errorf("did not stop within %s: %s", s.opts.Drain, strings.Join(late, ", ")))
		}
	}
	select {
	case <-s.requests.idle:
	case <-deadline.Done():
		return append(failures, fmt.Errorf("requests in flight did not end within %s", s.opts.Drain))
	}
	return append(failures, s.closeParts(deadline)...)
}

func (s *service) closeParts(ctx context.Context) []error {
	var failures []error
	for _, part := range slices.Backward(s.parts) {
		if part.Close == nil {
			continue
		}
		if err := guarded(ctx, part.Close); err != nil {
			failures = append(failures, fmt.Errorf("closing part %s: %w", part.Name, err))
		}
	}
	return failures
}
