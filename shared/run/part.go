// Package run is the one way to run a service: its arguments, its HTTP
// endpoints, its readiness and its end. Every service and the all-in-one
// program share it, so that operators learn this once.
package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
)

// Part is something that runs until its context ends: a consumer, an
// embedded server, a set of HTTP routes.
type Part struct {
	// Name is unique among the parts and appears in logs and in /readyz.
	Name string

	// Run works until ctx ends, then finishes or hands back what it has in
	// hand and returns. To return earlier, or to panic, ends the whole
	// service: the other parts are drained. Nil means there is nothing to run.
	Run func(ctx context.Context) error

	// Ready reports why the part cannot do its work just now; it must heed
	// its context, which allows two seconds. Nil means always ready.
	Ready func(ctx context.Context) error

	// Handler is served at Pattern (of http.ServeMux) on the service's
	// address. When draining starts, new requests are refused with 503 and
	// those in flight are waited for; a handler that streams for ever must
	// end when Run's context does.
	Pattern string
	Handler http.Handler

	// Close releases what other parts use as well, such as a connection. It
	// is called once every part has returned and no request is in flight, the
	// last part first; ctx allows what is left of the time for draining. It
	// is not called while a part that would not stop may still be using it.
	Close func(ctx context.Context) error
}

// ErrEndedEarly is why a service stops when one of its parts returns without
// an error before it was asked to.
var ErrEndedEarly = errors.New("ended before it was asked to")

// ended is how a part ended.
type ended struct {
	part string
	err  error
}

// runPart calls Run so that neither a panic nor a quiet end goes unnoticed.
func runPart(ctx context.Context, part Part, log *slog.Logger) (err error) {
	if part.Run == nil {
		<-ctx.Done()
		return nil
	}
	returned := false
	defer func() {
		if returned {
			return
		}
		cause := recover() // nil after runtime.Goexit
		log.Error("a part panicked", "part", part.Name, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
		err = fmt.Errorf("part %s panicked: %v", part.Name, cause)
	}()
	err = part.Run(ctx)
	returned = true
	switch {
	case ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
		return nil
	case err == nil:
		return fmt.Errorf("part %s: %w", part.Name, ErrEndedEarly)
	}
	return fmt.Errorf("part %s: %w", part.Name, err)
}

// guarded calls Ready or Close; a panic in either is an error like any other.
func guarded(ctx context.Context, call func(context.Context) error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panicked: %v", cause)
		}
	}()
	return call(ctx)
}

func checkParts(parts []Part) error {
	if len(parts) == 0 {
		return errors.New("there are no parts to run")
	}
	seen := make(map[string]bool)
	for i, part := range parts {
		switch {
		case part.Name == "":
			return fmt.Errorf("part %d has no name", i)
		case seen[part.Name]:
			return fmt.Errorf("two parts are named %s", part.Name)
		case (part.Pattern == "") != (part.Handler == nil):
			return fmt.Errorf("part %s: a handler needs a pattern and a pattern a handler", part.Name)
		}
		seen[part.Name] = true
	}
	return nil
}
