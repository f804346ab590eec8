package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

// replicated is how many artifacts a second so many replicas of one analyser
// get through, of a backlog of n. Each replica has one worker and a connection
// of its own, and all share the durable of their kind.
func replicated(ctx context.Context, dir string, n, replicas int, a burning) (rate float64, err error) {
	b, err := openBroker(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer b.close()
	store, err := blob.OpenDir(filepath.Join(dir, "store"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := b.order(ctx, n); err != nil {
		return 0, err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	group, work := errgroup.WithContext(ctx)
	for i := range replicas {
		connection, err := b.server.Connect(ctx, fmt.Sprintf("replica-%d", i))
		if err != nil {
			stop()
			return 0, errors.Join(err, group.Wait())
		}
		group.Go(func() error {
			defer connection.Close()
			r := evidence.Runner{Service: "bench", Bus: connection, Store: store, Workers: 1, Log: slog.Default()}
			return r.Run(work, a)
		})
	}
	took, err := b.firstToLast(work, a.Kind(), n)
	stop()
	if err := errors.Join(err, group.Wait()); err != nil {
		return 0, err
	}
	return float64(n-1) / took.Seconds(), nil
}

// order publishes n artifacts to be analysed; their bytes are nowhere.
func (b *broker) order(ctx context.Context, n int) error {
	_, err := measure(ctx, n, 16, func(ctx context.Context, _ int) error {
		return b.publish(ctx, &event.Artifact{
			Run: event.NewRun(), Lane: event.LaneNew, Registry: registry, Name: "package", Filename: "package.bin",
			Digest: digest.Of(nil), SHA512: strings.Repeat("0", 128), Format: "unknown", Received: time.Now().UTC(),
		})
	})
	return err
}

var errAll = errors.New("all have come")

// firstToLast is the time between the first and the nth evidence of a kind.
// To leave out the first leaves out how long the replicas took to start.
func (b *broker) firstToLast(ctx context.Context, kind event.Kind, n int) (time.Duration, error) {
	var first, last time.Time // by the stream's clock
	err := b.bus.Follow(ctx, bus.Events, 0, []string{event.EvidenceOf(kind)}, func(m *bus.Message) error {
		if first.IsZero() {
			first = m.Time
		}
		last = m.Time
		if n--; n > 0 {
			return nil
		}
		return errAll
	})
	if !errors.Is(err, errAll) {
		return 0, fmt.Errorf("waiting for %d more pieces of evidence: %w", n, err)
	}
	return last.Sub(first), nil
}
