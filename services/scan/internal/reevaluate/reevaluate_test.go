package reevaluate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"assize.dev/services/scan/internal/enrich"
	"assize.dev/services/scan/internal/index"
	"assize.dev/services/scan/internal/inventory"
	"assize.dev/services/scan/internal/vulnerabilities"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

// world is a pipeline of which the test plays all other services.
type world struct {
	t     testing.TB
	dir   string
	bus   *bus.Bus
	store blob.Store
	r     *Reevaluator
	n     int
}

func newWorld(t testing.TB) *world { return newWorldOn(t, bustest.Bus(t)) }

func newWorldOn(t testing.TB, b *bus.Bus) *world {
	w := &world{t: t, dir: t.TempDir(), bus: b}
	store, err := blob.OpenDir(filepath.Join(w.dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w.store = store
	w.restart()
	return w
}

// restart is a new process with the same files.
func (w *world) restart() {
	w.t.Helper()
	if w.r != nil {
		w.r.Inventory.Close()
	}
	v, err := inventory.Open(filepath.Join(w.dir, "inventory"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { v.Close() })
	log := slog.New(slog.NewTextHandler(w.t.Output(), nil))
	knowledge := new(vulnerabilities.Knowledge)
	if w.r != nil {
		knowledge = w.r.Knowledge
	}
	w.r = &Reevaluator{Inventory: v, Knowledge: knowledge, Log: log, Runner: &evidence.Runner{Service: "scan", Bus: w.bus, Store: w.store, Log: log}}
}

// advisories makes another generation of these: name and first fixed version.
func (w *world) advisories(fixed map[string]string) {
	w.t.Helper()
	w.n++
	from, to := filepath.Join(w.dir, fmt.Sprint("export", w.n)), filepath.Join(w.dir, fmt.Sprint("index", w.n))
	if err := os.MkdirAll(from, 0o700); err != nil {
		w.t.Fatal(err)
	}
	for name, version := range fixed {
		text := fmt.Sprintf(`{"id":"OSV-%s","modified":"2026-01-01T00:00:%02dZ","aliases":["CVE-2026-1%s"],"affected":[{"package":{"ecosystem":"npm","name":%q},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":%q}]}]}]}`,
			name, len(version), strings.Repeat("0", 3), name, version)
		text = strings.Replace(text, "00:00:", "00:0"+version[:1]+":", 1)
		if err := os.WriteFile(filepath.Join(from, name+".json"), []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := index.WriteExport(w.t.Context(), to, from); err != nil {
		w.t.Fatal(err)
	}
	x, err := index.Open(to)
	if err != nil {
		w.t.Fatal(err)
	}
	w.r.Knowledge.Advisories.Swap(x)
}

func (w *world) say(p event.Payload) {
	w.t.Helper()
	e, err := event.New("assize/test", time.Now(), p)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.bus.Publish(w.t.Context(), e, bus.Once()); err != nil && !errors.Is(err, bus.ErrExists) {
		w.t.Fatal(err)
	}
}

// verdict examines an artifact and says the verdict, as the services would.
func (w *world) verdict(a event.Artifact, sbom digest.Digest) {
	w.t.Helper()
	about := event.Evidence{Run: a.Run, Lane: a.Lane, Registry: a.Registry, Artifact: a.Digest, Status: event.Complete, Producer: event.Producer{Name: "test", Version: "1"}}
	catalogued := about
	catalogued.Kind, catalogued.Documents = event.KindSBOM, []event.Document{{Name: "sbom", Key: blob.DocumentKey(sbom), Digest: sbom, Size: 1000}}
	answer, err := vulnerabilities.New(w.r.Knowledge).Analyse(w.t.Context(), evidence.Input{Artifact: a, Evidence: &catalogued, Document: w.r.Runner.Document})
	if err != nil {
		w.t.Fatal(err)
	}
	found := about
	found.Kind, found.Basis, found.Status, found.Reason = event.KindVulnerabilities, answer.Basis, answer.Status, answer.Reason
	found.SetFindings(slices.Clone(answer.Findings))
	w.conclude(a, &catalogued, &found)
}

func (w *world) conclude(a event.Artifact, all ...*event.Evidence) {
	w.t.Helper()
	type fact struct {
		Kind event.Kind `json:"kind"`
		Data []byte     `json:"data"`
	}
	encode := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			w.t.Fatal(err)
		}
		return data
	}
	var facts []fact
	for _, e := range all {
		facts = append(facts, fact{e.Kind, encode(e)})
	}
	record := encode(map[string]any{"artifact": fact{Data: encode(a)}, "evidence": facts})
	if err := w.store.Create(w.t.Context(), blob.VerdictKey(a.Digest, a.Run, "evidence.json"), bytes.NewReader(record), int64(len(record))); err != nil && !errors.Is(err, blob.ErrExists) {
		w.t.Fatal(err)
	}
	w.say(&event.Verdict{
		Run: a.Run, Lane: a.Lane, Registry: a.Registry, Name: a.Name, Filename: a.Filename, Format: a.Format, Artifact: a.Digest,
		Decision: event.Allow, Grade: event.GradeCommunity, KeyID: "k", Envelope: []byte("{}"), Time: time.Now(),
	})
}

// upload is an artifact with components, and its verdict.
func (w *world) upload(name string, components ...string) event.Artifact {
	w.t.Helper()
	a := event.Artifact{Run: event.NewRun(), Lane: event.LaneNew, Registry: "r", Name: name, Filename: name + ".tgz", Digest: digest.Of([]byte(name)),
		SHA512: strings.Repeat("0", 128), Format: "npm", Received: time.Now()}
	w.verdict(a, w.sbom(components...))
	return a
}

func (w *world) sbom(components ...string) digest.Digest {
	w.t.Helper()
	var list []string
	for _, purl := range components {
		list = append(list, fmt.Sprintf(`{"type":"library","name":"x","purl":%q}`, purl))
	}
	d, err := blob.PutDocument(w.t.Context(), w.store, []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[`+strings.Join(list, ",")+`]}`))
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// running serves until the function it returns is called.
func (w *world) running() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.r.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	}
}

// ordered are the artifacts that were ordered to be examined again.
func (w *world) ordered() (all []event.Artifact) {
	w.t.Helper()
	_, last, err := w.bus.Sequences(w.t.Context(), bus.Events)
	if err != nil {
		w.t.Fatal(err)
	}
	if last == 0 {
		return nil
	}
	stop := errors.New("read")
	err = w.bus.Follow(w.t.Context(), bus.Events, 0, nil, func(m *bus.Message) error {
		var a event.Artifact
		if m.Event != nil && m.Event.Type == event.TypeArtifact && event.Decode(m.Event, &a) == nil && a.Lane == event.LaneAgain {
			all = append(all, a)
		}
		if m.Sequence >= last {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	bustest.Eventually(w.t, what, is)
}

func (w *world) evaluated() bool {
	known, done := w.r.Knowledge.Acquire()
	defer done()
	at, err := w.r.Inventory.Meta(metaEvaluated)
	return err == nil && known != nil && at == state(known.Basis())
}

func (w *world) known(n int) func() bool {
	return func() bool {
		have, err := w.r.Inventory.Len()
		return err == nil && have == n
	}
}

// answer plays the services that conclude from what was examined again.
func (w *world) answer(a event.Artifact, sbom digest.Digest) {
	w.t.Helper()
	w.verdict(a, sbom)
}

// Only what has the package is looked at, only what the news changes is
// judged again, once, and what is spared says so.
func TestOnlyWhatChanges(t *testing.T) {
	w := newWorld(t)
	w.advisories(map[string]string{"lib": "1.0.0", "other": "2.0.0"})
	one := w.upload("one", "pkg:npm/lib@1.5.0", "pkg:npm/x@1.0.0")
	w.upload("two", "pkg:npm/lib@3.0.0")
	w.upload("three", "pkg:npm/other@1.0.0")
	stop := w.running()
	defer func() { stop() }()
	w.eventually("all artifacts are known", w.known(3))
	w.eventually("the first generation is dealt with", w.evaluated)
	if all := w.ordered(); len(all) > 0 {
		t.Fatalf("nothing has changed, and yet: %+v", all)
	}

	w.advisories(map[string]string{"lib": "2.0.0", "other": "2.0.0"})
	w.eventually("the second generation is dealt with", w.evaluated)
	all := w.ordered()
	if len(all) != 1 || all[0].Digest != one.Digest || all[0].Supersedes != one.Run || !slices.Contains(all[0].Reuse, event.KindSBOM) ||
		slices.Contains(all[0].Reuse, event.KindVulnerabilities) || !strings.Contains(all[0].Cause, "OSV-lib about npm lib") {
		t.Fatalf("ordered %+v", all)
	}
	m, err := w.bus.Last(t.Context(), event.EvidenceSubject(event.KindVulnerabilities, "r", all[0].Run))
	if err != nil {
		t.Fatal(err)
	}
	var e event.Evidence
	if err := event.Decode(m.Event, &e); err != nil || len(e.Findings) != 1 || e.Findings[0].ID != "OSV-lib" {
		t.Errorf("evidence %+v, %v", e, err)
	}
	if n, err := w.r.Inventory.Pending(); err != nil || n != 1 {
		t.Errorf("%d pending, %v", n, err)
	}
	w.answer(all[0], w.sbom("pkg:npm/lib@1.5.0", "pkg:npm/x@1.0.0"))
	w.eventually("the new verdict is taken in", func() bool { n, err := w.r.Inventory.Pending(); return err == nil && n == 0 })

	// The advisory is withdrawn: what it changed is judged again.
	w.advisories(map[string]string{"other": "2.0.0"})
	w.eventually("the third generation is dealt with", w.evaluated)
	if again := w.ordered(); len(again) != 2 || again[1].Supersedes != all[0].Run {
		t.Errorf("ordered %d, the last %+v", len(again), again[len(again)-1])
	}
}

// Exploitation that becomes known is news about what has the flaw.
func TestExploitation(t *testing.T) {
	w := newWorld(t)
	w.advisories(map[string]string{"lib": "2.0.0"})
	w.upload("one", "pkg:npm/lib@1.0.0")
	w.upload("two", "pkg:npm/other@1.0.0")
	defer w.running()()
	w.eventually("all artifacts are known", w.known(2))
	w.eventually("the first state is dealt with", w.evaluated)
	w.r.Knowledge.SetFacts(enrich.Merge([]enrich.Fact{{CVE: "CVE-2026-1000", KEV: "2026-02-01"}}, nil))
	w.eventually("the second state is dealt with", w.evaluated)
	if all := w.ordered(); len(all) != 1 || all[0].Name != "one" || !strings.Contains(all[0].Cause, "exploitation") {
		t.Errorf("ordered %+v", all)
	}
}

// What was judged by old advisories and comes in when the change has been
// dealt with is judged again all the same.
func TestLateVerdict(t *testing.T) {
	w := newWorld(t)
	w.advisories(map[string]string{"lib": "1.0.0"})
	w.upload("one", "pkg:npm/lib@3.0.0")
	stop := w.running()
	defer func() { stop() }()
	w.eventually("the first generation is dealt with", func() bool { return w.known(1)() && w.evaluated() })
	stop()
	late := w.upload("late", "pkg:npm/lib@1.5.0") // judged by the first generation
	w.advisories(map[string]string{"lib": "2.0.0"})
	if err := w.r.Renew(t.Context()); err != nil { // before the verdict is taken in
		t.Fatal(err)
	}
	if all := w.ordered(); len(all) != 0 {
		t.Fatalf("ordered %+v", all)
	}
	stop = w.running()
	w.eventually("it is judged again", func() bool { return len(w.ordered()) == 1 })
	if all := w.ordered(); all[0].Supersedes != late.Run {
		t.Errorf("ordered %+v", all)
	}
}

// A process that ends anywhere in the middle, and the next that knows only
// the files, forget nothing and order nothing twice.
// A process that took in a verdict of earlier advisories when all else was dealt
// with, and was killed before it looked at it, leaves a note.
func TestKilledBeforeTheLateWereLookedAt(t *testing.T) {
	w := newWorld(t)
	w.advisories(map[string]string{"lib": "1.0.0"})
	a := w.upload("a", "pkg:npm/lib@1.5.0")
	stop := w.running()
	w.eventually("it is taken in", w.known(1))
	stop()
	w.advisories(map[string]string{"lib": "2.0.0"})
	row, err := w.r.Inventory.Row(&inventory.Row{Registry: "r", Filename: a.Filename, Digest: a.Digest})
	if err != nil || row == nil {
		t.Fatal(row, err)
	}
	late, err := w.r.lateOf([]inventory.Put{{Row: *row}})
	if err != nil || len(late.puts) != 1 {
		t.Fatalf("%+v, %v", late, err)
	}
	known, done := w.r.Knowledge.Acquire()
	meta := map[string]string{metaEvaluated: state(known.Basis()), metaLate: late.note}
	done()
	if err := w.r.Inventory.Apply(inventory.Change{Meta: meta}); err != nil {
		t.Fatal(err)
	}
	stop = w.running()
	w.eventually("it is judged again", func() bool { return len(w.ordered()) == 1 })
	w.eventually("the note is gone", func() bool {
		note, err := w.r.Inventory.Meta(metaLate)
		return err == nil && note == ""
	})
	stop()
}

func TestRestart(t *testing.T) {
	w := newWorld(t)
	w.advisories(map[string]string{"lib": "1.0.0"})
	for i := range 6 {
		w.upload(fmt.Sprint("a", i), "pkg:npm/lib@1.5.0")
	}
	stop := w.running()
	w.eventually("the first generation is dealt with", func() bool { return w.known(6)() && w.evaluated() })
	stop()
	w.advisories(map[string]string{"lib": "2.0.0"})
	for i := 1; ; i++ {
		w.restart()
		ctx, cancel := context.WithCancel(t.Context())
		// The store fails after some steps, as if the process had been killed.
		w.r.Runner.Store = &failing{Store: w.store, left: i, fail: cancel}
		err := w.r.Renew(ctx)
		cancel()
		if err == nil {
			break
		}
		if i > 200 {
			t.Fatal(err)
		}
	}
	all := w.ordered()
	seen := map[string]bool{}
	for _, a := range all {
		seen[a.Name] = true
		if _, err := w.bus.Last(t.Context(), event.EvidenceSubject(event.KindVulnerabilities, "r", a.Run)); err != nil {
			t.Errorf("%s was ordered and not answered: %v", a.Name, err)
		}
	}
	if len(all) != 6 || len(seen) != 6 {
		t.Errorf("%d orders for %d artifacts, want 6", len(all), len(seen))
	}
}

// failing is a store that is cut off after some steps.
type failing struct {
	blob.Store
	left int
	fail func()
}

func (f *failing) Open(ctx context.Context, key string) (blob.Object, error) {
	if f.left--; f.left <= 0 {
		f.fail()
		return nil, context.Canceled
	}
	return f.Store.Open(ctx, key)
}

// No more than so many are examined again at a time.
func TestInFlight(t *testing.T) {
	w := newWorld(t)
	w.r.InFlight = 2
	w.advisories(map[string]string{"lib": "1.0.0"})
	sbom := w.sbom("pkg:npm/lib@1.5.0")
	for i := range 5 {
		w.upload(fmt.Sprint("a", i), "pkg:npm/lib@1.5.0")
	}
	defer w.running()()
	w.eventually("the first generation is dealt with", func() bool { return w.known(5)() && w.evaluated() })
	w.advisories(map[string]string{"lib": "2.0.0"})
	answered := 0
	w.eventually("all are judged again", func() bool {
		all := w.ordered()
		if len(all) > answered+2 {
			t.Errorf("%d ordered, %d of them answered", len(all), answered)
		}
		for _, a := range all[answered:] {
			w.answer(a, sbom)
			answered++
		}
		return answered == 5 && w.evaluated()
	})
}
