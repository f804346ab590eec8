// Package backend opens the two things every service stands on: the bus that
// moves events and the store that keeps bytes. It is shared by the services'
// main functions.
package backend

import (
	"context"
	"errors"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
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
		return nil, err
	}
	return &Backend{Bus: b, Store: store}, nil
}

// Part reports readiness of both and closes the connection at the end.
func (b *Backend) Part() run.Part {
	return run.Part{
		Name: "backend",
		Ready: func(ctx context.Context) error {
			_, err := b.Store.Stat(ctx, "readiness")
			if errors.Is(err, blob.ErrNotFound) {
				err = nil
			}
			return errors.Join(err, b.Bus.Ready(ctx))
		},
		Close: func(context.Context) error {
			b.Bus.Close()
			return nil
		},
	}
}
