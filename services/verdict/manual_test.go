package verdict

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"assize.dev/services/verdict/internal/policy"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// by is the key of a person, from a word.
func by(t *testing.T, word string) (ed25519.PrivateKey, policy.Decider) {
	t.Helper()
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(word, 32)[:32]))
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return private, policy.Decider{Name: word, Key: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
}

func TestManualDecisions(t *testing.T) {
	ann, decider := by(t, "ann")
	eve, _ := by(t, "eve")
	p := builtIn(t, func(s *policy.Settings) { s.Deciders = []policy.Decider{decider} })
	held := func(f facts) { f.status(con, event.Partial, "timed out") }
	denied := func(f facts) { held(f); f.found(vul, cve("CVE-1", event.High, "pkg:gem/a@1")) }
	nothing := func(facts) {}
	const (
		partial  = "the content evidence is partial: timed out: mend that and have the artifact examined again, or judge it by hand"
		unsigned = "it is not signed by a key that deciders has for ann"
		stays    = "hold community\nhold evidence/partial [content] " + partial + "\nallow manual/ignored [] a decision by hand does not count: "
	)
	for _, tt := range []struct {
		name   string
		facts  func(facts)
		key    ed25519.PrivateKey
		change func(*policy.ManualDecision)
		want   string
	}{
		{"allows what is held", held, ann, nil,
			"allow community\nallow evidence/partial [content] overruled by hand: " + partial + "\nallow manual/allow [] ann decided so until 2026-06-01: looked at it"},
		{"does not allow what is denied", denied, ann, nil,
			"deny risk\ndeny vulnerability/known [vulnerabilities] CVE-1 (high) in a 1, no fixed version is known" + riskDeny + "\nallow evidence/partial [content] overruled by hand: " + partial},
		{"does not allow what was not seen", func(f facts) { held(f); f.status(sbom, event.Failed, "crashed") }, ann, nil,
			"hold community\nhold evidence/failed [sbom] the sbom evidence failed: crashed: mend that and have the artifact examined again\nallow evidence/partial [content] overruled by hand: " + partial},
		{"allows what needs no help", nothing, ann, nil, allowed},
		{"denies", nothing, ann, func(d *policy.ManualDecision) { d.Decision = event.Deny },
			"deny community\ndeny manual/deny [] ann decided so: looked at it"},
		{"denies what is held", held, ann, func(d *policy.ManualDecision) { d.Decision = event.Deny },
			"deny community\ndeny manual/deny [] ann decided so: looked at it\nhold evidence/partial [content] " + partial},
		{"withdraws", held, ann, func(d *policy.ManualDecision) { d.Decision = policy.Withdraw }, "hold community\nhold evidence/partial [content] " + partial},
		{"by a stranger's key", held, eve, nil, stays + unsigned},
		{"by somebody who is not listed", held, ann, func(d *policy.ManualDecision) { d.By = "eve" }, stays + "it is not signed by a key that deciders has for eve"},
		{"about another artifact", held, ann, func(d *policy.ManualDecision) { d.Artifact = digest.Of(nil) }, stays + "it is about shop-1.0.tar.gz in registry.example"},
		{"about another file", held, ann, func(d *policy.ManualDecision) { d.Filename = "x" }, stays + "it is about x in registry.example"},
		{"after its end", held, ann, func(d *policy.ManualDecision) { d.Expires = "2026-03-04" }, stays + "it ended on 2026-03-04"},
		{"of a word that does not exist", held, ann, func(d *policy.ManualDecision) { d.Decision = event.Hold }, stays + `decision: "hold": want allow, deny or withdraw`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := clean()
			tt.facts(f)
			c := f.toCase(t)
			d := &policy.ManualDecision{
				Artifact: c.Artifact.Digest, Registry: c.Artifact.Registry, Filename: c.Artifact.Filename,
				Decision: event.Allow, Overrules: []string{"evidence/partial content"}, Reason: "looked at it", By: "ann", Time: testTime, Expires: "2026-06-01",
			}
			if tt.change != nil {
				tt.change(d)
			}
			m := &event.Manual{Payload: encode(t, d)}
			m.Signature = ed25519.Sign(tt.key, m.Signed())
			c.Artifact.Manual = m
			c.ArtifactFact = encode(t, c.Artifact)
			got, record, err := Decide(t.Context(), p, c)
			if err != nil {
				t.Fatal(err)
			}
			if show(got) != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", show(got), tt.want)
			}
			r, err := ParseRecord(record)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := r.Decide(t.Context(), nil, p); err != nil || show(again) != show(got) {
				t.Errorf("replayed: %s, %v", show(again), err)
			}
			m.Payload = append(m.Payload, ' ')
			changed, _, err := Decide(t.Context(), p, c)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(show(changed), "manual/ignored") {
				t.Errorf("it counts although it was changed:\n%s", show(changed))
			}
		})
	}
}

// A second allow, about another hold, does not bring back the first, and one
// that did not count adds nothing.
func TestAnotherManualDecision(t *testing.T) {
	ann, decider := by(t, "ann")
	eve, _ := by(t, "eve")
	p := builtIn(t, func(s *policy.Settings) { s.Deciders = []policy.Decider{decider} })
	for name, tt := range map[string]struct {
		first ed25519.PrivateKey
		want  string
	}{
		"counted":       {ann, "evidence/failed sbom, evidence/partial content"},
		"did not count": {eve, "evidence/failed sbom"},
	} {
		t.Run(name, func(t *testing.T) {
			store := openStore(t)
			f := clean()
			f.status(sbom, event.Failed, "crashed")
			c := f.toCase(t)
			first := &policy.ManualDecision{
				Artifact: c.Artifact.Digest, Registry: c.Artifact.Registry, Filename: c.Artifact.Filename, Decision: event.Allow,
				Overrules: []string{"evidence/partial content"}, Reason: "r", By: "ann", Time: testTime, Expires: "2026-06-01",
			}
			c.Artifact.Manual = &event.Manual{Payload: encode(t, first)}
			c.Artifact.Manual.Signature = ed25519.Sign(tt.first, c.Artifact.Manual.Signed())
			c.ArtifactFact = encode(t, c.Artifact)
			stored(t, store, p, c)
			found, err := Find(t.Context(), store, testRun)
			if err != nil {
				t.Fatal(err)
			}
			last, err := Last(found)
			if err != nil {
				t.Fatal(err)
			}
			second := &policy.ManualDecision{Decision: event.Allow, Reason: "r", By: "ann", Time: testTime, Expires: "2026-06-01"}
			order, err := Again(t.Context(), store, last, "c", second, func(m []byte) ([]byte, error) { return ed25519.Sign(ann, m), nil })
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(second.Overrules, ", "); got != tt.want || order.Supersedes != testRun || len(order.Reuse) != len(event.Kinds) {
				t.Errorf("overrules %s, want %s; order %+v", got, tt.want, order)
			}
		})
	}
}
