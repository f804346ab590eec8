package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
)

// newContext outlives t's own, which ends before the cleanups.
func newContext(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithoutCancel(t.Context()))
}

func soon(int) time.Duration { return 10 * time.Millisecond }

func TestConsumeHandsOverDecodedEventsAndAcknowledges(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	run := event.NewRun()
	ack := publish(t, b, artifact(run, event.LaneNew))
	got := make(chan *bus.Message, 1)
	stop := consume(t, b, bus.Consumer{Service: "sbom", Durable: bus.DurableFor(event.KindSBOM, event.LaneNew),
		Handle: func(_ context.Context, m *bus.Message) error { got <- m; return nil }})
	m := <-got
	stop()
	a, ok := m.Payload.(*event.Artifact)
	if !ok || a.Run != run || m.Event.ID != run+"/artifact" {
		t.Errorf("payload %#v of event %q", m.Payload, m.Event.ID)
	}
	if m.Stream != bus.Events || m.Sequence != ack.Sequence || m.Attempt != 1 || m.Pending != 0 || m.Time.IsZero() {
		t.Errorf("message %+v, published as %+v", m, ack)
	}
	if !settled(t, b, bus.Events, "sbom-new") {
		t.Error("not acknowledged")
	}
}

// What becomes of a message whose handler always ends the same way.
func TestConsumeOutcomes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		handle   func(attempt int) error
		attempts int    // handler calls until it is over
		reason   string // of the dead letter; "" without
	}{
		{"success", func(int) error { return nil }, 1, ""},
		{"failure, then success", func(n int) error { return map[bool]error{true: errSome}[n < 3] }, 3, ""},
		{"failure for ever", func(int) error { return errSome }, 5, errSome.Error()},
		{"panic for ever", func(int) error { panic("oh no") }, 5, "handler panicked: oh no"},
		{"permanent", func(int) error { return bus.Permanent(errSome) }, 1, errSome.Error()},
		{"permanent, wrapped", func(int) error { return fmt.Errorf("x: %w", bus.Permanent(errSome)) }, 1, "x: " + errSome.Error()},
		{"invalid", func(int) error { return fmt.Errorf("%w: y", event.ErrInvalid) }, 1, "invalid event: y"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := bustest.Bus(t)
			publish(t, b, upload("1"))
			var calls, gaveUp atomic.Int32
			consume(t, b, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest, Backoff: soon,
				Handle: func(_ context.Context, m *bus.Message) error {
					if int(calls.Add(1)) != m.Attempt {
						t.Errorf("call %d is attempt %d", calls.Load(), m.Attempt)
					}
					return tc.handle(m.Attempt)
				},
				GaveUp: func(ctx context.Context, m *bus.Message, reason error) error {
					if len(deadLetters(t, b)) != 1 {
						t.Error("told before the dead letter was stored")
					}
					if gaveUp.Add(1) == 1 {
						return errSome // must be called again
					}
					return nil
				}})
			bustest.Eventually(t, "end of the message", func() bool { return settled(t, b, bus.Uploads, bus.DurableIngest) && calls.Load() > 0 })
			letters := deadLetters(t, b)
			if tc.reason == "" {
				if len(letters) != 0 || gaveUp.Load() != 0 || int(calls.Load()) != tc.attempts {
					t.Errorf("%d calls, want %d; dead letters %v; gave up %d times", calls.Load(), tc.attempts, letters, gaveUp.Load())
				}
				return
			}
			if gaveUp.Load() != 2 {
				t.Errorf("GaveUp was called %d times, want 2: once in vain", gaveUp.Load())
			}
			// A permanent failure is found again after GaveUp failed.
			if n := int(calls.Load()); n != tc.attempts && !(tc.attempts == 1 && n == 2) {
				t.Errorf("%d calls, want %d", n, tc.attempts)
			}
			if len(letters) != 1 {
				t.Fatalf("dead letters: %+v", letters)
			}
			l := letters[0]
			if l.Reason != tc.reason || l.Service != "ingest" || l.Stream != bus.Uploads || l.Sequence != 1 ||
				l.Original != event.UploadSubject(registry) || l.Headers["ce-id"] == "" || !strings.Contains(string(l.Data), `"id":"1"`) {
				t.Errorf("dead letter %+v", l)
			}
		})
	}
}

func TestUndecodableMessagesBecomeDeadLettersUnhandled(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	good := say(t, upload("1"))
	send := func(header nats.Header, data []byte) {
		t.Helper()
		if _, err := b.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: good.Subject, Header: header, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	unknown := nats.Header(good.Header())
	unknown["ce-type"] = []string{"dev.assize.gossip.v1"}
	elsewhere := say(t, upload("2"))
	elsewhere.Data = []byte(strings.Replace(string(elsewhere.Data), registry, "another", 1))
	broken := []struct {
		header nats.Header
		data   []byte
	}{
		{nil, good.Data},
		{nats.Header(good.Header()), []byte("{")},
		{nats.Header(elsewhere.Header()), elsewhere.Data},
		{unknown, good.Data},
		{nil, make([]byte, 300<<10)},
	}
	for _, m := range broken {
		send(m.header, m.data)
	}
	publish(t, b, upload("3"))
	handled := make(chan string, 10)
	var told atomic.Int32
	consume(t, b, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest,
		Handle: func(_ context.Context, m *bus.Message) error { handled <- m.Event.ID; return nil },
		GaveUp: func(_ context.Context, m *bus.Message, reason error) error {
			if told.Add(1); m.Payload != nil || reason == nil {
				t.Errorf("told of message %d with payload %v and reason %v", m.Sequence, m.Payload, reason)
			}
			return nil
		}})
	if id := <-handled; !strings.HasSuffix(id, "/3") {
		t.Errorf("handled %s", id)
	}
	bustest.Eventually(t, "end", func() bool { return settled(t, b, bus.Uploads, bus.DurableIngest) })
	letters := deadLetters(t, b)
	if told.Load() != int32(len(broken)) {
		t.Errorf("GaveUp was told of %d messages, want %d", told.Load(), len(broken))
	}
	if len(letters) != len(broken) {
		t.Fatalf("%d dead letters, want %d", len(letters), len(broken))
	}
	for i, l := range letters {
		if l.Reason == "" || l.Sequence != uint64(i+1) || len(l.Data) != min(len(broken[i].data), 128<<10) {
			t.Errorf("dead letter %d: reason %q, sequence %d, %d bytes", i, l.Reason, l.Sequence, len(l.Data))
		}
	}
}

func TestLargestEventFitsIntoADeadLetter(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	a := artifact(event.NewRun(), event.LaneNew)
	a.Signatures = []event.Attached{{Name: "a.sig", Data: make([]byte, event.MaxAttached)}}
	publish(t, b, a)
	e := say(t, artifact(event.NewRun(), event.LaneNew))
	e.Data = append(e.Data, strings.Repeat(" ", event.MaxData-len(e.Data))...)
	if _, err := b.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	consume(t, b, bus.Consumer{Service: "sbom", Durable: "sbom-new",
		Handle: func(context.Context, *bus.Message) error { return bus.Permanent(errSome) }})
	bustest.Eventually(t, "dead letters", func() bool { return len(deadLetters(t, b)) == 2 })
	if l := deadLetters(t, b)[1]; string(l.Data) != string(e.Data) {
		t.Errorf("the dead letter holds %d bytes of %d", len(l.Data), len(e.Data))
	}
}

// An outage of something the handler needs may last as long as it likes, and
// the worker be restarted meanwhile: no attempt is counted.
func TestUnavailableIsNeverADeadLetter(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	publish(t, b, upload("1"))
	var calls, up atomic.Int32
	c := bus.Consumer{Service: "ingest", Durable: bus.DurableIngest, MaxAttempts: 2, Backoff: soon,
		Handle: func(_ context.Context, m *bus.Message) error {
			calls.Add(1)
			switch {
			case up.Load() == 0:
				if m.Attempt != 1 {
					t.Errorf("an outage was counted as attempt: %d", m.Attempt)
				}
				return bus.Unavailable(errSome)
			case up.Add(1) == 2:
				return errSome // one failure of its own is allowed still
			}
			return nil
		}}
	for range 3 { // three lives of a worker, two deliveries each
		before := calls.Load()
		stop := consume(t, b, c)
		bustest.Eventually(t, "deliveries", func() bool { return calls.Load() >= before+2 })
		stop()
	}
	up.Store(1)
	consume(t, b, c)
	bustest.Eventually(t, "end", func() bool { return settled(t, b, bus.Uploads, bus.DurableIngest) })
	if up.Load() != 3 || len(deadLetters(t, b)) != 0 {
		t.Errorf("handled %d times after the outage, dead letters %v", up.Load()-1, deadLetters(t, b))
	}
}

// A message that kills its worker is given up on without another handler
// call: the server's count is all that the dead leave behind.
func TestCrashLoopEnds(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t, func(o *bus.ProvisionOptions) { o.AckWait = 100 * time.Millisecond })
	publish(t, b, upload("1"))
	raw, err := b.JetStream().Consumer(t.Context(), bus.Uploads, bus.DurableIngest)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // taken, never answered
		if _, err := raw.Next(); err != nil {
			t.Fatal(err)
		}
	}
	told := make(chan error, 1)
	consume(t, b, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest, MaxAttempts: 3,
		Handle: func(context.Context, *bus.Message) error { t.Error("handled again"); return nil },
		GaveUp: func(_ context.Context, _ *bus.Message, reason error) error { told <- reason; return nil }})
	if err := <-told; !strings.Contains(err.Error(), "delivered 4 times") {
		t.Error(err)
	}
	bustest.Eventually(t, "end", func() bool { return settled(t, b, bus.Uploads, bus.DurableIngest) })
}

func TestConsumerDeletionIsMended(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	handled := make(chan string, 10)
	consume(t, b, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest,
		Handle: func(_ context.Context, m *bus.Message) error { handled <- m.Event.ID; return nil }})
	publish(t, b, upload("1"))
	<-handled
	if err := b.JetStream().DeleteConsumer(t.Context(), bus.Uploads, bus.DurableIngest); err != nil {
		t.Fatal(err)
	}
	publish(t, b, upload("2"))
	seen := map[string]bool{}
	for len(seen) < 2 { // it starts over
		seen[<-handled] = true
	}
	c, err := b.JetStream().Consumer(t.Context(), bus.Uploads, bus.DurableIngest)
	if err != nil {
		t.Fatal(err)
	}
	if cfg := c.CachedInfo().Config; cfg.AckWait != 2*time.Second || cfg.MaxDeliver != -1 {
		t.Errorf("made anew differently from what was provisioned: %+v", cfg)
	}
}

// While GaveUp fails, for longer than the stream knows duplicates, the one
// dead letter stays the only one.
func TestOneDeadLetterHoweverOftenGaveUpFails(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	s, err := b.JetStream().Stream(t.Context(), bus.Dead)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.Duplicates = 100 * time.Millisecond
	if _, err := b.JetStream().UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	publish(t, b, upload("1"))
	begin := time.Now()
	consume(t, b, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest,
		Backoff: func(int) time.Duration { return 150 * time.Millisecond },
		Handle:  func(context.Context, *bus.Message) error { return bus.Permanent(errSome) },
		GaveUp: func(context.Context, *bus.Message, error) error {
			if time.Since(begin) < time.Second {
				return errSome
			}
			return nil
		}})
	bustest.Eventually(t, "end", func() bool { return settled(t, b, bus.Uploads, bus.DurableIngest) })
	if letters := deadLetters(t, b); len(letters) != 1 {
		t.Errorf("%d dead letters", len(letters))
	}
}

// Of a message that two durables of one service give up on, both reasons are
// kept.
func TestEveryDurableHasItsOwnDeadLetter(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	publish(t, b, artifact(event.NewRun(), event.LaneNew))
	for _, kind := range []event.Kind{event.KindSecrets, event.KindContent} {
		consume(t, b, bus.Consumer{Service: "scan", Durable: bus.DurableFor(kind, event.LaneNew),
			Handle: func(context.Context, *bus.Message) error { return bus.Permanent(fmt.Errorf("no %s", kind)) }})
	}
	bustest.Eventually(t, "two letters", func() bool { return len(deadLetters(t, b)) == 2 })
}

func TestConsumeRefusesHalfAConsumer(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t, bustest.Server(t))
	handle := func(context.Context, *bus.Message) error { return nil }
	for _, c := range []bus.Consumer{
		{Service: "x", Durable: "of-somebody", Handle: handle},
		{Durable: bus.DurableIngest, Handle: handle},
		{Service: "x", Durable: bus.DurableIngest},
	} {
		if err := b.Consume(t.Context(), c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

// The server's own count would stop deliveries without a word, and BackOff
// would override AckWait; neither may ever be used.
func TestMaxDeliverUnlimitedAndBackOffNotUsed(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	n := 0
	for _, stream := range []string{bus.Uploads, bus.Events} {
		s, err := b.JetStream().Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		for c := range s.ListConsumers(t.Context()).Info() {
			n++
			if c.Config.MaxDeliver != -1 || len(c.Config.BackOff) != 0 || c.Config.AckPolicy != jetstream.AckExplicitPolicy || c.Config.InactiveThreshold != 0 {
				t.Errorf("%s: %+v", c.Name, c.Config)
			}
		}
	}
	if n != 17 {
		t.Errorf("%d durables, want 17", n)
	}
}

// A failed message pauses before it comes again: the server takes a plain
// NAK to mean at once.
func TestNakIsDelayed(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	publish(t, b, upload("1"))
	const pause = 400 * time.Millisecond
	times := make(chan time.Time, 2)
	consume(t, b, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest, Backoff: func(int) time.Duration { return pause },
		Handle: func(_ context.Context, m *bus.Message) error {
			times <- time.Now()
			if m.Attempt == 1 {
				return errors.New("no")
			}
			return nil
		}})
	if first, second := <-times, <-times; second.Sub(first) < pause/2 {
		t.Errorf("came again after %s, asked for %s", second.Sub(first), pause)
	}
}
