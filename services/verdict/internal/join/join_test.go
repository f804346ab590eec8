package join

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

const (
	run      = "01920000-0000-7000-8000-000000000001"
	registry = "registry.example"
)

var (
	bytesDigest = digest.Of([]byte("the artifact"))
	start       = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
)

// log is a stream: the last fact of every subject, and a turnstile before
// every read that lets a test order concurrent readers.
type log struct {
	last map[string]*Fact
	seq  uint64
	turn func()
}

func newLog() *log { return &log{last: map[string]*Fact{}, turn: func() {}} }

func (l *log) Last(_ context.Context, subject string) (*Fact, error) {
	l.turn()
	if f := l.last[subject]; f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("%s: %w", subject, ErrNotFound)
}

func (l *log) append(subject string, typ event.Type, data []byte) uint64 {
	l.seq++
	l.last[subject] = &Fact{
		Event: &event.Event{Type: typ, Subject: subject, Data: data}, Data: data,
		Sequence: l.seq, Time: start.Add(time.Duration(l.seq) * time.Second),
	}
	return l.seq
}

func (l *log) publish(t testing.TB, p event.Payload) uint64 {
	t.Helper()
	e, err := event.New("test", start, p)
	if err != nil {
		t.Fatal(err)
	}
	return l.append(e.Subject, e.Type, e.Data)
}

func artifactIn(lane event.Lane) *event.Artifact {
	return &event.Artifact{
		Run: run, Lane: lane, Registry: registry, Name: "shop", Filename: "shop.tar.gz",
		Digest: bytesDigest, SHA512: strings.Repeat("0", 128), Format: "tar",
	}
}

func evidence(kind event.Kind) *event.Evidence {
	return &event.Evidence{
		Run: run, Lane: event.LaneNew, Registry: registry, Kind: kind, Artifact: bytesDigest,
		Status: event.Complete, Producer: event.Producer{Name: "test"},
		Verification: &event.Verification{Result: event.Undetermined},
	}
}

func address(kind event.Kind) Address { return Address{Kind: kind, Registry: registry, Run: run} }

func TestRead(t *testing.T) {
	required := []event.Kind{event.KindSBOM, event.KindSecrets, "antivirus"}
	for _, lane := range event.Lanes {
		l := newLog()
		read := func(kind event.Kind, seq uint64) Result {
			t.Helper()
			of := address(kind)
			of.Upload = lane == event.LaneNew
			r, err := Read(t.Context(), l, nil, of, seq, required)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		if r := read(event.KindSBOM, 1); r.State != Incomplete || r.Subject == "" {
			t.Errorf("nothing: %+v", r)
		}
		l.publish(t, artifactIn(lane))
		secrets := l.publish(t, evidence(event.KindSecrets))
		if r := read(event.KindSecrets, secrets); r.State != Incomplete || r.Subject != event.EvidenceSubject("antivirus", registry, run) {
			t.Errorf("one of three: %+v", r)
		}
		antivirus := l.publish(t, evidence("antivirus"))
		if r := read("antivirus", antivirus); r.State != Incomplete || r.Subject != event.EvidenceSubject(event.KindSBOM, registry, run) {
			t.Errorf("two of three: %+v", r)
		}
		sbom := l.publish(t, evidence(event.KindSBOM))
		newer := map[event.Kind]event.Kind{event.KindSecrets: "antivirus", "antivirus": event.KindSBOM}
		for kind, seq := range map[event.Kind]uint64{event.KindSecrets: secrets, "antivirus": antivirus} {
			if r := read(kind, seq); r.State != NotMine || r.Subject != event.EvidenceSubject(newer[kind], registry, run) {
				t.Errorf("older %s: %+v", kind, r)
			}
		}
		other := l.publish(t, evidence("nobody-asked"))
		for kind, seq := range map[event.Kind]uint64{event.KindSBOM: sbom, "nobody-asked": other} {
			r := read(kind, seq)
			if r.State != Ready || r.Case.Artifact.Lane != lane || !r.Case.Time.Equal(start.Add(time.Duration(sbom)*time.Second)) {
				t.Errorf("%s: %+v", kind, r)
			}
			for i, p := range r.Case.Evidence {
				if p.Kind != required[i] || p.Fault != "" || p.Evidence == nil {
					t.Errorf("%s: piece %d: %+v", kind, i, p)
				}
			}
		}
	}
}

func TestReadErrors(t *testing.T) {
	broken := errors.New("no leader")
	if _, err := Read(t.Context(), failing{broken}, nil, address("sbom"), 9, event.Kinds); !errors.Is(err, broken) {
		t.Errorf("stream away: %v", err)
	}
	l := newLog()
	for _, kind := range event.Kinds {
		l.publish(t, evidence(kind))
	}
	if r, err := Read(t.Context(), l, nil, address("sbom"), 9, event.Kinds); err != nil || r.State != Incomplete || !strings.HasPrefix(r.Subject, "assize.artifact.") {
		t.Errorf("no artifact: %+v, %v", r, err)
	}
	l.append(event.ArtifactSubject(event.LaneNew, registry, run), event.TypeArtifact, []byte("{}"))
	for _, seq := range []uint64{9, 2} { // by the handler of the newest evidence, and of an older one
		if r, err := Read(t.Context(), l, nil, address("sbom"), seq, event.Kinds); seq == 9 && !errors.Is(err, event.ErrInvalid) || seq == 2 && r.State != NotMine {
			t.Errorf("broken artifact at %d: %+v, %v", seq, r, err)
		}
	}
	l.last[event.ArtifactSubject(event.LaneNew, registry, run)].Event = nil
	if _, err := Read(t.Context(), l, nil, address("sbom"), 9, event.Kinds); !errors.Is(err, event.ErrInvalid) {
		t.Errorf("artifact without headers: %v", err)
	}
}

// The fewer reads the better: who is not the last to come asks once.
func TestReadsPerRun(t *testing.T) {
	l := newLog()
	reads := 0
	l.turn = func() { reads++ }
	l.publish(t, artifactIn(event.LaneNew))
	for _, kind := range event.Kinds {
		seq := l.publish(t, evidence(kind))
		of := address(kind)
		of.Upload = true
		if _, err := Read(t.Context(), l, nil, of, seq, event.Kinds); err != nil {
			t.Fatal(err)
		}
	}
	if want := len(event.Kinds) - 1 + len(event.Kinds) + 1; reads != want {
		t.Errorf("%d reads of the stream for one run, want %d", reads, want)
	}
}

type failing struct{ err error }

func (f failing) Last(context.Context, string) (*Fact, error) { return nil, f.err }

// Evidence that breaks the contract is a piece with a fault; as its own
// handler may never come, no other waits for it.
func TestBrokenEvidence(t *testing.T) {
	required := []event.Kind{event.KindSBOM, event.KindSecrets}
	subject := event.EvidenceSubject(event.KindSecrets, registry, run)
	l := newLog()
	l.publish(t, artifactIn(event.LaneNew))
	sbom := l.publish(t, evidence(event.KindSBOM))
	stray := evidence(event.KindSecrets)
	stray.Registry = "elsewhere"
	strayData, err := json.Marshal(stray)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		typ  event.Type
		data []byte
		want string
	}{
		{"no JSON", event.TypeEvidence, []byte("{"), "breaks the contract"},
		{"empty", event.TypeEvidence, []byte("{}"), "breaks the contract"},
		{"other type", event.TypeArtifact, []byte("{}"), "want dev.assize.evidence.v1"},
		{"belongs elsewhere", event.TypeEvidence, strayData, "payload belongs on"},
		{"no CloudEvent", "", []byte("{}"), "no CloudEvent"},
	} {
		own := l.append(subject, tt.typ, tt.data)
		if tt.typ == "" {
			l.last[subject].Event = nil
		}
		for _, seq := range []uint64{sbom, own} {
			r, err := Read(t.Context(), l, nil, address(event.KindSBOM), seq, required)
			if err != nil || r.State != Ready {
				t.Fatalf("%s at %d: %+v, %v", tt.name, seq, r, err)
			}
			p := r.Case.Evidence[1]
			if p.Evidence != nil || !strings.Contains(p.Fault, tt.want) || string(p.Data) != string(tt.data) {
				t.Errorf("%s: %+v", tt.name, p)
			}
			if !r.Case.Time.Equal(start.Add(time.Duration(sbom) * time.Second)) {
				t.Errorf("%s: time %s counts a broken fact", tt.name, r.Case.Time)
			}
			if again := ReadPiece(p.Kind, p.Type, p.Data, r.Case.Artifact); !reflect.DeepEqual(again, p) {
				t.Errorf("%s: made again: %+v, was %+v", tt.name, again, p)
			}
		}
	}
}

// Any interleaving of publishers and of two or three replicas that handle the
// same deliveries, some of them twice: somebody decides, only handlers of the
// newest required fact do, and all who do decide the same case.
func TestSomebodyDecidesOnce(t *testing.T) {
	for seed := range uint64(400) {
		interleave(t, seed)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// actor is a goroutine that runs only while it has the turn, so that a seed
// fixes the interleaving.
type actor struct {
	run  chan struct{} // gets the turn
	back chan bool     // gives it back; true: it has ended
}

func newActor(work func(pause func())) *actor {
	a := &actor{run: make(chan struct{}), back: make(chan bool)}
	go func() {
		<-a.run
		work(func() { a.back <- false; <-a.run })
		a.back <- true
	}()
	return a
}

// step lets it run up to its next read and returns whether it has ended.
func (a *actor) step() bool {
	a.run <- struct{}{}
	return <-a.back
}

func interleave(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 7))
	required := event.Kinds[:1+r.IntN(len(event.Kinds))]
	published := append([]event.Kind{}, required...)
	if r.IntN(3) == 0 {
		published = append(published, "nobody-asked")
	}
	r.Shuffle(len(published), func(i, j int) { published[i], published[j] = published[j], published[i] })

	l := newLog()
	l.publish(t, artifactIn(event.LaneNew))
	type decider struct {
		sequence uint64
		result   Case
	}
	var deciders []decider
	var handlers []*actor
	newest := uint64(0) // of the required facts
	handle := func(kind event.Kind, seq uint64) {
		handlers = append(handlers, newActor(func(pause func()) {
			turning := *l // shares the map; has its own turnstile
			turning.turn = pause
			result, err := Read(t.Context(), &turning, nil, address(kind), seq, required)
			if err != nil {
				t.Error(err)
			}
			if result.State == Ready {
				deciders = append(deciders, decider{seq, result.Case})
			}
		}))
	}
	for len(published) > 0 || len(handlers) > 0 {
		if len(handlers) == 0 || len(published) > 0 && r.IntN(6) == 0 {
			kind := published[0]
			published = published[1:]
			seq := l.publish(t, evidence(kind))
			if kind != "nobody-asked" {
				newest = seq
			}
			for range 1 + r.IntN(3) { // replicas, redeliveries
				handle(kind, seq)
			}
			continue
		}
		if i := r.IntN(len(handlers)); handlers[i].step() {
			handlers = append(handlers[:i], handlers[i+1:]...)
		}
	}
	if len(deciders) == 0 {
		t.Error("nobody decided")
	}
	byNewest := 0
	for _, d := range deciders {
		if d.sequence < newest {
			t.Errorf("the handler of %d decided, the newest fact is %d", d.sequence, newest)
		}
		if d.sequence == newest {
			byNewest++
		}
		if !reflect.DeepEqual(d.result, deciders[0].result) {
			t.Errorf("two cases:\n%+v\n%+v", d.result, deciders[0].result)
		}
	}
	if byNewest == 0 {
		t.Error("no handler of the newest fact decided")
	}
}

func TestParseAddress(t *testing.T) {
	want := Address{Kind: "sbom", Registry: "registry.example", Run: run}
	if got, err := ParseAddress(event.EvidenceSubject("sbom", "registry.example", run)); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, subject := range []string{"", "assize.evidence.", "assize.evidence.a.b", "assize.evidence.a.b." + run + ".c",
		"assize.evidence.a.b.c", "assize.decision.a.b." + run, "assize.evidence.%2.b." + run, "assize.evidence.%61.b." + run} {
		if got, err := ParseAddress(subject); !errors.Is(err, event.ErrInvalid) {
			t.Errorf("%q: %+v, %v", subject, got, err)
		}
	}
}

func FuzzReadPiece(f *testing.F) {
	good, err := json.Marshal(evidence(event.KindSignature))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"verification":{"result":"pass","slsaLevel":-1}}`))
	artifact := artifactIn(event.LaneNew)
	f.Fuzz(func(t *testing.T, data []byte) {
		p := ReadPiece(event.KindSignature, event.TypeEvidence, data, *artifact)
		if p.Evidence == nil && p.Fault == "" {
			t.Error("neither evidence nor a fault")
		}
		if p.Evidence != nil && p.Evidence.Artifact != bytesDigest {
			t.Error("evidence of another artifact")
		}
	})
}

// past has one earlier run.
type past struct {
	before *Before
	err    error
	asked  string
}

func (p *past) Record(_ context.Context, a *event.Artifact) (*Before, error) {
	p.asked = a.Supersedes
	return p.before, p.err
}

// A run that supersedes another takes from its record what it says it
// reuses, and waits for the rest.
func TestReadReused(t *testing.T) {
	const earlier = "01920000-0000-7000-8000-00000000000f"
	required := []event.Kind{event.KindSBOM, event.KindSecrets, event.KindVulnerabilities}
	order := artifactIn(event.LaneAgain)
	order.Supersedes, order.Reuse = earlier, []event.Kind{event.KindSBOM, event.KindSecrets}
	old := func(kind event.Kind) Piece {
		e := evidence(kind)
		e.Run = earlier
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return ReadReused(kind, event.TypeEvidence, data, *order)
	}
	whole := &Before{Decision: event.Allow, Evidence: []Piece{old(event.KindSBOM), old(event.KindSecrets), old(event.KindVulnerabilities)}}
	for name, test := range map[string]struct {
		past  *past
		fault string // of the secrets
	}{
		"whole record":   {&past{before: whole}, ""},
		"part of it":     {&past{before: &Before{Evidence: whole.Evidence[:1]}}, "has no secrets evidence"},
		"no record":      {&past{err: ErrNoRecord}, "no record of the earlier run"},
		"another outage": {&past{err: errors.New("away")}, "away"},
	} {
		l := newLog()
		l.publish(t, order)
		if r, err := Read(t.Context(), l, test.past, address(event.KindSBOM), 9, required); err != nil || r.State != Incomplete || !strings.Contains(r.Subject, "vulnerabilities") {
			t.Errorf("%s: before the new evidence: %+v, %v", name, r, err)
		}
		seq := l.publish(t, evidence(event.KindVulnerabilities))
		r, err := Read(t.Context(), l, test.past, address(event.KindVulnerabilities), seq, required)
		if test.fault == "away" {
			if err == nil {
				t.Errorf("%s: decided without asking again", name)
			}
			continue
		}
		if err != nil || r.State != Ready || test.past.asked != earlier || len(r.Case.Evidence) != 3 {
			t.Fatalf("%s: %+v, %v", name, r, err)
		}
		fresh, secrets := r.Case.Evidence[2], r.Case.Evidence[1]
		if fresh.Reused || fresh.Evidence == nil || fresh.Evidence.Run != run {
			t.Errorf("%s: what was gathered again: %+v", name, fresh)
		}
		if !secrets.Reused || (test.fault == "") != (secrets.Fault == "" && secrets.Evidence != nil) || !strings.Contains(secrets.Fault, test.fault) {
			t.Errorf("%s: what is reused: %+v, want %q", name, secrets, test.fault)
		}
	}
}

// Evidence of an earlier run is believed about the same bytes only.
func TestReadReusedOfAnother(t *testing.T) {
	e := evidence(event.KindSecrets)
	e.Run, e.Artifact = "01920000-0000-7000-8000-00000000000f", digest.Of([]byte("other bytes"))
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if p := ReadReused(event.KindSecrets, event.TypeEvidence, data, *artifactIn(event.LaneAgain)); !strings.Contains(p.Fault, "another artifact") {
		t.Errorf("%+v", p)
	}
}
