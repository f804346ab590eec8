package sign

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/config"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"

	"github.com/sethvargo/go-envconfig"
)

// fixture is the service between a real server and a real store.
type fixture struct {
	bus    *bus.Bus
	store  blob.Store
	config Config
	key    *PrivateKey
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	store, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{bus: bustest.Bus(t), store: store, key: testKey(t, "service")}
	keyFile := filepath.Join(t.TempDir(), "sign.key")
	if err := f.key.WriteFiles(keyFile, keyFile+".pub", ""); err != nil {
		t.Fatal(err)
	}
	trusted := folder(t, map[string][]byte{"publisher.pub": testKey(t, "publisher").Public().(ed25519.PublicKey)})
	env := envconfig.MapLookuper(map[string]string{"ASSIZE_SIGN_KEY": keyFile, "ASSIZE_TRUSTED_KEYS": trusted})
	if err := config.Load(t.Context(), env, &f.config); err != nil {
		t.Fatal(err)
	}
	return f
}

// start runs the service until the test ends.
func (f *fixture) start(t *testing.T) {
	t.Helper()
	s, err := New(f.config, "0.1.0", f.bus, f.store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f.run(t, s)
}

// run runs a service until the test ends.
func (f *fixture) run(t *testing.T, s *Service) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (f *fixture) publish(t *testing.T, p event.Payload) {
	t.Helper()
	e, err := event.New("test", time.Now(), p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.bus.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) await(t *testing.T, subject string, p event.Payload) {
	t.Helper()
	bustest.Eventually(t, subject, func() bool {
		m, err := f.bus.Last(t.Context(), subject)
		return err == nil && event.Decode(m.Event, p) == nil
	})
}

func artifact(t *testing.T, data []byte, signature []byte) event.Artifact {
	t.Helper()
	return event.Artifact{
		Run: event.NewRun(), Lane: event.LaneNew, Registry: "npm-prod", Name: "demo", Version: "1.0.0", Filename: filename,
		Digest: digest.Of(data), SHA512: strings.Repeat("0", 128), Size: int64(len(data)), Format: "npm", PURL: "pkg:npm/demo@1.0.0",
		Received: time.Now(), Signatures: []event.Attached{{Name: filename + ".sig", Data: signature}},
	}
}

func decisionOn(a event.Artifact, outcome event.Outcome) *event.Decision {
	return &event.Decision{
		Run: a.Run, Artifact: a, Decision: outcome, Grade: event.GradeVerified,
		Reasons:  []event.Reason{{Rule: "r", Outcome: outcome, Message: "because"}},
		Evidence: []event.EvidenceRef{{Kind: event.KindSignature, Status: event.Complete, Digest: digest.Of([]byte("e"))}},
		Policy:   event.Policy{Name: "default", Digest: digest.Of([]byte("p"))},
		Record:   event.Document{Name: "record", Key: "k", Digest: digest.Of([]byte("r"))},
		Time:     time.Now(),
	}
}

func TestService(t *testing.T) {
	f := newFixture(t)
	f.start(t)
	data := []byte("the artifact")
	if err := f.store.Create(t.Context(), blob.BlobKey(digest.Of(data)), bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	a := artifact(t, data, detachedBy(t, testKey(t, "publisher"), data))
	f.publish(t, &a)
	var e event.Evidence
	f.await(t, event.EvidenceSubject(event.KindSignature, a.Registry, a.Run), &e)
	if e.Status != event.Complete || e.Verification.Result != event.Pass || e.Producer.Name != "sign" {
		t.Errorf("evidence: %+v", e)
	}

	for _, outcome := range event.Outcomes {
		a := a
		a.Run = event.NewRun()
		f.publish(t, decisionOn(a, outcome))
		f.checkVerdict(t, &a, outcome)
	}
}

// checkVerdict waits for the verdict and checks it and all its files as a
// stranger with the public key would.
func (f *fixture) checkVerdict(t *testing.T, a *event.Artifact, outcome event.Outcome) *event.Verdict {
	t.Helper()
	var v event.Verdict
	f.await(t, event.VerdictSubject(outcome, a.Registry, "npm", a.Run), &v)
	want := map[event.Outcome]int{event.Allow: 4, event.Deny: 2, event.Hold: 2}[outcome]
	if len(v.Documents) != want || v.KeyID != f.key.KeyID() {
		t.Errorf("%s: %d documents by key %s, want %d by %s", outcome, len(v.Documents), v.KeyID, want, f.key.KeyID())
	}
	check := func(envelope []byte) {
		t.Helper()
		s, err := VerifyEnvelope(f.key.Public(), envelope)
		if err != nil || !s.About(a.Digest) {
			t.Errorf("%s: %v", outcome, err)
		}
		if _, err := VerifyEnvelope(testKey(t, "other").Public(), envelope); err == nil {
			t.Errorf("%s: verified with another key", outcome)
		}
	}
	check(v.Envelope)
	for _, doc := range v.Documents {
		object, err := f.store.Open(t.Context(), doc.Key)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(object)
		if err := object.Close(); err != nil {
			t.Error(err)
		}
		if err != nil || digest.Of(data) != doc.Digest || int64(len(data)) != doc.Size {
			t.Errorf("%s: stored %s is not what the verdict says: %v", outcome, doc.Key, err)
		}
		check(data)
	}
	var m struct{ Predicate VerdictPredicate }
	s, err := VerifyEnvelope(f.key.Public(), v.Envelope)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(s.Predicate, &m.Predicate); err != nil || m.Predicate.Decision != outcome || m.Predicate.Verifier.ID != "https://assize.dev/local" {
		t.Errorf("%s: predicate %+v, %v", outcome, m.Predicate, err)
	}
	return &v
}

// TestOtherFilesInTheWay: the service once fell after it stored a file and
// before it said so, and has another key now.
func TestOtherFilesInTheWay(t *testing.T) {
	f := newFixture(t)
	a := artifact(t, []byte("x"), nil)
	key := blob.VerdictKey(a.Digest, a.Run, "verdict.dsse.json")
	if err := f.store.Create(t.Context(), key, strings.NewReader("{}"), 2); err != nil {
		t.Fatal(err)
	}
	f.start(t)
	f.publish(t, decisionOn(a, event.Deny))
	v := f.checkVerdict(t, &a, event.Deny)
	if !strings.HasPrefix(v.Documents[0].Key, key+".") || v.Documents[0].Name != "verdict.dsse.json" {
		t.Errorf("document: %+v", v.Documents[0])
	}
}

func TestNewRefuses(t *testing.T) {
	f := newFixture(t)
	for name, edit := range map[string]func(*Config){
		"ASSIZE_SIGN_KEY":     func(c *Config) { c.Keys = nil },
		"ASSIZE_TRUSTED_KEYS": func(c *Config) { c.TrustedKeys = c.Keys[0] },
		"ASSIZE_VERIFY_LEVEL": func(c *Config) { c.Level = "none" },
		"ASSIZE_VERIFIER_ID":  func(c *Config) { c.VerifierID = "me" },
	} {
		c := f.config
		edit(&c)
		if _, err := New(c, "0.1.0", f.bus, f.store, slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
