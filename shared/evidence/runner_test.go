package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// Every lane is served, every answer arrives as it was given, and what is
// large is in the store.
func TestRunnerAnswers(t *testing.T) {
	t.Parallel()
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
		a, want := b.order(lane), answers[lane]
		e := b.evidence(event.KindSecrets, a)
		if d := b.deadLetter(a); d != nil {
			t.Errorf("%s: dead letter: %+v", lane, d)
		}
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
}

// What cannot be analysed is a dead letter and evidence that it failed. One
// failure does not touch another.
func TestRunnerFails(t *testing.T) {
	t.Parallel()
	const most = 5 // attempts, the bus's default
	type analyse func(ctx context.Context, in Input) (*Answer, error)
	fail := func(err error) analyse { return func(context.Context, Input) (*Answer, error) { return nil, err } }
	answer := func(a *Answer) analyse { return func(context.Context, Input) (*Answer, error) { return a, nil } }
	document := func(d digest.Digest) analyse {
		return func(ctx context.Context, in Input) (*Answer, error) {
			_, err := in.Document(ctx, event.Document{Digest: d})
			return &Answer{Status: event.Complete}, err
		}
	}
	cases := map[string]struct {
		analyse analyse
		tries   int64
		says    string
	}{
		"panic":              {func(context.Context, Input) (*Answer, error) { panic("ouch") }, most, "ouch"},
		"error":              {fail(errors.New("ouch")), most, "ouch"},
		"no reason":          {fail(errors.New("")), most, "no reason"},
		"no answer":          {answer(nil), most, "no answer"},
		"permanent":          {fail(bus.Permanent(errors.New("ouch"))), 1, "ouch"},
		"answer not allowed": {answer(&Answer{Status: event.Partial}), 1, "needs one"},
		"status unknown":     {answer(&Answer{Status: "fine"}), 1, "fine"},
		"document misnamed":  {document("sha256:../../x"), most, "malformed key"},
		"document absent":    {document(digest.Of([]byte("absent"))), most, "not found"},
		"long reason":        {fail(bus.Permanent(errors.New(strings.Repeat("\x00", 1<<20)))), 1, "\x00\x00…"},
		"bytes absent": {func(ctx context.Context, in Input) (*Answer, error) {
			_, err := read(ctx, in)
			return &Answer{Status: event.Complete}, err
		}, most, "not found"},
	}
	b := newBench(t)
	var mu sync.Mutex
	tries := map[string]int64{}
	b.run(asking{event.KindContent, func(ctx context.Context, in Input) (*Answer, error) {
		mu.Lock()
		tries[in.Artifact.Name]++
		mu.Unlock()
		return cases[in.Artifact.Name].analyse(ctx, in)
	}})
	orders := map[string]event.Artifact{}
	for name := range cases {
		bytes := content
		if name == "bytes absent" {
			bytes = "other"
		}
		orders[name] = b.orderOf(event.LaneNew, name, bytes)
	}
	for name, c := range cases {
		e := b.evidence(event.KindContent, orders[name])
		if e.Status != event.Failed || !strings.Contains(e.Reason, c.says) || len(e.Reason) > maxReason {
			t.Errorf("%s: %s: %.200q, want %q", name, e.Status, e.Reason, c.says)
		}
		if d := b.deadLetter(orders[name]); d == nil || int64(d.Attempts) != c.tries {
			t.Errorf("%s: dead letter: %+v", name, d)
		}
		mu.Lock()
		if tries[name] != c.tries {
			t.Errorf("%s: tried %d times, want %d", name, tries[name], c.tries)
		}
		mu.Unlock()
	}
}

// An analysis that does not end is ended.
func TestRunnerTimeout(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.runner.Timeout = 20 * time.Millisecond
	b.run(asking{event.KindContent, func(ctx context.Context, _ Input) (*Answer, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	a := b.order(event.LaneNew)
	if e := b.evidence(event.KindContent, a); e.Status != event.Failed || !strings.Contains(e.Reason, "deadline") || b.deadLetter(a) == nil {
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
	t.Parallel()
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
	if d := b.deadLetter(a); d != nil {
		t.Errorf("dead letter: %+v", d)
	}
}

// The first answer stands, also when the analysis is done again because its
// worker died before it could say that it was done, and then even fails.
func TestRunnerSecondAnswerIsNotHeard(t *testing.T) {
	t.Parallel()
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
	if d := b.deadLetter(second); d != nil {
		t.Errorf("dead letter: %+v", d)
	}
	if d := b.deadLetter(third); d == nil || d.Reason != "third" {
		t.Errorf("dead letter: %+v", d)
	}
}

// Evidence that is taken from an earlier run is not gathered again.
func TestRunnerSparesWhatIsReused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	a := event.Artifact{Run: event.NewRun(), Lane: event.LaneAgain, Registry: "r.x", Name: "n", Filename: "n", Digest: digest.Of([]byte(content)),
		SHA512: strings.Repeat("0", 128), Size: int64(len(content)), Format: "unknown", Received: time.Now(),
		Supersedes: event.NewRun(), Reuse: []event.Kind{event.KindSecrets}}
	b.publish(&a)
	complete := func(context.Context, Input) (*Answer, error) { return &Answer{Status: event.Complete}, nil }
	b.run(asking{event.KindSecrets, complete}, asking{event.KindContent, complete})
	b.evidence(event.KindContent, a)
	b.settled(bus.DurableFor(event.KindSecrets, event.LaneAgain))
	if _, err := b.runner.Bus.Last(t.Context(), event.EvidenceSubject(event.KindSecrets, a.Registry, a.Run)); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("it was gathered again: %v", err)
	}
}

// More findings than an event takes: the worst are in it, all in a document.
func TestRunnerManyFindings(t *testing.T) {
	t.Parallel()
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
