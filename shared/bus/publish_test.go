package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

func TestPublishIsAcknowledgedAndDeduplicatedByMessageID(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	e := say(t, upload("1"))
	first, err := b.Publish(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if first.Stream != bus.Uploads || first.Sequence != 1 || first.Duplicate {
		t.Errorf("first: %+v", first)
	}
	again, err := b.Publish(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Duplicate || again.Sequence != 1 {
		t.Errorf("again: %+v", again)
	}
	if _, last, err := b.Sequences(t.Context(), bus.Uploads); err != nil || last != 1 {
		t.Errorf("last sequence %d, %v", last, err)
	}
}

// Of many who publish the one decision of a run, each with a message of its
// own, exactly one succeeds: the expected last sequence of the subject is 0.
func TestOnceLetsExactlyOneSucceed(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	run := event.NewRun()
	var said, exists atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		e := say(t, decision(run))
		e.ID = fmt.Sprint("other id ", i) // so that deduplication does not help
		wg.Go(func() {
			_, err := b.Publish(t.Context(), e, bus.Once())
			switch {
			case err == nil:
				said.Add(1)
			case errors.Is(err, bus.ErrExists) && !errors.Is(err, bus.ErrUnavailable):
				exists.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if said.Load() != 1 || exists.Load() != 7 {
		t.Errorf("%d succeeded, %d were told that it exists", said.Load(), exists.Load())
	}
	// The same event again: a try whose acknowledgement was lost.
	e := say(t, decision(event.NewRun()))
	if _, err := b.Publish(t.Context(), e, bus.Once()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), e, bus.Once()); !errors.Is(err, bus.ErrExists) {
		t.Errorf("%v, want ErrExists", err)
	}
}

func TestLastReadsTheNewestFact(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	run := event.NewRun()
	publish(t, b, artifact(run, event.LaneNew))
	for _, kind := range event.Kinds {
		publish(t, b, evidence(run, kind))
	}
	for _, tc := range []struct {
		subject string
		seq     uint64
	}{
		{event.ArtifactSubject(event.LaneNew, registry, run), 1},
		{event.EvidenceSubject(event.KindSBOM, registry, run), 3},
		{"assize.evidence.*." + event.Token(registry) + "." + run, 6},
		{event.DecisionSubject(registry, run), 0},
	} {
		m, err := b.Last(t.Context(), tc.subject)
		if tc.seq == 0 {
			if !errors.Is(err, bus.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", tc.subject, err)
			}
			continue
		}
		if err != nil || m.Sequence != tc.seq || m.Stream != bus.Events || m.Event == nil || m.Time.IsZero() {
			t.Errorf("%s: %+v, %v", tc.subject, m, err)
		}
	}
	if _, err := b.Last(t.Context(), "elsewhere.x"); err == nil {
		t.Error("a subject of no stream was read")
	}
}

// A publish ends even if the caller set no deadline and nobody answers, and
// says that it was an outage.
func TestPublishEndsWithoutDeadline(t *testing.T) {
	t.Parallel()
	p := bustest.NewProcess(t)
	b := p.Connect()
	bustest.Provision(t, b)
	p.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := b.Publish(ctx, say(t, upload("1"))); !errors.Is(err, bus.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	if err := b.Ready(t.Context()); err == nil {
		t.Error("ready without a server")
	}
	// The next publish outlives the outage; the first was not sent behind
	// the caller's back.
	done := make(chan error, 1)
	go func() {
		_, err := b.Publish(t.Context(), say(t, upload("2")))
		done <- err
	}()
	p.Start()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, last, err := b.Sequences(t.Context(), bus.Uploads); err != nil || last != 1 {
		t.Errorf("last sequence %d, %v; want only the second upload", last, err)
	}
	bustest.Eventually(t, "ready again", func() bool { return b.Ready(t.Context()) == nil })
}

// Somebody may have used a fact's message id up on another subject, to have
// it taken for a duplicate; the fact is stored all the same.
func TestOnceIsNotFooledByASpentMessageID(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	e := say(t, decision(event.NewRun()))
	spent := nats.NewMsg("assize.evidence.theirs.x.y")
	spent.Header.Set(jetstream.MsgIDHeader, e.ID)
	if _, err := b.JetStream().PublishMsg(t.Context(), spent); err != nil {
		t.Fatal(err)
	}
	if ack, err := b.Publish(t.Context(), e, bus.Once()); err != nil || ack.Duplicate || ack.Sequence != 2 {
		t.Fatalf("%+v, %v", ack, err)
	}
	if _, err := b.Publish(t.Context(), e, bus.Once()); !errors.Is(err, bus.ErrExists) {
		t.Errorf("%v, want ErrExists", err)
	}
	if m, err := b.Last(t.Context(), e.Subject); err != nil || m.Event.ID != e.ID {
		t.Errorf("%+v, %v", m, err)
	}
}

// A full stream refuses and says so, keeps all it has, and takes more once
// it was trimmed.
func TestFullStreamPushesBackAndLosesNothing(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	shrink(t, b, bus.Uploads, 64<<10)
	accepted, err := fill(t, b)
	if !errors.Is(err, bus.ErrFull) || !errors.Is(err, bus.ErrUnavailable) {
		t.Fatalf("%v, want ErrFull and ErrUnavailable", err)
	}
	// A handler that meets this error is retried, not buried.
	var handled atomic.Int32
	stop := consume(t, b, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest,
		Handle: func(context.Context, *bus.Message) error { handled.Add(1); return nil }})
	bustest.Eventually(t, "all handled", func() bool { return settled(t, b, bus.Uploads, bus.DurableIngest) })
	stop()
	if int(handled.Load()) != accepted {
		t.Errorf("%d handled of %d accepted", handled.Load(), accepted)
	}
	floor, err := b.Floor(t.Context(), bus.Uploads)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Trim(t.Context(), bus.Uploads, floor); err != nil {
		t.Fatal(err)
	}
	publish(t, b, upload("after"))
}

func shrink(t testing.TB, b *bus.Bus, stream string, bytes int64) {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxBytes = bytes
	if _, err := b.JetStream().UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

// fill publishes uploads until one is refused.
func fill(t testing.TB, b *bus.Bus) (accepted int, err error) {
	t.Helper()
	u := upload("")
	u.Signatures = []event.Attached{{Name: "a.sig", Data: make([]byte, 4<<10)}}
	for range 1000 {
		u.ID = fmt.Sprint(accepted)
		if _, err := b.Publish(t.Context(), say(t, u)); err != nil {
			return accepted, err
		}
		accepted++
	}
	return accepted, nil
}

// The public feed copies from EVENTS; when it is full it falls behind but
// skips nothing, and catches up when there is room.
func TestFullVerdictsFallBehindAndCatchUp(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	shrink(t, b, bus.Verdicts, 2<<10)
	const verdicts = 20
	for range verdicts {
		publish(t, b, verdict(event.NewRun()))
	}
	count := func() uint64 {
		s, err := b.JetStream().Stream(t.Context(), bus.Verdicts)
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().State.Msgs
	}
	bustest.Eventually(t, "some copied", func() bool { return count() > 0 })
	if n := count(); n >= verdicts {
		t.Fatalf("%d of %d verdicts fit; the test needs them not to", n, verdicts)
	}
	shrink(t, b, bus.Verdicts, 1<<20)
	bustest.Eventually(t, "all copied", func() bool { return count() == verdicts })
	seen := map[string]bool{}
	ctx, cancel := context.WithCancel(t.Context())
	err := b.Follow(ctx, bus.Verdicts, 0, nil, func(m *bus.Message) error {
		seen[m.Event.ID] = true
		if m.Pending == 0 {
			cancel()
		}
		return nil
	})
	if err != nil || len(seen) != verdicts {
		t.Errorf("%d different verdicts, %v", len(seen), err)
	}
}

// Header names go out as they are: others look for "traceparent" and
// "ce-id", and NATS minds the case.
func TestHeaderCase(t *testing.T) {
	b := bustest.Bus(t)
	spans := record(t)
	ctx, span := spans.tracer.Start(t.Context(), "test")
	if _, err := b.Publish(ctx, say(t, upload("1"))); err != nil {
		t.Fatal(err)
	}
	span.End()
	m, err := b.Last(t.Context(), event.UploadSubject(registry))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"traceparent", "ce-id", "ce-type", "ce-source", "ce-specversion", "ce-time", "content-type", "Nats-Msg-Id"} {
		if len(m.Header[name]) != 1 || m.Header[name][0] == "" {
			t.Errorf("header %s is %q", name, m.Header[name])
		}
	}
	if len(m.Header) != 8 {
		t.Errorf("headers %v", m.Header)
	}
}

// A refused request is never answered; readiness must notice, and a publish
// must not wait for its deadline over and over.
func TestPermissionViolationFailsReadiness(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t, func(o *bus.ServerOptions) {
		o.Listen = "127.0.0.1:0"
		o.ConfigFile = write(t, "nats.conf", `
			authorization { users = [
				{ user: all, password: p }
				{ user: worker, password: p, permissions: { publish: ["$JS.API.INFO", "assize.upload.*"], subscribe: ["_INBOX_w.>"] } }
			] }`)
	})
	connect := func(user, inbox string) *bus.Bus {
		t.Helper()
		b, err := bus.Connect(t.Context(), bus.Config{URL: srv.ClientURL(), User: user, Password: "p", Inbox: inbox, Wait: true}, user)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	bustest.Provision(t, connect("all", ""))
	w := connect("worker", "_INBOX_w")
	publish(t, w, upload("1"))
	if err := w.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := w.Publish(t.Context(), say(t, decision(event.NewRun())))
	if !errors.Is(err, nats.ErrPermissionViolation) || !errors.Is(err, bus.ErrUnavailable) {
		t.Errorf("publishing what is not allowed: %v", err)
	}
	if err := w.Ready(t.Context()); !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("ready: %v", err)
	}
	if _, err := srv.Connect(t.Context(), "inside"); err == nil {
		t.Error("an in-process connection got around the configured users")
	}
}

// No stream allows atomic batches or asynchronous persistence; the facts are
// read from their leader only.
func TestStreamsKeepTheirPromises(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	n := 0
	for s := range b.JetStream().ListStreams(t.Context()).Info() {
		n++
		c := s.Config
		if c.Storage != jetstream.FileStorage || c.Retention != jetstream.LimitsPolicy || c.PersistMode != jetstream.DefaultPersistMode ||
			c.AllowAtomicPublish || c.AllowBatchPublish || c.AllowDirect || c.MirrorDirect || c.NoAck || c.AllowRollup || c.MaxBytes <= 0 {
			t.Errorf("%s: %+v", c.Name, c)
		}
		if c.Name == bus.Excused {
			continue
		}
		if c.Discard != jetstream.DiscardNew || c.MaxMsgSize != 512<<10 || c.Duplicates != 5*time.Minute {
			t.Errorf("%s: %+v", c.Name, c)
		}
		if c.Name != bus.Dead && !c.DenyDelete {
			t.Errorf("%s lets single messages be deleted", c.Name)
		}
		if c.DenyPurge != (c.Name == bus.Verdicts) {
			t.Errorf("%s: deny purge is %v", c.Name, c.DenyPurge)
		}
	}
	if n != 5 {
		t.Errorf("%d streams", n)
	}
}

func TestVerdictsAreFedFromEvents(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	run := event.NewRun()
	publish(t, b, artifact(run, event.LaneNew))
	publish(t, b, decision(run))
	v := verdict(run)
	publish(t, b, v)
	got := make(chan *bus.Message, 1)
	ctx, cancel := context.WithCancel(t.Context())
	if err := b.Follow(ctx, bus.Verdicts, 0, []string{"assize.verdict.deny.>"}, func(m *bus.Message) error {
		got <- m
		cancel()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	m := <-got
	var back event.Verdict
	if err := event.Decode(m.Event, &back); err != nil || back.Run != run || m.Sequence != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := json.Marshal(back); err != nil {
		t.Error(err)
	}
}
