package verdict

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"assize.dev/services/verdict/internal/join"
	"assize.dev/services/verdict/internal/policy"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

const testRun = "01920000-0000-7000-8000-000000000001"

var (
	testTime   = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	testDigest = digest.Of([]byte("the artifact"))
)

func testArtifact() event.Artifact {
	return event.Artifact{
		Run: testRun, Lane: event.LaneNew, Registry: "registry.example", Name: "shop", Version: "1.0",
		Filename: "shop-1.0.tar.gz", Digest: testDigest, SHA512: strings.Repeat("0", 128), Size: 12, Format: "sdist",
		PURL: "pkg:pypi/shop@1.0", Received: testTime,
		Signatures: []event.Attached{{Name: "shop-1.0.tar.gz.sig", Data: []byte("signature")}},
	}
}

// facts is the evidence of a run before it is put on the stream.
type facts map[event.Kind]*event.Evidence

// clean is complete evidence that has nothing against the artifact, nor a
// signature for it.
func clean() facts {
	f := facts{}
	for _, kind := range event.Kinds {
		f.add(kind)
	}
	f[event.KindSignature].Verification = &event.Verification{Result: event.Undetermined, Signatures: []event.Signature{}}
	return f
}

func (f facts) add(kind event.Kind) *event.Evidence {
	f[kind] = &event.Evidence{
		Run: testRun, Lane: event.LaneNew, Registry: "registry.example", Kind: kind, Artifact: testDigest,
		Status: event.Complete, Producer: event.Producer{Name: "assize/test", Version: "1"},
		Basis: map[string]string{"rules": "sha256:1"}, Started: testTime, Finished: testTime,
	}
	return f[kind]
}

// found adds findings and counts them.
func (f facts) found(kind event.Kind, findings ...event.Finding) {
	e := f[kind]
	e.SetFindings(append(e.Findings, findings...))
}

// signed makes the signature trusted, with provenance of this level.
func (f facts) signed(level int) {
	f[event.KindSignature].Verification = &event.Verification{
		Result: event.Pass, SLSALevel: level,
		Signatures: []event.Signature{{Kind: "ed25519", Valid: true, Trust: event.Trusted, Signer: "SHA256:abc"}},
	}
}

func (f facts) status(kind event.Kind, status event.Status, reason string) {
	f[kind].Status, f[kind].Reason = status, reason
}

// toCase sends the facts through their wire form, as the join does. Evidence
// that breaks the contract gets onto the stream all the same.
func (f facts) toCase(t testing.TB) Case {
	t.Helper()
	artifact := testArtifact()
	c := Case{Artifact: artifact, ArtifactFact: encode(t, artifact), Time: testTime}
	for kind, e := range f {
		c.Evidence = append(c.Evidence, join.ReadPiece(kind, event.TypeEvidence, encode(t, e), artifact))
	}
	return c
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var compiled sync.Map // JSON of settings to *Policy; compiling is most of a test's time

func builtIn(t testing.TB, change func(*policy.Settings)) *Policy {
	t.Helper()
	s := policy.DefaultSettings()
	if change != nil {
		change(&s)
	}
	key := string(encode(t, s))
	if p, ok := compiled.Load(key); ok {
		return p.(*Policy)
	}
	p, err := policy.Default(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	compiled.Store(key, p)
	return p
}

// decide decides and checks what must hold of every decision.
func decide(t testing.TB, p *Policy, c Case) event.Decision {
	t.Helper()
	d, record, err := Decide(t.Context(), p, c)
	if err != nil {
		t.Fatalf("Decide: %v", err)
	}
	checkDecision(t, p, c, d, record)
	return d
}

func checkDecision(t testing.TB, p *Policy, c Case, d event.Decision, record []byte) {
	t.Helper()
	if _, err := event.New("assize/verdict", testTime, &d); err != nil {
		t.Errorf("decision cannot be published: %v", err)
	}
	if digest.Of(record) != d.Record.Digest || int64(len(record)) != d.Record.Size {
		t.Errorf("record has digest %s and %d bytes, decision says %s and %d", digest.Of(record), len(record), d.Record.Digest, d.Record.Size)
	}
	if len(d.Reasons) > policy.MaxReasons {
		t.Errorf("%d reasons", len(d.Reasons))
	}
	if d.Reasons[0].Outcome != d.Decision {
		t.Errorf("decision %s, but first reason asks for %s", d.Decision, d.Reasons[0].Outcome)
	}
	if len(d.Evidence) != len(c.Evidence) {
		t.Errorf("%d references to %d pieces of evidence", len(d.Evidence), len(c.Evidence))
	}
	if d.Decision == event.Allow {
		answered := map[event.Kind]bool{}
		for _, r := range d.Evidence {
			answered[r.Kind] = r.Status == event.Complete || r.Status == event.NotApplicable
		}
		for _, kind := range p.Settings().RequiredEvidence {
			if !answered[kind] {
				t.Errorf("allowed without %s evidence", kind)
			}
		}
	}
	parsed, err := ParseRecord(record)
	if err != nil {
		t.Fatalf("own record: %v", err)
	}
	if parsed.Policy.Digest != d.Policy.Digest {
		t.Errorf("record names policy %s, decision %s", parsed.Policy.Digest, d.Policy.Digest)
	}
	for i, ref := range d.Evidence {
		if parsed.Evidence[i].Digest != ref.Digest || parsed.Evidence[i].Kind != ref.Kind {
			t.Errorf("record holds %s %s, decision refers to %s %s", parsed.Evidence[i].Kind, parsed.Evidence[i].Digest, ref.Kind, ref.Digest)
		}
	}
}

// show renders a decision for comparison: "deny risk" and a line a reason.
func show(d event.Decision) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", d.Decision, d.Grade)
	for _, r := range d.Reasons {
		fmt.Fprintf(&b, "\n%s %s [%s] %s", r.Outcome, r.Rule, r.Evidence, r.Message)
	}
	return b.String()
}
