package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
)

func TestFollow(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	run := event.NewRun()
	publish(t, b, artifact(run, event.LaneNew))
	for _, kind := range event.Kinds {
		publish(t, b, evidence(run, kind))
	}
	if _, err := b.JetStream().PublishMsg(t.Context(), nats.NewMsg("assize.decision.broken")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		from    uint64
		filters []string
		want    []uint64
	}{
		{"all", 0, nil, []uint64{1, 2, 3, 4, 5, 6, 7}},
		{"from", 5, nil, []uint64{5, 6, 7}},
		{"filtered", 0, []string{event.AllArtifacts, event.EvidenceOf(event.KindContent)}, []uint64{1, 5}},
		{"filtered, from", 2, []string{event.AllEvidence}, []uint64{2, 3, 4, 5, 6}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var got []uint64
			done := errors.New("caught up")
			err := b.Follow(t.Context(), bus.Events, tc.from, tc.filters, func(m *bus.Message) error {
				got = append(got, m.Sequence)
				if (m.Event == nil) != (m.Invalid != nil) || (m.Sequence == 7) != (m.Event == nil) {
					t.Errorf("message %d: event %v, %v", m.Sequence, m.Event, m.Invalid)
				}
				if m.Pending == 0 {
					return done
				}
				return nil
			})
			if !errors.Is(err, done) || !slices.Equal(got, tc.want) {
				t.Errorf("got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
}

// A follower sees every message once and in order, though the server is
// killed meanwhile.
func TestFollowOutlivesTheServer(t *testing.T) {
	t.Parallel()
	p := bustest.NewProcess(t)
	b := p.Connect()
	bustest.Provision(t, b)
	const messages = 60
	var mu sync.Mutex
	var got []uint64
	ctx, cancel := newContext(t)
	done := make(chan error, 1)
	go func() {
		done <- b.Follow(ctx, bus.Uploads, 0, nil, func(m *bus.Message) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, m.Sequence)
			return nil
		})
	}()
	seen := func() int { mu.Lock(); defer mu.Unlock(); return len(got) }
	for i := range messages {
		if i == messages/2 {
			bustest.Eventually(t, "half seen", func() bool { return seen() == i })
			p.Restart()
		}
		publish(t, b, upload(fmt.Sprint(i)))
	}
	bustest.Eventually(t, "all seen", func() bool { return seen() >= messages })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for i, seq := range got {
		if seq != uint64(i+1) {
			t.Fatalf("message %d has sequence %d", i, seq)
		}
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Follow(ctx, bus.Events, 0, nil, func(*bus.Message) error { return nil }); err != nil {
		t.Error(err)
	}
	if first, last, err := b.Sequences(t.Context(), bus.Events); err != nil || first != 1 || last != 0 {
		t.Errorf("empty stream: %d to %d, %v", first, last, err)
	}
}
