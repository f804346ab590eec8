package attest

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/package-url/packageurl-go"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/dsse/dssetest"
	"assize.dev/services/sign/internal/signer"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const verifierID = "https://pipeline.example.test/verifier"

func decision(outcome event.Outcome) event.Decision {
	const run = "01912d3f-8a20-7c41-9f37-5b1a2c3d4e5f"
	sum := func(s string) digest.Digest { return digest.Of([]byte(s)) }
	return event.Decision{
		Run: run,
		Artifact: event.Artifact{
			Run: run, Lane: event.LaneNew, Registry: "npm-prod", Name: "demo", Version: "1.0.0",
			Filename: "demo-1.0.0.tgz", Digest: sum("artifact"), SHA512: strings.Repeat("ab", 64), Size: 8,
			Format: "npm", PURL: "pkg:npm/demo@1.0.0", Supersedes: "01912d3f-0000-7c41-9f37-5b1a2c3d4e5f",
			Signatures: []event.Attached{{Name: "demo-1.0.0.tgz.sig", Data: []byte("x")}},
		},
		Decision: outcome, Grade: event.GradeVerified, SLSALevel: 2,
		Reasons: []event.Reason{{Rule: "assize.evidence", Outcome: outcome, Message: "all of <5> kinds & more"}},
		Evidence: []event.EvidenceRef{
			{Kind: event.KindSignature, Status: event.Complete, Producer: event.Producer{Name: "sign", Version: "1"},
				Basis: map[string]string{"keys": "sha256:0", "level": "deep"}, Digest: sum("evidence")},
			{Kind: "licence/own", Status: event.Failed, Producer: event.Producer{Name: "x", Version: "2"}},
		},
		Policy: event.Policy{Name: "default policy", Digest: sum("policy")},
		Record: event.Document{Name: "record", MediaType: "application/json", Key: "verdicts/record", Digest: sum("record"), Size: 6},
		Time:   time.Date(2026, 11, 22, 7, 33, 8, 123456789, time.FixedZone("CET", 3600)),
	}
}

func attested(t testing.TB, d event.Decision, signers ...signer.Signer) (*event.Verdict, map[string][]byte) {
	t.Helper()
	a, err := New(Verifier{ID: verifierID, Version: "0.1.0", Keys: 7}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	verdict, files, err := a.Attest(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string][]byte)
	for i, f := range files {
		byName[f.Name] = f.Data
		doc := verdict.Documents[i]
		want := event.Document{
			Name: f.Name, MediaType: f.MediaType, Digest: digest.Of(f.Data), Size: int64(len(f.Data)),
			Key: "verdicts/sha256/" + d.Artifact.Digest.Hex() + "/" + d.Run + "." + f.Name,
		}
		if doc != want {
			t.Errorf("document %+v, want %+v", doc, want)
		}
	}
	if len(files) != len(verdict.Documents) || len(byName) != len(files) {
		t.Errorf("%d files, %d documents", len(files), len(verdict.Documents))
	}
	return verdict, byName
}

// open verifies an envelope or bundle and returns its statement.
func open(t testing.TB, public crypto.PublicKey, envelope []byte) *Statement {
	t.Helper()
	payload, err := dsse.Open(public, envelope)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseStatement(payload)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOnlyAllowGetsASummary(t *testing.T) {
	for outcome, want := range map[event.Outcome][]string{
		event.Allow: {VerdictEnvelope, VerdictBundle, SummaryEnvelope, SummaryBundle},
		event.Deny:  {VerdictEnvelope, VerdictBundle},
		event.Hold:  {VerdictEnvelope, VerdictBundle},
	} {
		key := dssetest.Ed25519("a")
		d := decision(outcome)
		verdict, files := attested(t, d, key)
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
			t.Errorf("%s: files %q, want %q", outcome, got, want)
		}
		for name, data := range files {
			s := open(t, key.Public(), data)
			if !s.About(d.Artifact.Digest) || s.About(digest.Of(nil)) || s.About("") || s.Subject[0].Name != "demo-1.0.0.tgz" {
				t.Errorf("%s: %s is about %+v", outcome, name, s.Subject)
			}
			if isSummary := s.PredicateType == SummaryPredicateType; isSummary != strings.HasPrefix(name, "vsa.") {
				t.Errorf("%s: %s holds a %s", outcome, name, s.PredicateType)
			}
		}
		if !bytes.Equal(verdict.Envelope, files[VerdictEnvelope]) || verdict.Decision != outcome || verdict.Supersedes != d.Artifact.Supersedes {
			t.Errorf("%s: verdict %+v", outcome, verdict)
		}
		p, err := open(t, key.Public(), verdict.Envelope).Verdict()
		if err != nil || p.Decision != outcome || p.Run != d.Run || p.Record.Digest != d.Record.Digest || len(p.Evidence) != 2 ||
			p.Verifier != (Verifier{verifierID, "0.1.0", 7}) || verdict.KeyVersion != 7 || !p.Time.Equal(d.Time) {
			t.Errorf("%s: predicate %+v, %v", outcome, p, err)
		}
	}
}

// TestGolden pins the signed bytes: a change here is a change of the format.
func TestGolden(t *testing.T) {
	for name, key := range map[string]dssetest.Signer{"ed25519": dssetest.Ed25519("a"), "p256": dssetest.P256(t, "a")} {
		_, first := attested(t, decision(event.Allow), key)
		_, second := attested(t, decision(event.Allow), key)
		for file := range first {
			if !bytes.Equal(first[file], second[file]) {
				t.Errorf("%s: %s differs between two runs", name, file)
			}
		}
		for _, file := range []string{VerdictEnvelope, SummaryEnvelope} {
			payload, err := dsse.Open(key.Public(), first[file])
			if err != nil {
				t.Fatal(err)
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, payload, "", "  "); err != nil {
				t.Fatal(err)
			}
			pretty.WriteByte('\n')
			golden := filepath.Join("testdata", strings.Replace(file, "dsse", "statement", 1))
			if *update {
				if err := os.WriteFile(golden, pretty.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(pretty.Bytes(), want) {
				t.Errorf("%s: statement of %s is\n%s\nwant\n%s", name, file, pretty.Bytes(), want)
			}
		}
	}
}

// TestSummaryRules holds the summary against what slsa-verifier demands.
func TestSummaryRules(t *testing.T) {
	for level := range 4 {
		d := decision(event.Allow)
		d.SLSALevel = level
		key := dssetest.Ed25519("a")
		_, files := attested(t, d, key)
		var p struct {
			Verifier           struct{ ID string }
			TimeVerified       time.Time
			ResourceURI        string
			VerificationResult string
			VerifiedLevels     []string
			DependencyLevels   json.RawMessage
			Policy             struct{ URI string }
			InputAttestations  []struct {
				URI    string
				Digest map[string]string
			}
		}
		if err := json.Unmarshal(open(t, key.Public(), files[SummaryEnvelope]).Predicate, &p); err != nil {
			t.Fatal(err)
		}
		if p.Verifier.ID != verifierID || p.ResourceURI != "pkg:npm/demo@1.0.0" || p.VerificationResult != "PASSED" ||
			p.Policy.URI != verifierID+"/policies/default%20policy" || p.DependencyLevels != nil {
			t.Errorf("summary: %+v", p)
		}
		slsa := regexp.MustCompile(`^SLSA_[A-Z]+_LEVEL_[0-3]$`)
		want := []string{"SLSA_BUILD_LEVEL_" + string(rune('0'+level)), "ASSIZE_GRADE_VERIFIED"}
		if !slices.Equal(p.VerifiedLevels, want) || !slsa.MatchString(p.VerifiedLevels[0]) {
			t.Errorf("levels %q, want %q", p.VerifiedLevels, want)
		}
		if len(p.InputAttestations) != 2 { // record and the evidence that exists
			t.Errorf("input attestations: %+v", p.InputAttestations)
		}
		for _, in := range p.InputAttestations {
			if !strings.HasPrefix(in.URI, verifierID+"/runs/"+d.Run+"/") || len(in.Digest["sha256"]) != 64 {
				t.Errorf("input attestation %+v", in)
			}
		}
	}
}

func TestResourceURI(t *testing.T) {
	d := digest.Of([]byte("x"))
	for _, c := range []struct{ name, version, purl, want string }{
		{"demo", "1", "pkg:deb/debian/demo@1?arch=amd64", "pkg:deb/debian/demo@1?arch=amd64"},
		{"demo", "1.0", "", "pkg:generic/demo@1.0?checksum=" + d.String()},
		{"demo", "", "", "pkg:generic/demo?checksum=" + d.String()},
		{"@scope/a b", "1+x", "", "pkg:generic/%40scope%2Fa%20b@1%2Bx?checksum=" + d.String()},
		{"../?#%", "", "not a purl", "pkg:generic/..%2F%3F%23%25?checksum=" + d.String()},
		{"demo", "", "pkg:", "pkg:generic/demo?checksum=" + d.String()},
	} {
		got := ResourceURI(&event.Artifact{Name: c.name, Version: c.version, PURL: c.purl, Digest: d})
		if got != c.want {
			t.Errorf("ResourceURI(%q, %q, %q) = %s, want %s", c.name, c.version, c.purl, got, c.want)
		}
		parsed, err := packageurl.FromString(got)
		if err != nil || parsed.Name != c.name || (parsed.Type == "generic" && parsed.Qualifiers.Map()["checksum"] != d.String()) {
			t.Errorf("%s reads back as %+v, %v", got, parsed, err)
		}
	}
}

func TestTooManyReasons(t *testing.T) {
	d := decision(event.Deny)
	for range 3000 {
		d.Reasons = append(d.Reasons, event.Reason{Rule: "r", Outcome: event.Deny, Message: strings.Repeat("<", 60)})
	}
	verdict, _ := attested(t, d, dssetest.Ed25519("a"), dssetest.MLDSA(t, "a"))
	last := verdict.Reasons[len(verdict.Reasons)-1]
	if last.Rule != "assize.reasons_omitted" || !strings.Contains(last.Message, "further reasons") || len(verdict.Reasons) < 100 {
		t.Errorf("%d reasons, the last %+v", len(verdict.Reasons), last)
	}
	if _, err := event.New("assize/sign", d.Time, verdict); err != nil {
		t.Error(err)
	}
	if len(d.Reasons) != 3001 || d.Reasons[len(verdict.Reasons)-1].Rule != "r" {
		t.Error("the caller's reasons were changed")
	}
}

func TestInvalidDecisions(t *testing.T) {
	a, err := New(Verifier{ID: verifierID}, dssetest.Ed25519("a"))
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*event.Decision){
		"no time":                     func(d *event.Decision) { d.Time = time.Time{} },
		"no reasons":                  func(d *event.Decision) { d.Reasons = nil },
		"outcome":                     func(d *event.Decision) { d.Decision = "maybe" },
		"grade":                       func(d *event.Decision) { d.Grade = "" },
		"level":                       func(d *event.Decision) { d.SLSALevel = 4 },
		"negative level":              func(d *event.Decision) { d.SLSALevel = -1 },
		"artifact digest":             func(d *event.Decision) { d.Artifact.Digest = "sha256:1" },
		"policy digest":               func(d *event.Decision) { d.Policy.Digest = "x" },
		"run":                         func(d *event.Decision) { d.Run = "x" },
		"more than an envelope holds": func(d *event.Decision) { d.Artifact.Name = strings.Repeat("x", 1<<20) },
	} {
		d := decision(event.Allow)
		edit(&d)
		if _, files, err := a.Attest(context.Background(), d); !errors.Is(err, event.ErrInvalid) || files != nil {
			t.Errorf("%s: %v, %d files", name, err, len(files))
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := a.Attest(ctx, decision(event.Allow)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	a, quantum := dssetest.Ed25519("a"), dssetest.MLDSA(t, "a")
	for name, c := range map[string]struct {
		id      string
		signers []signer.Signer
	}{
		"no key":            {verifierID, nil},
		"one key twice":     {verifierID, []signer.Signer{a, quantum, a}},
		"no classical key":  {verifierID, []signer.Signer{quantum}},
		"classical second":  {verifierID, []signer.Signer{quantum, a}},
		"no verifier":       {"", []signer.Signer{a}},
		"relative verifier": {"verifier", []signer.Signer{a}},
		"verifier's query":  {"https://x.test/?a=b", []signer.Signer{a}},
		"a key of no kind":  {verifierID, []signer.Signer{a, lost{public: "x"}}},
	} {
		if _, err := New(Verifier{ID: c.id, Version: "1"}, c.signers...); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// lost is a signer whose key cannot be reached.
type lost struct {
	public crypto.PublicKey
	err    error
}

func (l lost) Public() crypto.PublicKey                     { return l.public }
func (l lost) Sign(context.Context, []byte) ([]byte, error) { return nil, l.err }

// TestLostKey: a key that is out of reach is not the decision's fault, and
// what the other key signed does not go out alone.
func TestLostKey(t *testing.T) {
	gone := errors.New("token is gone")
	a, err := New(Verifier{ID: verifierID}, dssetest.Ed25519("a"), lost{dssetest.MLDSA(t, "a").Public(), gone})
	if err != nil {
		t.Fatal(err)
	}
	verdict, files, err := a.Attest(t.Context(), decision(event.Allow))
	if !errors.Is(err, gone) || errors.Is(err, event.ErrInvalid) || verdict != nil || files != nil {
		t.Errorf("%+v, %d files, %v", verdict, len(files), err)
	}
}

// TestHybrid: both keys sign the envelopes, the bundles are what clients take.
func TestHybrid(t *testing.T) {
	classical, quantum := dssetest.Ed25519("a"), dssetest.MLDSA(t, "a")
	verdict, files := attested(t, decision(event.Allow), classical, quantum)
	_, again := attested(t, decision(event.Allow), classical, quantum)
	_, alone := attested(t, decision(event.Allow), classical)
	both := dsse.Verifiers{Keys: []crypto.PublicKey{classical.Public(), quantum.Public()}, Threshold: 2}
	for name, data := range files {
		if !bytes.Equal(data, again[name]) {
			t.Errorf("%s differs between two runs", name)
		}
		isBundle := strings.HasSuffix(name, ".sigstore.json")
		if _, err := both.Open(data); (err == nil) == isBundle {
			t.Errorf("%s by both: %v", name, err)
		}
		open(t, classical.Public(), data)
		if isBundle && !bytes.Equal(data, alone[name]) {
			t.Errorf("%s is not that of the classical key alone", name)
		}
	}
	if id, err := dsse.KeyID(classical.Public()); err != nil || verdict.KeyID != id {
		t.Errorf("verdict names key %s, want %s (%v)", verdict.KeyID, id, err)
	}
}

// TestFinding: a verdict and its summary say the same.
func TestFinding(t *testing.T) {
	key := dssetest.Ed25519("a")
	d := decision(event.Allow)
	_, files := attested(t, d, key)
	for _, name := range []string{VerdictEnvelope, SummaryEnvelope} {
		f, err := open(t, key.Public(), files[name]).Finding()
		if err != nil {
			t.Fatal(err)
		}
		if f.VerifierID != verifierID || f.KeyVersion != 7 || !f.Time.Equal(d.Time) || f.Run != d.Run || f.Decision != event.Allow ||
			f.Grade != d.Grade || f.Resource != d.Artifact.PURL || (len(f.Reasons) == 1) != (name == VerdictEnvelope) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	for name, s := range map[string]Statement{
		"another predicate":  {PredicateType: "https://example.test/v1", Predicate: []byte("{}")},
		"no time":            {PredicateType: VerdictPredicateType, Predicate: []byte(`{"decision":"allow"}`)},
		"another decision":   {PredicateType: VerdictPredicateType, Predicate: []byte(`{"decision":"maybe","time":"2026-01-01T00:00:00Z"}`)},
		"negative version":   {PredicateType: VerdictPredicateType, Predicate: []byte(`{"verifier":{"keys":-1},"decision":"allow","time":"2026-01-01T00:00:00Z"}`)},
		"failed summary":     {PredicateType: SummaryPredicateType, Predicate: []byte(`{"verificationResult":"FAILED","https://assize.dev/verdict/v1":{"decision":"allow"}}`)},
		"a foreign summary":  {PredicateType: SummaryPredicateType, Predicate: []byte(`{"verificationResult":"PASSED","timeVerified":"2026-01-01T00:00:00Z"}`)},
		"a name in two ways": {PredicateType: VerdictPredicateType, Predicate: []byte(`{"decision":"deny","Decision":"allow","time":"2026-01-01T00:00:00Z"}`)},
	} {
		if f, err := s.Finding(); err == nil {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// TestParseStatementRefuses: of the statements there are in the world, those
// that we could not have made.
func TestParseStatementRefuses(t *testing.T) {
	key := dssetest.Ed25519("a")
	_, files := attested(t, decision(event.Allow), key)
	payload, err := dsse.Open(key.Public(), files[VerdictEnvelope])
	if err != nil {
		t.Fatal(err)
	}
	const sum = `"digest":{"sha256":"`
	for name, edit := range map[string][2]string{
		"an older version":  {"Statement/v1", "Statement/v0.1"},
		"no type":           {`"_type"`, `"type"`},
		"a name twice":      {`"_type"`, `"_type":"x","_type"`},
		"no predicate type": {`"predicateType"`, `"x"`},
		"no subject":        {`"subject":[`, `"subject":[],"x":[`},
		"a second subject":  {`"subject":[`, `"subject":[{"name":"x","digest":{"sha512":"00"}},`},
		"no SHA-256":        {sum, `"digest":{"sha1":"`},
		"a short SHA-256":   {sum, sum + `00"},"x":{"y":"`},
		"in capitals":       {sum, sum + strings.Repeat("AA", 32) + `"},"x":{"y":"`},
		"two values":        {"", "{}"},
	} {
		if !bytes.Contains(payload, []byte(edit[0])) {
			t.Fatalf("%s: nothing to change", name)
		}
		if s, err := ParseStatement(bytes.Replace(payload, []byte(edit[0]), []byte(edit[1]), 1)); err == nil {
			t.Errorf("%s: accepted %+v", name, s)
		}
	}
}

func FuzzParseStatement(f *testing.F) {
	key := dssetest.Ed25519("a")
	_, files := attested(f, decision(event.Allow), key)
	payload, err := dsse.Open(key.Public(), files[VerdictEnvelope])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{}],"predicateType":"x"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := ParseStatement(payload)
		if err != nil {
			return
		}
		if len(s.Subject) == 0 || len(s.Subject[0].Digest["sha256"]) != 64 {
			t.Errorf("accepted %q", payload)
		}
		if f, err := s.Finding(); err == nil && f.Time.IsZero() {
			t.Errorf("finding without a time in %q", payload)
		}
	})
}
