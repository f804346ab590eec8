package verdict

import (
	"context"
	"errors"
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

func openStore(t *testing.T) blob.Store {
	t.Helper()
	store, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// serve runs a replica until the test ends.
func serve(t *testing.T, b *bus.Bus, store blob.Store, policyPath string) {
	t.Helper()
	serveWith(t, b, store, Config{Policy: policyPath, Workers: 3})
}

// serveAgain also has stored verdicts judged again.
func serveAgain(t *testing.T, b *bus.Bus, store blob.Store, policyPath string) {
	t.Helper()
	serveWith(t, b, store, Config{Policy: policyPath, Workers: 3, Again: true})
}

func serveWith(t *testing.T, b *bus.Bus, store blob.Store, c Config) {
	t.Helper()
	s, err := New(t.Context(), c, b, store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() { stop(); group.Wait() })
}

func publish(t *testing.T, b *bus.Bus, p event.Payload) {
	t.Helper()
	e, err := event.New("assize/test", time.Now(), p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), e, bus.Once()); err != nil {
		t.Fatal(err)
	}
}

// examine publishes all facts of a run, evidence of all kinds at once.
func examine(t *testing.T, b *bus.Bus, run string, f facts) {
	t.Helper()
	artifact := testArtifact()
	artifact.Run = run
	publish(t, b, &artifact)
	var group sync.WaitGroup
	for _, e := range f {
		e.Run = run
		group.Go(func() { publish(t, b, e) })
	}
	group.Wait()
}

// decided waits for the decision about a run and checks it against what was
// stored.
func decided(t *testing.T, b *bus.Bus, store blob.Store, run string) event.Decision {
	t.Helper()
	var m *bus.Message
	bustest.Eventually(t, "decision about run "+run, func() bool {
		var err error
		m, err = b.Last(t.Context(), event.DecisionSubject("registry.example", run))
		if err != nil && !errors.Is(err, bus.ErrNotFound) {
			t.Fatal(err)
		}
		return err == nil
	})
	var d event.Decision
	if err := event.Decode(m.Event, &d); err != nil {
		t.Fatal(err)
	}
	object, err := store.Open(t.Context(), d.Record.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	text, err := io.ReadAll(object)
	if err != nil {
		t.Fatal(err)
	}
	if digest.Of(text) != d.Record.Digest {
		t.Errorf("stored record has digest %s, decision says %s", digest.Of(text), d.Record.Digest)
	}
	record, err := ParseRecord(text)
	if err != nil {
		t.Fatal(err)
	}
	for i, ref := range d.Evidence {
		fact, err := b.Last(t.Context(), event.EvidenceSubject(ref.Kind, d.Artifact.Registry, run))
		if err != nil {
			t.Fatal(err)
		}
		if digest.Of(fact.Data) != ref.Digest || record.Evidence[i].Digest != ref.Digest {
			t.Errorf("%s evidence on the stream has digest %s, decision %s, record %s", ref.Kind, digest.Of(fact.Data), ref.Digest, record.Evidence[i].Digest)
		}
		broken := event.Decode(fact.Event, &event.Evidence{}) != nil // does not count for the time
		if !broken && fact.Time.After(d.Time) {
			t.Errorf("decided as of %s, before the %s evidence of %s", d.Time, ref.Kind, fact.Time)
		}
	}
	if _, err := blob.GetDocument(t.Context(), store, d.Policy.Digest, 1<<20); err != nil {
		t.Errorf("the policy's digest leads nowhere: %v", err)
	}
	return d
}

func TestServiceDecidesEveryRunOnce(t *testing.T) {
	server := bustest.Server(t)
	first, second := bustest.Connect(t, server), bustest.Connect(t, server)
	bustest.Provision(t, first)
	store := openStore(t)
	serve(t, first, store, "")
	serve(t, second, store, "")

	const runs = 12
	var names []string
	var group sync.WaitGroup
	for range runs {
		run := event.NewRun()
		names = append(names, run)
		group.Go(func() { examine(t, first, run, clean()) })
	}
	group.Wait()
	for _, run := range names {
		if d := decided(t, first, store, run); show(d) != allowed {
			t.Errorf("run %s:\n%s", run, show(d))
		}
	}
	stream, err := first.JetStream().Stream(t.Context(), bus.Events)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := uint64(runs*(1+len(event.Kinds)+1) + 1); info.State.Msgs != want {
		t.Errorf("%d events on the stream, want %d: an artifact, its evidence and one decision each, and one notice of the policy", info.State.Msgs, want)
	}
}

func TestServiceHoldsBrokenEvidence(t *testing.T) {
	b := bustest.Bus(t)
	store := openStore(t)
	serve(t, b, store, "")
	run := event.NewRun()
	subject := event.EvidenceSubject(sec, "registry.example", run)
	broken := &event.Event{ID: run + "/broken", Source: "third/party", Type: event.TypeEvidence, Time: testTime, Subject: subject, Data: []byte(`{ "oops": 1 }`)}
	if _, err := b.Publish(t.Context(), broken); err != nil {
		t.Fatal(err)
	}
	f := clean()
	delete(f, sec)
	examine(t, b, run, f)
	d := decided(t, b, store, run)
	if d.Decision != event.Hold || d.Reasons[0].Rule != "evidence/unusable" || d.Reasons[0].Evidence != sec {
		t.Errorf("got:\n%s", show(d))
	}
}

// Evidence that breaks the contract may be the last of its run; nobody
// handles it, and the run is decided all the same.
func TestServiceDecidesWhenBrokenEvidenceIsLast(t *testing.T) {
	b := bustest.Bus(t)
	store := openStore(t)
	serve(t, b, store, "")
	run := event.NewRun()
	f := clean()
	delete(f, sec)
	examine(t, b, run, f)
	subject := event.EvidenceSubject(sec, "registry.example", run)
	broken := &event.Event{ID: run + "/broken", Source: "third/party", Type: event.TypeEvidence, Time: testTime, Subject: subject, Data: []byte(`{}`)}
	if _, err := b.Publish(t.Context(), broken); err != nil {
		t.Fatal(err)
	}
	if d := decided(t, b, store, run); d.Decision != event.Hold {
		t.Errorf("%s: %+v", d.Decision, d.Reasons)
	}
}

// A record that a replica with another policy left behind is kept, and ours
// lies beside it.
func TestServiceKeepsOtherRecord(t *testing.T) {
	b := bustest.Bus(t)
	store := openStore(t)
	run := event.NewRun()
	other := "another record"
	key := blob.VerdictKey(testDigest, run, RecordName)
	if err := store.Create(t.Context(), key, strings.NewReader(other), int64(len(other))); err != nil {
		t.Fatal(err)
	}
	serve(t, b, store, "")
	examine(t, b, run, clean())
	d := decided(t, b, store, run)
	if !strings.HasPrefix(d.Record.Key, key+".") || d.Record.Name != RecordName {
		t.Errorf("record at %s", d.Record.Key)
	}
}

// flaky is a store that is away for the first few writes.
type flaky struct {
	blob.Store
	fails atomic.Int32
}

func (s *flaky) Create(ctx context.Context, key string, body io.Reader, size int64) error {
	if s.fails.Add(-1) >= 0 {
		return errors.New("connection refused")
	}
	return s.Store.Create(ctx, key, body, size)
}

func TestServiceWaitsOutAnOutage(t *testing.T) {
	b := bustest.Bus(t)
	store := &flaky{Store: openStore(t)}
	store.fails.Store(2) // once for the policy, once for the record
	serve(t, b, store, "")
	run := event.NewRun()
	examine(t, b, run, clean())
	decided(t, b, store, run)
	if _, err := b.Last(t.Context(), event.DeadSubject("verdict")); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("dead letter after an outage: %v", err)
	}
}

// Policies that fail hold; policies that cannot be loaded stop the service.
func TestServicePolicies(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, path := range []string{
		write("typo.yaml", "minimum_grad: locked\n"), write("broken.rego", "package assize.policy\nverdict := {"), filepath.Join(dir, "absent.yaml"),
	} {
		if _, err := New(t.Context(), Config{Policy: path}, nil, nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), filepath.Base(path)) {
			t.Errorf("New with %s: %v", path, err)
		}
	}
	endless := write("endless.rego", `package assize.policy
verdict := {"decision": "allow", "grade": "locked", "reasons": [{"rule": "r", "outcome": "allow", "message": "m"}]} if {
	count([1 | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a + b < 0]) == 0
}
`)
	garbage := write("garbage.rego", `package assize.policy
verdict := "allow"
`)
	for path, want := range map[string]string{endless: "no answer within 30ms", garbage: "not an object"} {
		p, err := LoadPolicy(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		p.Timeout = 30 * time.Millisecond
		d := decide(t, p, clean().toCase(t))
		if d.Decision != event.Hold || d.Grade != event.GradeRisk || d.Reasons[0].Rule != "policy/error" || !strings.Contains(d.Reasons[0].Message, want) {
			t.Errorf("%s:\n%s", filepath.Base(path), show(d))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d, _, err := Decide(ctx, builtIn(t, nil), clean().toCase(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("Decide after the end of its context: %v\n%s", err, show(d))
	}
}
