package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/services/audit"
	"assize.dev/services/sign"
	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// While uploads arrive, every process is killed with SIGKILL in turn, NATS
// and the object store included. Afterwards every upload has exactly one
// verdict, every fact is on the stream exactly once, and the audit log holds
// every event of every stream and its chain is whole.
//
// ASSIZE_CHAOS_UPLOADS sets the number of uploads.
func TestKillsLoseNothing(t *testing.T) {
	uploads := 500
	if v, err := strconv.Atoi(os.Getenv("ASSIZE_CHAOS_UPLOADS")); err == nil {
		uploads = v
	} else if testing.Short() {
		uploads = 50
	}
	s := newStack(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()

	stop := make(chan struct{})
	var chaos sync.WaitGroup
	kills := 0
	chaos.Go(func() { kills = s.killInTurn(stop) })

	var mu sync.Mutex
	runs := map[string]int{} // run to number of the package
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for n := range uploads {
		group.Go(func() error {
			name, body := npmPackage(n)
			run, err := s.put(gctx, name, fmt.Sprint("key-", n), body, nil)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if other, taken := runs[run]; taken {
				return fmt.Errorf("packages %d and %d got the same run %s", other, n, run)
			}
			runs[run] = n
			return nil
		})
	}
	err := group.Wait()
	if err == nil {
		err = s.awaitVerdicts(ctx, uploads/2)
	}
	close(stop)
	chaos.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if kills < 2*(len(serviceNames)+2) {
		t.Logf("only %d kills happened", kills)
	}
	if err := s.awaitVerdicts(ctx, uploads); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d uploads, %d kills", uploads, kills)
	s.checkFacts(ctx, runs)
	s.checkAudit(ctx)
	if n := replayAll(ctx, t, s.blobs()); n != len(runs) {
		t.Errorf("%d verdicts replayed, want %d", n, len(runs))
	}
}

// killInTurn kills one process after another and brings each back, until
// stop is closed; in the end all run.
func (s *stack) killInTurn(stop <-chan struct{}) (kills int) {
	victims := append([]string{"nats", "store"}, serviceNames...)
	for i := 0; ; i++ {
		select {
		case <-stop:
			return kills
		case <-time.After(400 * time.Millisecond):
		}
		switch name := victims[i%len(victims)]; name {
		case "store":
			s.store.Kill()
			time.Sleep(100 * time.Millisecond)
			s.store.Restart()
		case "nats":
			s.nats.kill()
			time.Sleep(100 * time.Millisecond)
			s.nats.run()
		default:
			s.services[name].kill()
			time.Sleep(100 * time.Millisecond)
			s.services[name].run()
		}
		kills++
	}
}

// awaitVerdicts waits for n verdicts in the feed.
func (s *stack) awaitVerdicts(ctx context.Context, n int) error {
	b := s.bus()
	last, quiet := uint64(0), time.Now()
	for {
		_, got, err := b.Sequences(ctx, bus.Verdicts)
		if err == nil && got >= uint64(n) {
			return nil
		}
		if got > last {
			last, quiet = got, time.Now()
		}
		if time.Since(quiet) > 2*time.Minute {
			return fmt.Errorf("%d verdicts of %d, and none for two minutes (%v)", last, n, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d verdicts of %d: %w", last, n, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// messages reads a whole stream.
func (s *stack) messages(ctx context.Context, stream string) []*bus.Message {
	s.t.Helper()
	b := s.bus()
	_, last, err := b.Sequences(ctx, stream)
	if err != nil {
		s.t.Fatal(err)
	}
	var all []*bus.Message
	if last == 0 {
		return nil
	}
	fctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err = b.Follow(fctx, stream, 1, nil, func(m *bus.Message) error {
		all = append(all, m)
		if m.Sequence >= last {
			cancel()
		}
		return nil
	})
	if err != nil && fctx.Err() == nil {
		s.t.Fatal(err)
	}
	return all
}

// checkFacts verifies that each run has each fact once, and a verdict that
// is signed and right.
func (s *stack) checkFacts(ctx context.Context, runs map[string]int) {
	t := s.t
	t.Helper()
	keys, err := sign.LoadPublicKeys(s.public)
	if err != nil {
		t.Fatal(err)
	}
	perSubject := map[string]int{}
	verdicts := map[string]int{}
	for _, m := range s.messages(ctx, bus.Events) {
		perSubject[m.Subject]++
		if m.Event == nil || m.Event.Type != event.TypeVerdict {
			continue
		}
		var v event.Verdict
		if err := event.Decode(m.Event, &v); err != nil {
			t.Error(err)
			continue
		}
		n, known := runs[v.Run]
		if !known {
			t.Errorf("verdict of run %s, which no upload was told", v.Run)
			continue
		}
		verdicts[v.Run]++
		statement, err := sign.VerifyEnvelope(keys[0].Key, v.Envelope)
		if err != nil {
			t.Errorf("run %s: %v", v.Run, err)
			continue
		}
		if !statement.About(v.Artifact) {
			t.Errorf("run %s: the statement is about something else", v.Run)
		}
		want := event.Allow
		if vulnerable(n) {
			want = event.Deny
		}
		if v.Decision != want {
			t.Errorf("package %d: %s, want %s: %+v", n, v.Decision, want, v.Reasons)
		}
	}
	for subject, n := range perSubject {
		if n != 1 {
			t.Errorf("%s was published %d times", subject, n)
		}
	}
	for run := range runs {
		if verdicts[run] != 1 {
			t.Errorf("run %s has %d verdicts", run, verdicts[run])
		}
	}
	maps.DeleteFunc(perSubject, func(subject string, _ int) bool { return strings.HasPrefix(subject, "assize.operation.") })
	// artifact, five kinds of evidence, decision, verdict
	if want := 8 * len(runs); len(perSubject) != want {
		t.Errorf("%d facts, want %d", len(perSubject), want)
	}
	feed := map[string]int{}
	for _, m := range s.messages(ctx, bus.Verdicts) {
		feed[m.Subject]++
	}
	if len(feed) != len(runs) {
		t.Errorf("the feed has %d verdicts, want %d", len(feed), len(runs))
	}
	for subject, n := range feed {
		if n != 1 {
			t.Errorf("the feed has %s %d times", subject, n)
		}
	}
}

// checkAudit verifies the log and that it holds every message of every
// stream exactly once.
func (s *stack) checkAudit(ctx context.Context) {
	t := s.t
	t.Helper()
	store := s.blobs()
	want := map[string]digest.Digest{}
	for _, stream := range []string{bus.Uploads, bus.Events, bus.Dead} {
		for _, m := range s.messages(ctx, stream) {
			want[fmt.Sprint(stream, "/", m.Sequence)] = digest.Of(m.Data)
		}
	}
	policy, err := audit.KeyPolicy(s.log)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	for {
		r, err := audit.Verify(ctx, store, audit.Options{Policy: policy})
		if err != nil {
			t.Fatal(err)
		}
		if !r.OK() {
			t.Fatalf("audit log: %+v", r.Problems)
		}
		published := r.Checkpoint != nil && r.Checkpoint.Verified && r.Checkpoint.Size == r.Entries
		if published && r.Entries == uint64(len(want)) {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("%d entries for %d messages, published %+v", r.Entries, len(want), r.Checkpoint)
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	for e, err := range audit.Entries(ctx, store, 0) {
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprint(e.Stream, "/", e.Sequence)
		if d, ok := want[key]; !ok || d != e.Digest {
			t.Errorf("entry %d records %s %s, which is not on the stream", e.Index, key, e.Digest)
		}
		delete(want, key)
	}
	if len(want) > 0 {
		t.Errorf("%d messages are not in the audit log", len(want))
	}
}
