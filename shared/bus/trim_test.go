package bus_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
)

// swallow acknowledges all that a durable has, through the client library.
func swallow(t testing.TB, b *bus.Bus, stream string, names ...string) {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		for name := range s.ConsumerNames(t.Context()).Name() {
			names = append(names, name)
		}
	}
	for _, name := range names {
		c, err := s.Consumer(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		batch, err := c.FetchNoWait(100)
		if err != nil {
			t.Fatal(err)
		}
		for msg := range batch.Messages() {
			if err := msg.DoubleAck(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func floor(t testing.TB, b *bus.Bus) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	f, err := b.Floor(ctx, bus.Events)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// wholeRun publishes a run with its verdict and returns when VERDICTS has it.
func wholeRun(t testing.TB, b *bus.Bus) (last uint64) {
	t.Helper()
	run := event.NewRun()
	publish(t, b, artifact(run, event.LaneNew))
	publish(t, b, evidence(run, event.KindSBOM))
	publish(t, b, decision(run))
	last = publish(t, b, verdict(run)).Sequence
	copied(t, b, event.VerdictSubject(event.Deny, registry, "generic", run))
	return last
}

func copied(t testing.TB, b *bus.Bus, subject string) {
	t.Helper()
	bustest.Eventually(t, "VERDICTS has "+subject, func() bool {
		s, err := b.JetStream().Stream(t.Context(), bus.Verdicts)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.GetLastMsgForSubject(t.Context(), subject)
		return err == nil
	})
}

// unanswered are the reply subjects of messages taken and kept, by run.
var unanswered sync.Map

// answer acknowledges the message that a case has kept.
func answer(t *testing.T, b *bus.Bus, run string) {
	t.Helper()
	reply, _ := unanswered.Load(run)
	if _, err := b.JetStream().Conn().Request(reply.(string), []byte("+ACK"), 5*time.Second); err != nil {
		t.Fatal(err)
	}
}

// Each of those who may still need something holds the floor by itself, and
// none does once all are through.
func TestFloorHolds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		hold    func(t *testing.T, b *bus.Bus, run string) (seq uint64) // what must be kept, beyond a whole run
		release func(t *testing.T, b *bus.Bus, run string)
	}{
		{"nothing", func(*testing.T, *bus.Bus, string) uint64 { return 0 }, func(*testing.T, *bus.Bus, string) {}},
		{"a consumer that has not got it", func(t *testing.T, b *bus.Bus, run string) uint64 {
			seq := publish(t, b, evidence(event.NewRun(), event.KindSBOM)).Sequence
			swallow(t, b, bus.Events, bus.DurableVerdict)
			publish(t, b, evidence(event.NewRun(), event.KindSecrets))
			swallow(t, b, bus.Events, bus.DurableVerdict)
			return seq // for "vulnerabilities"
		}, func(t *testing.T, b *bus.Bus, _ string) { swallow(t, b, bus.Events) }},
		{"a consumer that has not acknowledged it", func(t *testing.T, b *bus.Bus, run string) uint64 {
			seq := publish(t, b, evidence(event.NewRun(), event.KindSecrets)).Sequence
			c, err := b.JetStream().Consumer(t.Context(), bus.Events, bus.DurableVerdict)
			if err != nil {
				t.Fatal(err)
			}
			msg, err := c.Next()
			if err != nil {
				t.Fatal(err)
			}
			unanswered.Store(run, msg.Reply())
			publish(t, b, evidence(event.NewRun(), event.KindContent))
			swallow(t, b, bus.Events)
			return seq
		}, answer},
		{"a message handed back for later", func(t *testing.T, b *bus.Bus, run string) uint64 {
			seq := publish(t, b, evidence(event.NewRun(), event.KindSecrets)).Sequence
			c, err := b.JetStream().Consumer(t.Context(), bus.Events, bus.DurableVerdict)
			if err != nil {
				t.Fatal(err)
			}
			msg, err := c.Next()
			if err != nil {
				t.Fatal(err)
			}
			if err := msg.NakWithDelay(time.Hour); err != nil {
				t.Fatal(err)
			}
			unanswered.Store(run, msg.Reply())
			publish(t, b, evidence(event.NewRun(), event.KindContent))
			swallow(t, b, bus.Events)
			return seq
		}, answer},
		{"somebody else's consumer", func(t *testing.T, b *bus.Bus, run string) uint64 {
			if _, err := b.JetStream().CreateConsumer(t.Context(), bus.Events, jetstream.ConsumerConfig{
				Durable: "theirs", FilterSubjects: []string{"assize.evidence.licences.>", "assize.evidence.sbom.>"},
				AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverNewPolicy}); err != nil {
				t.Fatal(err)
			}
			publish(t, b, evidence(event.NewRun(), event.KindSecrets))
			seq := publish(t, b, evidence(event.NewRun(), event.KindSBOM)).Sequence
			swallow(t, b, bus.Events, bus.DurableVerdict, bus.DurableVulnerabilities)
			return seq
		}, func(t *testing.T, b *bus.Bus, _ string) { swallow(t, b, bus.Events) }},
		{"a run without a decision", func(t *testing.T, b *bus.Bus, run string) uint64 {
			seq := publish(t, b, artifact(run, event.LaneNew)).Sequence
			publish(t, b, evidence(run, event.KindSBOM))
			swallow(t, b, bus.Events)
			return seq
		}, func(t *testing.T, b *bus.Bus, run string) {
			publish(t, b, verdict(run))
			copied(t, b, event.VerdictSubject(event.Deny, registry, "generic", run))
		}},
		{"a run without a verdict", func(t *testing.T, b *bus.Bus, run string) uint64 {
			seq := publish(t, b, artifact(run, event.LaneAgain)).Sequence
			publish(t, b, decision(run))
			swallow(t, b, bus.Events)
			return seq
		}, func(t *testing.T, b *bus.Bus, run string) {
			publish(t, b, verdict(run))
			copied(t, b, event.VerdictSubject(event.Deny, registry, "generic", run))
		}},
		{"a verdict not yet copied", func(t *testing.T, b *bus.Bus, run string) uint64 {
			shrink(t, b, bus.Verdicts, 1) // takes nothing more
			publish(t, b, evidence(run, event.KindSBOM))
			swallow(t, b, bus.Events)
			return publish(t, b, verdict(run)).Sequence
		}, func(t *testing.T, b *bus.Bus, run string) {
			shrink(t, b, bus.Verdicts, 1<<20)
			copied(t, b, event.VerdictSubject(event.Deny, registry, "generic", run))
		}},
		{"neither a repeated artifact nor a broken one", func(t *testing.T, b *bus.Bus, run string) uint64 {
			publish(t, b, verdict(run))
			again := say(t, artifact(run, event.LaneNew))
			if _, err := b.Publish(t.Context(), again); err != nil {
				t.Fatal(err)
			}
			subject := event.ArtifactSubject(event.LaneNew, registry, event.NewRun())
			if _, err := b.JetStream().PublishMsg(t.Context(), nats.NewMsg(subject)); err != nil {
				t.Fatal(err)
			}
			copied(t, b, event.VerdictSubject(event.Deny, registry, "generic", run))
			swallow(t, b, bus.Events)
			return 0
		}, func(*testing.T, *bus.Bus, string) {}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := bustest.Bus(t, func(o *bus.ProvisionOptions) { o.AckWait = time.Hour })
			wholeRun(t, b)
			swallow(t, b, bus.Events)
			run := event.NewRun()
			want := tc.hold(t, b, run)
			_, last, err := b.Sequences(t.Context(), bus.Events)
			if err != nil {
				t.Fatal(err)
			}
			if want == 0 {
				want = last + 1
			}
			got := floor(t, b)
			if got > want {
				t.Fatalf("floor %d: sequence %d is still needed", got, want)
			}
			// Precise but for unacknowledged messages, whose floor is the
			// last message before that was acknowledged.
			if got < want && !strings.HasPrefix(tc.name, "a consumer that has not ack") && !strings.HasPrefix(tc.name, "a message handed") {
				t.Errorf("floor %d, could be %d", got, want)
			}
			if err := b.Trim(t.Context(), bus.Events, got); err != nil {
				t.Fatal(err)
			}
			if first, _, err := b.Sequences(t.Context(), bus.Events); err != nil || first > want || first < 2 {
				t.Fatalf("first sequence %d after trimming below %d, %v", first, got, err)
			}
			tc.release(t, b, run)
			_, last, err = b.Sequences(t.Context(), bus.Events)
			if err != nil {
				t.Fatal(err)
			}
			if got := floor(t, b); got != last+1 {
				t.Errorf("floor %d after all is done, want %d", got, last+1)
			}
		})
	}
}

func TestFloorNeedsEveryDurable(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	wholeRun(t, b)
	swallow(t, b, bus.Events)
	if err := b.JetStream().DeleteConsumer(t.Context(), bus.Events, bus.DurableAttest); err != nil {
		t.Fatal(err)
	}
	if f, err := b.Floor(t.Context(), bus.Events); err == nil || !strings.Contains(err.Error(), "attest") {
		t.Errorf("floor %d, %v, with a consumer missing", f, err)
	}
}

// VERDICTS remembers where in EVENTS it was. If EVENTS was made anew, that
// says nothing about the verdicts there now.
func TestFloorIsUnknownAfterEventsWasMadeAnew(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	wholeRun(t, b)
	if err := b.JetStream().DeleteStream(t.Context(), bus.Events); err != nil {
		t.Fatal(err)
	}
	bustest.Provision(t, b)
	publish(t, b, verdict(event.NewRun()))
	swallow(t, b, bus.Events)
	if f, err := b.Floor(t.Context(), bus.Events); err == nil || !strings.Contains(err.Error(), "made anew") {
		t.Errorf("floor %d, %v", f, err)
	}
}

func TestTrimRefusesToSkipSequences(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	publish(t, b, upload("1"))
	if err := b.Trim(t.Context(), bus.Uploads, 3); err == nil {
		t.Error("trimmed beyond the end")
	}
	if err := b.Trim(t.Context(), bus.Uploads, 1); err != nil {
		t.Error(err)
	}
	if err := b.Trim(t.Context(), bus.Verdicts, 1); err != nil {
		t.Error(err)
	}
	if ack := publish(t, b, upload("2")); ack.Sequence != 2 {
		t.Errorf("%+v", ack)
	}
}

// The trimmer follows what happens, stops at the audit log's position, and
// in the end the store is empty.
func TestTrimmer(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	last := wholeRun(t, b)
	publish(t, b, upload("1"))
	swallow(t, b, bus.Events)
	swallow(t, b, bus.Uploads)
	var position atomic.Uint64
	position.Store(2)
	ctx, cancel := newContext(t)
	done := make(chan error, 1)
	go func() {
		tr := bus.Trimmer{Bus: b, Every: 20 * time.Millisecond, Position: func(stream string) uint64 {
			if stream == bus.Uploads {
				return 1
			}
			return position.Load()
		}}
		done <- tr.Run(ctx)
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	first := func(stream string) uint64 {
		first, _, err := b.Sequences(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		return first
	}
	bustest.Eventually(t, "trimmed to the position", func() bool { return first(bus.Events) == 2 })
	time.Sleep(100 * time.Millisecond)
	if f, u := first(bus.Events), first(bus.Uploads); f != 2 || u != 1 {
		t.Errorf("trimmed to %d and %d, the audit log needs 2 and 1", f, u)
	}
	position.Store(1000)
	bustest.Eventually(t, "trimmed to the end", func() bool { return first(bus.Events) == last+1 })
	wholeRun(t, b)
	swallow(t, b, bus.Events)
	bustest.Eventually(t, "trimmed again", func() bool { return first(bus.Events) == last+5 })
	s, err := b.JetStream().Stream(t.Context(), bus.Events)
	if err != nil {
		t.Fatal(err)
	}
	if st := s.CachedInfo().State; st.Msgs != 0 || st.Bytes != 0 {
		t.Errorf("left: %+v", st)
	}
}
