package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// asking is an analyser that answers by a function.
type asking struct {
	kind    event.Kind
	analyse func(ctx context.Context, in Input) (*Answer, error)
}

func (a asking) Kind() event.Kind { return a.kind }
func (a asking) Version() string  { return "1.2.3" }
func (a asking) Analyse(ctx context.Context, in Input) (*Answer, error) {
	return a.analyse(ctx, in)
}

type following struct {
	asking
	follows event.Kind
}

func (f following) Follows() event.Kind { return f.follows }

// bench is a runner with a real bus and a real store that holds content.
type bench struct {
	t        *testing.T
	runner   *Runner
	storeDir string
}

const content = "the bytes of an artifact"

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	store, err := blob.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	b := &bench{t: t, storeDir: dir, runner: &Runner{Service: "test", Bus: bustest.Bus(t), Store: store, Workers: 2,
		Log: slog.New(slog.DiscardHandler), backoff: func(int) time.Duration { return time.Millisecond }}}
	b.storeContent()
	return b
}

func (b *bench) storeContent() {
	b.t.Helper()
	spooled, err := blob.Spool(b.t.Context(), "", strings.NewReader(content), 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	defer spooled.Close()
	if _, err := blob.PutBlob(b.t.Context(), b.runner.Store, spooled); err != nil {
		b.t.Fatal(err)
	}
}

// run serves the analysers until the test ends.
func (b *bench) run(analysers ...Analyser) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.runner.Run(ctx, analysers...); err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(func() { cancel(); running.Wait() })
}

func (b *bench) publish(p event.Payload) {
	b.t.Helper()
	e, err := event.New("assize/test", time.Now(), p)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.runner.Bus.Publish(b.t.Context(), e, bus.Once()); err != nil {
		b.t.Fatal(err)
	}
}

// order orders the examination of content.
func (b *bench) order(lane event.Lane) event.Artifact {
	b.t.Helper()
	a := event.Artifact{Run: event.NewRun(), Lane: lane, Registry: "r.x", Name: "n", Filename: "n", Digest: digest.Of([]byte(content)),
		SHA512: strings.Repeat("0", 128), Size: int64(len(content)), Format: "unknown", Received: time.Now()}
	b.publish(&a)
	return a
}

// evidence waits for what is said about a.
func (b *bench) evidence(kind event.Kind, a event.Artifact) *event.Evidence {
	b.t.Helper()
	var m *bus.Message
	bustest.Eventually(b.t, "evidence of kind "+string(kind), func() bool {
		var err error
		m, err = b.runner.Bus.Last(b.t.Context(), event.EvidenceSubject(kind, a.Registry, a.Run))
		if err != nil && !errors.Is(err, bus.ErrNotFound) {
			b.t.Fatal(err)
		}
		return err == nil
	})
	var e event.Evidence
	if err := event.Decode(m.Event, &e); err != nil {
		b.t.Fatal(err)
	}
	if e.Run != a.Run || e.Lane != a.Lane || e.Registry != a.Registry || e.Artifact != a.Digest || e.Kind != kind ||
		e.Producer != (event.Producer{Name: "test", Version: "1.2.3"}) || e.Started.IsZero() || e.Finished.Before(e.Started) || m.Event.Source != "assize/test" {
		b.t.Errorf("evidence %+v by %s is not about %+v", e, m.Event.Source, a)
	}
	return &e
}

// settled waits until the durable has nothing left to hand out or wait for.
func (b *bench) settled(durable string) {
	b.t.Helper()
	bustest.Eventually(b.t, durable+" is through", func() bool {
		c, err := b.runner.Bus.JetStream().Consumer(b.t.Context(), bus.Events, durable)
		if err != nil {
			b.t.Fatal(err)
		}
		i, err := c.Info(b.t.Context())
		if err != nil {
			b.t.Fatal(err)
		}
		return i.NumPending == 0 && i.NumAckPending == 0
	})
}

// deadLetter is the last one of the service; nil if there is none.
func (b *bench) deadLetter() *event.DeadLetter {
	b.t.Helper()
	m, err := b.runner.Bus.Last(b.t.Context(), event.DeadSubject("test"))
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	if err != nil {
		b.t.Fatal(err)
	}
	var d event.DeadLetter
	if err := json.Unmarshal(m.Data, &d); err != nil {
		b.t.Fatal(err)
	}
	return &d
}

func read(ctx context.Context, in Input) (string, error) {
	f, err := in.Bytes(ctx)
	if err != nil {
		return "", err
	}
	defer f.Close()
	all, err := io.ReadAll(f)
	return string(all), err
}

// Every lane is served, every answer arrives as it was given, and what is
// large is in the store.
func TestRunnerAnswers(t *testing.T) {
	b := newBench(t)
	answers := map[event.Lane]*Answer{
		event.LaneNew: {Status: event.Complete, Basis: map[string]string{"rules": "7"}, Findings: []event.Finding{{ID: "F1", Severity: event.High}},
			Documents:    []Document{{Name: "sbom", MediaType: "application/json", Data: []byte("{}")}},
			Components:   &event.Catalogue{Count: 3, Licenses: []string{"MIT"}},
			Verification: &event.Verification{Result: event.Pass, Level: "deep", SLSALevel: 3, Signatures: []event.Signature{{Kind: "pspf", Valid: true}}, Checks: []event.Check{{Name: "index", OK: true}}}},
		event.LaneAsked: {Status: event.Partial, Reason: "half of it"},
		event.LaneAgain: {Status: event.NotApplicable},
	}
	b.run(asking{event.KindSecrets, func(ctx context.Context, in Input) (*Answer, error) {
		if got, err := read(ctx, in); err != nil || got != content || in.Evidence != nil {
			return nil, bus.Permanent(fmt.Errorf("read %q, %w", got, err))
		}
		return answers[in.Artifact.Lane], nil
	}})
	for _, lane := range event.Lanes {
		e, want := b.evidence(event.KindSecrets, b.order(lane)), answers[lane]
		if e.Status != want.Status || e.Reason != want.Reason || e.FindingsTotal != len(want.Findings) || len(e.Documents) != len(want.Documents) {
			t.Errorf("%s: %+v, want %+v", lane, e, want)
		}
		if lane != event.LaneNew {
			continue
		}
		if e.Findings[0].ID != "F1" || e.Basis["rules"] != "7" || fmt.Sprint(e.Verification) != fmt.Sprint(want.Verification) || fmt.Sprint(e.Components) != fmt.Sprint(want.Components) {
			t.Errorf("%+v, want %+v", e, want)
		}
		d := e.Documents[0]
		text, err := blob.GetDocument(t.Context(), b.runner.Store, d.Digest, 1000)
		if err != nil || string(text) != "{}" || d.Name != "sbom" || d.MediaType != "application/json" || d.Key != blob.DocumentKey(d.Digest) || d.Size != 2 {
			t.Errorf("document %+v: %q, %v", d, text, err)
		}
	}
	if d := b.deadLetter(); d != nil {
		t.Errorf("dead letter: %+v", d)
	}
}

// What cannot be analysed is a dead letter and evidence that it failed.
func TestRunnerFails(t *testing.T) {
	const most = 5 // attempts, the bus's default
	for name, c := range map[string]struct {
		analyse func(ctx context.Context, in Input) (*Answer, error)
		tries   int64
		says    string
	}{
		"panic":              {func(context.Context, Input) (*Answer, error) { panic("ouch") }, most, "ouch"},
		"error":              {func(context.Context, Input) (*Answer, error) { return nil, errors.New("ouch") }, most, "ouch"},
		"no reason":          {func(context.Context, Input) (*Answer, error) { return nil, errors.New("") }, most, "no reason"},
		"no answer":          {func(context.Context, Input) (*Answer, error) { return nil, nil }, most, "no answer"},
		"permanent":          {func(context.Context, Input) (*Answer, error) { return nil, bus.Permanent(errors.New("ouch")) }, 1, "ouch"},
		"answer not allowed": {func(context.Context, Input) (*Answer, error) { return &Answer{Status: event.Partial}, nil }, 1, "needs one"},
		"status unknown":     {func(context.Context, Input) (*Answer, error) { return &Answer{Status: "fine"}, nil }, 1, "fine"},
		"too slow":           {func(ctx context.Context, _ Input) (*Answer, error) { <-ctx.Done(); return nil, ctx.Err() }, most, "deadline"},
		"document misnamed": {func(ctx context.Context, in Input) (*Answer, error) {
			_, err := in.Document(ctx, event.Document{Digest: "sha256:../../x"})
			return nil, err
		}, most, "malformed key"},
		"document absent": {func(ctx context.Context, in Input) (*Answer, error) {
			_, err := in.Document(ctx, event.Document{Digest: digest.Of([]byte("absent"))})
			return nil, err
		}, most, "not found"},
		"long reason": {func(context.Context, Input) (*Answer, error) {
			return nil, bus.Permanent(errors.New(strings.Repeat("\x00", 1<<20)))
		}, 1, "\x00\x00…"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if name == "too slow" {
				b.runner.Timeout = 20 * time.Millisecond
			}
			var tries atomic.Int64
			b.run(asking{event.KindContent, func(ctx context.Context, in Input) (*Answer, error) {
				tries.Add(1)
				return c.analyse(ctx, in)
			}})
			e := b.evidence(event.KindContent, b.order(event.LaneNew))
			if e.Status != event.Failed || !strings.Contains(e.Reason, c.says) || len(e.Reason) > maxReason {
				t.Errorf("%s: %.200q, want %q", e.Status, e.Reason, c.says)
			}
			if tries.Load() != c.tries {
				t.Errorf("tried %d times, want %d", tries.Load(), c.tries)
			}
			if d := b.deadLetter(); d == nil || int64(d.Attempts) != c.tries {
				t.Errorf("dead letter: %+v", d)
			}
		})
	}
}

// Damaged or missing bytes are the artifact's trouble: they are retried, and
// then the evidence failed.
func TestRunnerMissingBytes(t *testing.T) {
	b := newBench(t)
	if err := b.runner.Store.Delete(t.Context(), blob.BlobKey(digest.Of([]byte(content)))); err != nil {
		t.Fatal(err)
	}
	b.run(asking{event.KindSBOM, func(ctx context.Context, in Input) (*Answer, error) {
		_, err := read(ctx, in)
		return &Answer{Status: event.Complete}, err
	}})
	if e := b.evidence(event.KindSBOM, b.order(event.LaneNew)); e.Status != event.Failed || !strings.Contains(e.Reason, "not found") {
		t.Errorf("%s: %s", e.Status, e.Reason)
	}
}

// Whatever the store says about the object is no outage: waiting for it
// would never end.
func TestOutage(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	away := errors.New("connection refused")
	unavailable := func(err error) bool { return errors.Is(err, bus.ErrUnavailable) }
	if outage(t.Context(), nil) != nil || !unavailable(outage(t.Context(), away)) || unavailable(outage(over, away)) {
		t.Error("an outage is an error that is not the analysis's own")
	}
	for _, err := range []error{blob.ErrNotFound, blob.ErrCorrupt, blob.ErrTooLarge, blob.ErrKey} {
		if unavailable(outage(t.Context(), fmt.Errorf("reading: %w", err))) {
			t.Errorf("%v passes for an outage", err)
		}
	}
}

// An outage is waited for, longer than there are attempts, whether it is
// noticed when reading or when storing.
func TestRunnerWaits(t *testing.T) {
	b := newBench(t)
	var tries atomic.Int64
	b.run(asking{event.KindSecrets, func(context.Context, Input) (*Answer, error) {
		if tries.Add(1) <= 12 {
			return nil, bus.Unavailable(errors.New("away"))
		}
		return &Answer{Status: event.Complete}, nil
	}}, asking{event.KindSBOM, func(_ context.Context, in Input) (*Answer, error) {
		return &Answer{Status: event.Complete, Documents: []Document{{Name: "sbom", Data: []byte(in.Artifact.Run)}}}, nil
	}})
	// A plain file where the documents' folder would be.
	blocked := filepath.Join(b.storeDir, "documents")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := b.order(event.LaneNew)
	if e := b.evidence(event.KindSecrets, a); e.Status != event.Complete {
		t.Errorf("%s: %s", e.Status, e.Reason)
	}
	bustest.Eventually(t, "more deliveries than attempts", func() bool {
		c, err := b.runner.Bus.JetStream().Consumer(t.Context(), bus.Events, bus.DurableFor(event.KindSBOM, event.LaneNew))
		if err != nil {
			t.Fatal(err)
		}
		return c.CachedInfo().Delivered.Consumer > 8
	})
	if _, err := b.runner.Bus.Last(t.Context(), event.EvidenceSubject(event.KindSBOM, a.Registry, a.Run)); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("evidence although it could not be stored: %v", err)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	if e := b.evidence(event.KindSBOM, a); e.Status != event.Complete || len(e.Documents) != 1 {
		t.Errorf("%+v", e)
	}
	if d := b.deadLetter(); d != nil {
		t.Errorf("dead letter: %+v", d)
	}
}

// The first answer stands, also when the analysis is done again because its
// worker died before it could say that it was done, and then even fails.
func TestRunnerSecondAnswerIsNotHeard(t *testing.T) {
	b := newBench(t)
	second, third := b.order(event.LaneNew), b.order(event.LaneNew)
	for _, a := range []event.Artifact{second, third} {
		b.publish(&event.Evidence{Run: a.Run, Lane: a.Lane, Registry: a.Registry, Kind: event.KindSecrets, Artifact: a.Digest,
			Status: event.Complete, Producer: event.Producer{Name: "test", Version: "1.2.3"}, Started: time.Now(), Finished: time.Now().Add(time.Second)})
	}
	b.run(asking{event.KindSecrets, func(_ context.Context, in Input) (*Answer, error) {
		if in.Artifact.Run == third.Run {
			return nil, bus.Permanent(errors.New("third"))
		}
		return &Answer{Status: event.Partial, Reason: "second"}, nil
	}})
	b.settled(bus.DurableFor(event.KindSecrets, event.LaneNew))
	for _, a := range []event.Artifact{second, third} {
		if e := b.evidence(event.KindSecrets, a); e.Status != event.Complete {
			t.Errorf("another answer was heard: %+v", e)
		}
	}
	if d := b.deadLetter(); d == nil || d.Reason != "third" {
		t.Errorf("dead letter: %+v", d)
	}
}

// A follower gets the evidence, the artifact it is about, and its documents.
func TestRunnerFollower(t *testing.T) {
	b := newBench(t)
	b.run(asking{event.KindSBOM, func(context.Context, Input) (*Answer, error) {
		return &Answer{Status: event.Complete, Documents: []Document{{Name: "sbom", Data: []byte("components")}}}, nil
	}}, following{asking{event.KindVulnerabilities, func(ctx context.Context, in Input) (*Answer, error) {
		text, err := in.Document(ctx, in.Evidence.Documents[0])
		if err != nil {
			return nil, err
		}
		own, err := read(ctx, in)
		return &Answer{Status: event.Complete, Basis: map[string]string{"sbom": string(text), "bytes": own, "name": in.Artifact.Name}}, err
	}}, event.KindSBOM})
	for _, lane := range event.Lanes {
		e := b.evidence(event.KindVulnerabilities, b.order(lane))
		if e.Status != event.Complete || e.Basis["sbom"] != "components" || e.Basis["bytes"] != content || e.Basis["name"] != "n" {
			t.Errorf("%s: %+v", lane, e)
		}
	}
}

// Evidence about other bytes, or about no run at all, is not built on.
func TestRunnerFollowerIsNotMisled(t *testing.T) {
	b := newBench(t)
	b.run(following{asking{event.KindVulnerabilities, func(context.Context, Input) (*Answer, error) {
		return &Answer{Status: event.Complete}, nil
	}}, event.KindSBOM})
	a := b.order(event.LaneNew)
	sbom := &event.Evidence{Run: a.Run, Lane: a.Lane, Registry: a.Registry, Kind: event.KindSBOM, Artifact: digest.Of([]byte("other")),
		Status: event.Complete, Producer: event.Producer{Name: "third-party"}}
	b.publish(sbom)
	if e := b.evidence(event.KindVulnerabilities, a); e.Status != event.Failed || !strings.Contains(e.Reason, string(sbom.Artifact)) {
		t.Errorf("%s: %s", e.Status, e.Reason)
	}
	sbom.Run = event.NewRun()
	b.publish(sbom)
	bustest.Eventually(t, "a dead letter", func() bool {
		d := b.deadLetter()
		return d != nil && strings.Contains(d.Reason, "never ordered")
	})
	b.settled(bus.DurableVulnerabilities)
	if _, err := b.runner.Bus.Last(t.Context(), event.EvidenceSubject(event.KindVulnerabilities, a.Registry, sbom.Run)); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("evidence about a run that was never ordered: %v", err)
	}
}

// More findings than an event takes: the worst are in it, all in a document.
func TestRunnerManyFindings(t *testing.T) {
	b := newBench(t)
	var found []event.Finding
	for i := range 3 * event.MaxFindings {
		found = append(found, event.Finding{ID: fmt.Sprintf("F%03d", i), Severity: []event.Severity{event.Info, event.Critical, event.Low}[i%3]})
	}
	b.run(asking{event.KindSecrets, func(context.Context, Input) (*Answer, error) {
		return &Answer{Status: event.Complete, Findings: found}, nil
	}})
	e := b.evidence(event.KindSecrets, b.order(event.LaneNew))
	if e.Status != event.Complete || len(e.Findings) != event.MaxFindings || e.FindingsTotal != len(found) || e.Findings[event.MaxFindings-1].Severity != event.Critical {
		t.Errorf("%s, %d of %d findings", e.Status, len(e.Findings), e.FindingsTotal)
	}
	if len(e.Documents) != 1 || e.Documents[0].Name != "findings" {
		t.Fatalf("documents: %+v", e.Documents)
	}
	text, err := blob.GetDocument(t.Context(), b.runner.Store, e.Documents[0].Digest, maxDocument)
	var all []event.Finding
	if err != nil || json.Unmarshal(text, &all) != nil || len(all) != len(found) {
		t.Errorf("the document has %d findings, %v", len(all), err)
	}
}
