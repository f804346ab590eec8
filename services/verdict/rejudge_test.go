package verdict

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assize.dev/services/verdict/internal/policy"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
)

// conclude stores what sign would make of a decision, but for the signature.
func conclude(t testing.TB, store blob.Store, d *event.Decision) {
	t.Helper()
	payload := encode(t, map[string]any{"predicate": map[string]any{
		"run": d.Run, "registry": d.Artifact.Registry, "time": d.Time, "artifact": map[string]any{"filename": d.Artifact.Filename},
		"decision": d.Decision, "grade": d.Grade, "reasons": d.Reasons, "policy": d.Policy, "record": map[string]any{"key": d.Record.Key, "digest": d.Record.Digest},
	}})
	text := encode(t, map[string]any{"payload": payload})
	if err := store.Create(t.Context(), blob.VerdictKey(d.Artifact.Digest, d.Run, envelopeName), strings.NewReader(string(text)), int64(len(text))); err != nil {
		t.Fatal(err)
	}
}

// stored decides a case by a policy and stores all of it.
func stored(t testing.TB, store blob.Store, p *Policy, c Case) event.Decision {
	t.Helper()
	d, record, err := Decide(t.Context(), p, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), d.Record.Key, strings.NewReader(string(record)), int64(len(record))); err != nil {
		t.Fatal(err)
	}
	conclude(t, store, &d)
	return d
}

// A changed policy judges again what it changes, from stored evidence, once.
func TestPolicyChangeJudgesAgain(t *testing.T) {
	server := bustest.Server(t)
	b := bustest.Connect(t, server)
	bustest.Provision(t, b)
	store := openStore(t)
	signed := clean()
	signed.signed(2)
	first := stored(t, store, builtIn(t, nil), clean().toCase(t))

	other := testArtifact()
	other.Run, other.Filename = event.NewRun(), "other.tgz"
	for _, e := range signed {
		e.Run = other.Run
	}
	c := signed.toCase(t)
	c.Artifact, c.ArtifactFact = other, encode(t, other)
	c.Evidence = nil
	for kind, e := range signed {
		f := Fact{Kind: kind, Type: event.TypeEvidence, Data: encode(t, e)}
		c.Evidence = append(c.Evidence, f.piece(other, false))
	}
	second := stored(t, store, builtIn(t, nil), c)
	if first.Decision != event.Allow || second.Decision != event.Allow {
		t.Fatalf("%s\n%s", show(first), show(second))
	}

	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte("minimum_grade: verified\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Replicas of the older policy are still there, and leave it to the newer ones.
	serve(t, bustest.Connect(t, server), store, "")
	for range 2 {
		serveAgain(t, bustest.Connect(t, server), store, file)
		serveAgain(t, bustest.Connect(t, server), store, file)
	}
	p, err := LoadPolicy(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	r := &rejudger{policy: p, store: store, now: time.Now}
	run := r.runName(Concluded{Run: first.Run, Registry: first.Artifact.Registry, Filename: first.Artifact.Filename, Time: first.Time})
	var d event.Decision
	bustest.Eventually(t, "decision about run "+run, func() bool {
		m, err := b.Last(t.Context(), event.DecisionSubject("registry.example", run))
		return err == nil && event.Decode(m.Event, &d) == nil
	})
	if d.Decision != event.Deny || d.Artifact.Supersedes != first.Run || d.Artifact.Lane != event.LaneAgain || !strings.Contains(d.Artifact.Cause, "deny") {
		t.Errorf("%+v\n%s", d.Artifact, show(d))
	}
	if len(d.Changes) < 2 || d.Changes[0].What != "decision" || d.Changes[0].To != "deny" || d.Changes[1].What != "policy" {
		t.Errorf("changes %+v", d.Changes)
	}
	for _, shard := range shards {
		bustest.Eventually(t, fmt.Sprintf("shard %c", shard), func() bool {
			done, err := r.isDone(t.Context(), byte(shard), r.why())
			return err == nil && done
		})
	}
	stream, err := b.JetStream().Stream(t.Context(), bus.Events)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The order, its decision, and notices of the policies, which may come in any
	// order.
	if n := info.State.Msgs; n < 3 || n > 6 {
		t.Errorf("%d events, want an order, its decision and some notices", n)
	}
}

// The day on which a waiver ends, what it let pass is judged again, and nothing
// else; not before.
func TestExpiredWaiversJudgeAgain(t *testing.T) {
	store := openStore(t)
	f := clean()
	f.found(vul, cve("CVE-1", event.High, "pkg:gem/a@1"))
	p := builtIn(t, func(s *policy.Settings) {
		s.Waivers = []policy.Waiver{{Finding: "CVE-1", Reason: "r", Owner: "o", Expires: "2026-04-01"}}
	})
	if d := stored(t, store, p, f.toCase(t)); d.Decision != event.Allow {
		t.Fatal(show(d))
	}
	orders := func(now time.Time) (orders []*event.Artifact, why string) {
		r := &rejudger{policy: p, store: store, now: func() time.Time { return now }}
		for one, err := range Newest(t.Context(), store, "") {
			if err != nil {
				t.Fatal(err)
			}
			order, err := r.order(t.Context(), one)
			if err != nil {
				t.Fatal(err)
			}
			if order != nil {
				orders = append(orders, order)
			}
		}
		return orders, r.why()
	}
	expires := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	none, before := orders(expires.Add(-time.Second))
	if len(none) != 0 {
		t.Errorf("judged again before it expires: %+v", none)
	}
	some, after := orders(expires)
	if len(some) != 1 || len(some[0].Reuse) != len(event.Kinds) || !strings.Contains(some[0].Cause, "a waiver has expired") {
		t.Errorf("orders %+v", some)
	}
	if before == after {
		t.Errorf("the same reason before and after: %s", after)
	}
	if err := some[0].Validate(); err != nil {
		t.Error(err)
	}
}

// Evidence that a policy finds too old is gathered again instead of reused.
func TestOldEvidenceIsNotReused(t *testing.T) {
	store := openStore(t)
	f := clean()
	f[vul].Finished = testTime.AddDate(0, 0, 40)
	stored(t, store, builtIn(t, nil), f.toCase(t))
	p := builtIn(t, func(s *policy.Settings) { s.MaximumEvidenceAgeDays = 30 })
	r := &rejudger{policy: p, store: store, now: func() time.Time { return testTime.AddDate(0, 0, 41) }}
	for one, err := range Newest(t.Context(), store, "") {
		if err != nil {
			t.Fatal(err)
		}
		order, err := r.order(t.Context(), one)
		if err != nil || order == nil || len(order.Reuse) != 1 || order.Reuse[0] != vul {
			t.Errorf("%+v, %v", order, err)
		}
	}
}

// What cannot be read is skipped and counted, and keeps nothing else from being
// judged again.
func TestRejudgeSkipsWhatIsDamaged(t *testing.T) {
	b := bustest.Connect(t, bustest.Server(t))
	bustest.Provision(t, b)
	store := openStore(t)
	d := stored(t, store, builtIn(t, nil), clean().toCase(t))
	gone := d
	gone.Run, gone.Artifact.Filename, gone.Record.Key = event.NewRun(), "gone", "verdicts/gone"
	conclude(t, store, &gone)
	text := "{"
	if err := store.Create(t.Context(), blob.VerdictKey(testDigest, event.NewRun(), envelopeName), strings.NewReader(text), 1); err != nil {
		t.Fatal(err)
	}
	r := &rejudger{policy: builtIn(t, minimum(event.GradeLocked)), store: store, bus: b, now: time.Now}
	all, err := r.round(t.Context(), r.why())
	if err != nil || all != (Rejudged{Looked: 1, Ordered: 1, Skipped: 2}) {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err = r.round(t.Context(), r.why()); err != nil || all != (Rejudged{}) {
		t.Errorf("a second time: %+v, %v", all, err)
	}
	// Another policy, and back.
	other := &rejudger{policy: builtIn(t, minimum(event.GradeVerified)), store: store, bus: b, now: time.Now}
	if _, err := other.round(t.Context(), other.why()); err != nil {
		t.Fatal(err)
	}
	if all, err = r.round(t.Context(), r.why()); err != nil || all.Looked != 1 {
		t.Errorf("back under the former policy: %+v, %v", all, err)
	}
}

// What a replica of the older policy still decided after the first round is found
// by the second.
func TestRejudgeOnceMoreWhenItIsSettled(t *testing.T) {
	b := bustest.Connect(t, bustest.Server(t))
	bustest.Provision(t, b)
	store := openStore(t)
	r := &rejudger{policy: builtIn(t, minimum(event.GradeLocked)), store: store, bus: b, now: time.Now}
	if all, err := r.round(t.Context(), r.why()); err != nil || all != (Rejudged{}) {
		t.Fatalf("%+v, %v", all, err)
	}
	stored(t, store, builtIn(t, nil), clean().toCase(t))
	for _, tt := range []struct {
		target string
		want   Rejudged
	}{{r.why(), Rejudged{}}, {r.why() + settled, Rejudged{Looked: 1, Ordered: 1}}, {r.why() + settled, Rejudged{}}, {r.why(), Rejudged{}}} {
		if all, err := r.round(t.Context(), tt.target); err != nil || all != tt.want {
			t.Errorf("%q: %+v, %v, want %+v", tt.target, all, err, tt.want)
		}
	}
}
