package main

import (
	"context"
	"errors"
	"sync"

	"assize.dev/shared/bus"
	"assize.dev/shared/event"
)

// arrivals tells those who uploaded something that its verdict is there.
type arrivals struct {
	mu      sync.Mutex
	waiting map[string]chan *event.Verdict // by run
}

func newArrivals() *arrivals { return &arrivals{waiting: map[string]chan *event.Verdict{}} }

// verdictOn gives the verdict once. Call it before the upload.
func (a *arrivals) verdictOn(run string) <-chan *event.Verdict {
	c := make(chan *event.Verdict, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[run] = c
	return c
}

// follow hears all verdicts until ctx ends.
func (a *arrivals) follow(ctx context.Context, b *bus.Bus) error {
	err := b.Follow(ctx, bus.Events, 0, []string{event.AllVerdicts}, func(m *bus.Message) error {
		if m.Invalid != nil {
			return m.Invalid
		}
		v := &event.Verdict{}
		if err := event.Decode(m.Event, v); err != nil {
			return err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if c, ok := a.waiting[v.Run]; ok {
			delete(a.waiting, v.Run)
			c <- v
		}
		return nil
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
