package bus_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
)

func TestStoppingLetsHandlersFinish(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	publish(t, b, upload("1"))
	begun, end := make(chan struct{}), make(chan struct{})
	ctx, cancel := newContext(t)
	done := make(chan error)
	go func() {
		done <- b.Consume(ctx, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest,
			Handle: func(ctx context.Context, _ *bus.Message) error { close(begun); <-end; return ctx.Err() }})
	}()
	<-begun
	cancel()
	select {
	case <-done:
		t.Fatal("returned while a handler was at work")
	case <-time.After(100 * time.Millisecond):
	}
	close(end)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !settled(t, b, bus.Uploads, bus.DurableIngest) {
		t.Error("what was finished in the grace was not acknowledged")
	}
}

func TestStoppingCutsShortAndHandsBackUncounted(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t, func(o *bus.ProvisionOptions) { o.AckWait = time.Hour })
	publish(t, b, upload("1"))
	for life := range 4 {
		begun := make(chan int, 1)
		stop := consume(t, b, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest, MaxAttempts: 2, Grace: time.Millisecond,
			Handle: func(ctx context.Context, m *bus.Message) error {
				if life == 3 {
					begun <- m.Attempt
					return nil
				}
				begun <- m.Attempt
				<-ctx.Done()
				return ctx.Err()
			}})
		// An hour's AckWait: it comes again only because it was handed back.
		if attempt := <-begun; attempt > 1 {
			t.Errorf("life %d: our own end was counted as attempt %d", life, attempt)
		}
		stop()
	}
	if !settled(t, b, bus.Uploads, bus.DurableIngest) || len(deadLetters(t, b)) != 0 {
		t.Error("not handled in the end")
	}
}

// At most Workers messages are with a worker; the rest stay on the server
// for other replicas.
func TestNoPrefetch(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	for i := range 10 {
		publish(t, b, upload(fmt.Sprint(i)))
	}
	hold, busy := make(chan struct{}), make(chan struct{}, 10)
	consume(t, b, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest, Workers: 3,
		Handle: func(context.Context, *bus.Message) error { busy <- struct{}{}; <-hold; return nil }})
	for range 3 {
		<-busy
	}
	c, err := b.JetStream().Consumer(t.Context(), bus.Uploads, bus.DurableIngest)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.CachedInfo().NumAckPending; got != 3 {
		t.Errorf("%d messages handed out to 3 workers", got)
	}
	close(hold)
	bustest.Eventually(t, "end", func() bool { return settled(t, b, bus.Uploads, bus.DurableIngest) })
}

func TestLongWorkIsNotRedelivered(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t, func(o *bus.ProvisionOptions) { o.AckWait = 1500 * time.Millisecond })
	publish(t, b, upload("1"))
	var calls atomic.Int32
	consume(t, b, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest, Workers: 2,
		Handle: func(context.Context, *bus.Message) error {
			calls.Add(1)
			time.Sleep(4 * time.Second)
			return nil
		}})
	bustest.Eventually(t, "delivery", func() bool { return calls.Load() > 0 })
	bustest.Eventually(t, "end", func() bool { return settled(t, b, bus.Uploads, bus.DurableIngest) })
	if calls.Load() != 1 {
		t.Errorf("%d deliveries of a message whose worker was alive", calls.Load())
	}
}

// Lane "again" has a cap on work in flight over all replicas; "new" has none
// to speak of and goes on while "again" is stuck.
func TestAgainIsCappedOverReplicasWhileNewProceeds(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	for range 100 {
		publish(t, b, artifact(event.NewRun(), event.LaneAgain))
	}
	hold := make(chan struct{})
	var mu sync.Mutex
	now, most, calls := 0, 0, 0
	slow := func(context.Context, *bus.Message) error {
		mu.Lock()
		now++
		calls++
		most = max(most, now)
		mu.Unlock()
		<-hold
		mu.Lock()
		now--
		mu.Unlock()
		return nil
	}
	for range 2 {
		consume(t, b, bus.Consumer{Service: "scan", Durable: bus.DurableFor(event.KindSecrets, event.LaneAgain), Workers: 4, Handle: slow})
	}
	bustest.Eventually(t, "work on again", func() bool { mu.Lock(); defer mu.Unlock(); return now == 4 })
	var fresh atomic.Int32
	consume(t, b, bus.Consumer{Service: "scan", Durable: bus.DurableFor(event.KindSecrets, event.LaneNew),
		Handle: func(context.Context, *bus.Message) error { fresh.Add(1); return nil }})
	for range 10 {
		publish(t, b, artifact(event.NewRun(), event.LaneNew))
	}
	bustest.Eventually(t, "new proceeds", func() bool { return fresh.Load() == 10 })
	close(hold)
	bustest.Eventually(t, "again proceeds", func() bool { return settled(t, b, bus.Events, "secrets-again") })
	if most != 4 || calls != 100 {
		t.Errorf("%d of again at once, want at most 4; %d calls for 100 messages", most, calls)
	}
}
