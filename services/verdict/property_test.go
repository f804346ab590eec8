package verdict

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"assize.dev/services/verdict/internal/join"
	"assize.dev/services/verdict/internal/policy"
	"assize.dev/shared/event"
)

// anyFinding is a finding of random class, severity and confidence, invented
// words included.
func anyFinding(r *rand.Rand) event.Finding {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	return event.Finding{
		ID:         fmt.Sprintf("F-%d", r.IntN(1000)),
		Class:      event.Class(pick("vulnerability", "malware", "secret", "content", "informational", "unevaluated", "novel")),
		Severity:   event.Severity(pick("critical", "high", "medium", "low", "info", "unknown", "novel")),
		Confidence: pick("checksum", "structure", "entropy", "generic", "", "novel"),
		Component:  pick("", "pkg:npm/a@1", "pkg:%zz", "pkg:", "@", "a@b@c", "pkg:npm/@@"),
		Location:   pick("", "a/b!c", "%s"), Line: r.IntN(3), Message: pick("", "m"),
	}
}

// anyFacts is random evidence, mostly complete and with few findings, so that
// every decision occurs.
func anyFacts(r *rand.Rand) facts {
	f := clean()
	for _, kind := range event.Kinds {
		switch r.IntN(30) {
		case 0:
			f.status(kind, event.Partial, "partly")
		case 1:
			f.status(kind, event.Failed, "broken")
		case 2:
			f.status(kind, event.NotApplicable, "")
		case 3:
			delete(f, kind)
			continue
		}
		if r.IntN(5) == 0 {
			for range r.IntN(3) {
				f.found(kind, anyFinding(r))
			}
		}
		if r.IntN(20) == 0 {
			f[kind].FindingsTotal += r.IntN(100)
		}
	}
	if s := f[sig]; s != nil {
		switch r.IntN(4) {
		case 0, 1:
			f.signed(r.IntN(4))
		case 2:
			s.Verification.Result = []string{event.Fail, event.Pass, "novel"}[r.IntN(3)]
		}
	}
	return f
}

// anyContents is what an SBOM may list.
func anyContents(r *rand.Rand) []policy.Component {
	return inside([][]string{
		{}, {"pkg:npm/a@1 MIT"}, {"pkg:npm/a@1 GPL-3.0-only"}, {"pkg:npm/a@1"}, {"pkg:npm/banned@1 MIT"}, {"pkg:npm/banned MIT"},
		{"pkg:npm/banned@2 MIT", "pkg:npm/a@1 MIT OR X"}, {"pkg:% ~odd"},
	}[r.IntN(8)]...)
}

func copyFacts(f facts) facts {
	c := facts{}
	for kind, e := range f {
		dup := *e
		dup.Findings = slices.Clone(e.Findings)
		c[kind] = &dup
	}
	return c
}

// Over random evidence: the same case makes the same decision in any order of
// its pieces, taking evidence away never turns a hold or denial into an allow,
// and one finding more never improves the grade nor turns a denial into less.
func TestEvidenceCanOnlyBeMissed(t *testing.T) {
	grades := []event.Grade{event.GradeRisk, event.GradeCommunity, event.GradeVerified, event.GradeLocked}
	var policies []*Policy
	for _, g := range grades {
		policies = append(policies, builtIn(t, minimum(g)), builtIn(t, func(s *policy.Settings) {
			s.MinimumGrade = g
			s.AllowedLicenses, s.UnknownLicense = []string{"MIT"}, event.Outcomes[len(policies)%3]
			s.BannedPackages = []policy.Ban{{Package: "pkg:npm/banned", Versions: "<2", Reason: "r"}}
			s.MaximumEvidenceAgeDays, s.RequirePublisher = 30, []string{"Corp"}
			rule(policy.When{Registry: "registry.*"}, map[string]any{"vulnerability_epss": 0.5})(s)
		}))
	}
	seen := map[event.Outcome]int{}
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := policies[r.IntN(len(policies))]
		f := anyFacts(r)
		contents := anyContents(r)
		toCase := func(f facts) Case {
			c := f.toCase(t)
			c.Components = contents
			return c
		}
		before := decide(t, p, toCase(f))
		seen[before.Decision]++

		// The order of pieces comes from a map and differs each time.
		if again := decide(t, p, toCase(f)); !reflect.DeepEqual(before, again) {
			t.Fatalf("seed %d: same case, two decisions:\n%s\n%s", seed, show(before), show(again))
		}
		kinds := slices.Sorted(maps.Keys(f))
		if len(kinds) == 0 {
			continue
		}
		kind := kinds[r.IntN(len(kinds))]
		less := copyFacts(f)
		delete(less, kind)
		after := decide(t, p, toCase(less))
		if after.Decision == event.Allow && before.Decision != event.Allow {
			t.Fatalf("seed %d: without %s evidence:\n%s\nbecomes:\n%s", seed, kind, show(before), show(after))
		}
		// Only the grade risk rests on what evidence says against the
		// artifact; every other one needs evidence for it.
		if after.Grade.Rank() > before.Grade.Rank() && before.Grade != event.GradeRisk {
			t.Fatalf("seed %d: without %s evidence grade %s becomes %s", seed, kind, before.Grade, after.Grade)
		}
		more := copyFacts(f)
		more.found(kind, anyFinding(r))
		more[kind].FindingsTotal = max(more[kind].FindingsTotal, f[kind].FindingsTotal+1)
		after = decide(t, p, toCase(more))
		if after.Grade.Rank() > before.Grade.Rank() || before.Decision == event.Deny && after.Decision != event.Deny {
			t.Fatalf("seed %d: one finding more in %s:\n%s\nbecomes:\n%s", seed, kind, show(before), show(after))
		}
	}
	for _, outcome := range event.Outcomes {
		if seen[outcome] < 4 {
			t.Errorf("random evidence made %s only %d times", outcome, seen[outcome])
		}
	}
}

func TestAtMostFiftyReasons(t *testing.T) {
	f := clean()
	for i := range event.MaxFindings {
		f.found(vul, cve(fmt.Sprintf("CVE-%03d", i), event.High, "pkg:gem/a@1", strings.Repeat("9", 2000)))
	}
	f.status(con, event.Failed, strings.Repeat("x", 5000))
	d := decide(t, builtIn(t, nil), f.toCase(t))
	last := d.Reasons[len(d.Reasons)-1]
	// 64 vulnerabilities, the grade and the failed evidence make 66.
	if len(d.Reasons) != policy.MaxReasons || last.Message != "and 17 more" || last.Outcome != event.Deny {
		t.Errorf("%d reasons, the last %+v", len(d.Reasons), last)
	}
}

// A record is enough to make the decision again.
func TestRecordReplays(t *testing.T) {
	p := builtIn(t, nil)
	f := clean()
	f.signed(2)
	f.found(sec, secret(event.High, "generic"))
	f[con].Artifact = f[con].Artifact[:70] + "0"
	c := f.toCase(t)
	for i, piece := range c.Evidence {
		if piece.Kind == sbom { // as if it had come without headers
			c.Evidence[i] = join.ReadPiece(sbom, "", piece.Data, c.Artifact)
		}
	}
	want, record, err := Decide(t.Context(), p, c)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := ParseRecord(record)
	if err != nil {
		t.Fatal(err)
	}
	replayed, err := parsed.Case()
	if err != nil {
		t.Fatal(err)
	}
	got, again, err := Decide(t.Context(), p, replayed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(record, again) || !reflect.DeepEqual(got, want) {
		t.Errorf("replayed:\n%s\nfirst:\n%s", show(got), show(want))
	}
	if got.Artifact.Signatures != nil || len(replayed.Artifact.Signatures) != 1 {
		t.Error("signatures belong in the record, not in the decision")
	}

	var tampered Record
	if err := json.Unmarshal(record, &tampered); err != nil {
		t.Fatal(err)
	}
	tampered.Evidence[2].Data = append(tampered.Evidence[2].Data, ' ')
	if _, err := ParseRecord(encode(t, tampered)); err == nil || !strings.Contains(err.Error(), "secrets fact has digest") {
		t.Errorf("tampered record: %v", err)
	}
}

func TestDecideConcurrently(t *testing.T) {
	p := builtIn(t, nil)
	f := clean()
	f.found(vul, cve("CVE-1", event.High, "pkg:gem/a@1"))
	want := decide(t, p, f.toCase(t))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if got := decide(t, p, f.toCase(t)); !reflect.DeepEqual(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", show(got), show(want))
			}
		})
	}
	group.Wait()
}

func FuzzParseRecord(f *testing.F) {
	_, record, err := Decide(f.Context(), builtIn(f, nil), clean().toCase(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record)
	f.Add([]byte(`{"artifact":{"data":"e30="}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRecord(text)
		if err != nil {
			return
		}
		if _, err := r.Case(); err != nil {
			return
		}
	})
}
