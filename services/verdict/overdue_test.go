package verdict

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
)

// Evidence that does not come in time holds; when it comes, what it concerns is
// judged again with the rest of the evidence reused.
func TestOverdueEvidenceHolds(t *testing.T) {
	b := bustest.Connect(t, bustest.Server(t))
	bustest.Provision(t, b)
	store := openStore(t)
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte("deadline_minutes: {content: 30, sbom: 600}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	serve(t, b, store, file)
	s, err := New(t.Context(), Config{Policy: file}, b, store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	run := event.NewRun()
	f := clean()
	late := f[con]
	delete(f, con)
	examine(t, b, run, f)

	none := func() bool {
		_, err := b.Last(t.Context(), event.DecisionSubject("registry.example", run))
		return err != nil
	}
	if err := s.overdue(t.Context(), time.Now().Add(29*time.Minute)); err != nil || !none() {
		t.Fatalf("decided before the deadline, or %v", err)
	}
	for range 2 { // as two replicas would
		if err := s.overdue(t.Context(), time.Now().Add(31*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	d := decided(t, b, store, run)
	want := "hold community\nhold evidence/missing [content] there is no content evidence: start its analyser and have the artifact examined again"
	if show(d) != want {
		t.Errorf("got:\n%s\nwant:\n%s", show(d), want)
	}

	late.Run = run
	publish(t, b, late)
	var order event.Artifact
	bustest.Eventually(t, "another order", func() bool {
		subjects, err := b.Subjects(t.Context(), bus.Events, event.ArtifactsOf(event.LaneAgain))
		if err != nil || len(subjects) == 0 {
			return false
		}
		m, err := b.Last(t.Context(), subjects[0])
		return err == nil && event.Decode(m.Event, &order) == nil
	})
	if order.Supersedes != run || len(order.Reuse) != 4 || slices.Contains(order.Reuse, con) {
		t.Errorf("order %+v", order)
	}
	again := clean()[con]
	again.Run, again.Lane = order.Run, event.LaneAgain
	publish(t, b, again)
	var second event.Decision
	bustest.Eventually(t, "another decision", func() bool {
		m, err := b.Last(t.Context(), event.DecisionSubject("registry.example", order.Run))
		return err == nil && event.Decode(m.Event, &second) == nil
	})
	if show(second) != allowed || second.Changes[0].From != "hold" {
		t.Errorf("%s\n%+v", show(second), second.Changes)
	}
}
