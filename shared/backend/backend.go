// Package backend opens the two things every service stands on: the bus that
// moves events and the store that keeps bytes. It is shared by the services'
// main functions.
package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/notice"
	"assize.dev/shared/run"
)

// Config says where they are.
type Config struct {
	Bus   bus.Config
	Store blob.Config
}

// Backend is a connection to both.
type Backend struct {
	Bus   *bus.Bus
	Store blob.Store
	name  string
}

// Open connects as the service name. NATS may be away at start; the part is
// then not ready until it is back.
func Open(ctx context.Context, c Config, name string) (*Backend, error) {
	store, err := blob.Open(ctx, c.Store)
	if err != nil {
		return nil, err
	}
	b, err := bus.Connect(ctx, c.Bus, name)
	if err != nil {
		return nil, errors.Join(err, closeStore(store))
	}
	return &Backend{Bus: b, Store: store, name: name}, nil
}

// Part reports readiness of both, tells the record that the service starts and
// stops, and closes both at the end.
func (b *Backend) Part() run.Part {
	return run.Part{
		Name: "backend",
		Run: func(ctx context.Context) error {
			board := notice.Board{Bus: b.Bus, Store: b.Store, Service: b.name, Log: slog.Default()}
			board.Serve(ctx, run.BuildVersion(), run.Settings())
			return nil
		},
		Ready: func(ctx context.Context) error {
			// Side by side: a store that hangs must not hide the bus.
			var bus, store error
			var checks sync.WaitGroup
			checks.Go(func() { bus = b.Bus.Ready(ctx) })
			checks.Go(func() { store = storeReady(ctx, b.Store) })
			checks.Wait()
			return errors.Join(bus, store)
		},
		Close: func(context.Context) error {
			b.Bus.Close()
			return closeStore(b.Store)
		},
	}
}

// storeReady asks for an object that nobody makes: not to find it is an
// answer.
func storeReady(ctx context.Context, store blob.Store) error {
	_, err := store.Stat(ctx, "readiness")
	if err == nil || errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("the object store does not answer: %w", err)
}

// closeStore releases what a driver holds open; not every one does.
func closeStore(store blob.Store) error {
	if c, ok := store.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
