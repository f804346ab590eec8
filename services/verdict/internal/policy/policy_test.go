package policy

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// answered is input that the built-in policy allows.
func answered() Input {
	in := Input{Artifact: event.Artifact{Name: "shop"}, Evidence: []event.Evidence{}, Faults: map[event.Kind]string{}}
	for _, kind := range event.Kinds {
		e := event.Evidence{Kind: kind, Status: event.Complete}
		if kind == event.KindSignature {
			e.Verification = &event.Verification{Result: event.Undetermined}
		}
		in.Evidence = append(in.Evidence, e)
	}
	return in
}

// write puts files into a new directory.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func loadRego(t *testing.T, rules string) *Policy {
	t.Helper()
	p, err := Load(t.Context(), filepath.Join(write(t, map[string]string{"own.rego": rules}), "own.rego"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const ownRego = `package assize.policy
verdict := {"decision": "deny", "grade": "community", "reasons": [
	{"rule": "own", "outcome": "deny", "message": sprintf("no %s here", [input.artifact.name]), "evidence": ""},
]}
`

func TestLoad(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		path  string // inside the directory
		want  string // name of the policy and the message of its first reason
		err   string
	}{
		{name: "settings", files: map[string]string{"p.yaml": "name: strict\nminimum_grade: verified\n"}, path: "p.yaml",
			want: "strict: grade community is below verified: it has no signature by a trusted key"},
		{name: "rules", files: map[string]string{"own.rego": ownRego}, path: "own.rego", want: "custom: no shop here"},
		{name: "directory", files: map[string]string{"a.rego": ownRego, "b.rego": "package assize.words\n", "own_test.rego": "broken",
			"README.md": "why", ".hidden": "x", "settings.yaml": "required_evidence: [sbom]\nname: ours\n"}, want: "ours: no shop here"},

		{name: "no such file", path: "absent.yaml", err: "no such file"},
		{name: "other file", files: map[string]string{"policy.json": "{}"}, path: "policy.json", err: "neither a directory nor"},
		{name: "empty settings", files: map[string]string{"p.yaml": ""}, path: "p.yaml", err: "not a list of keys and values"},
		{name: "only a comment", files: map[string]string{"p.yml": "# nothing\n"}, path: "p.yml", err: "not a list of keys and values"},
		{name: "not YAML", files: map[string]string{"p.yaml": "a: [\n"}, path: "p.yaml", err: "parse YAML"},
		{name: "unknown key", files: map[string]string{"p.yaml": "minimum_grad: verified\n"}, path: "p.yaml", err: "no key minimum_grad here"},
		{name: "doubled key", files: map[string]string{"p.yaml": "name: a\nname: b\n"}, path: "p.yaml", err: "already defined"},
		{name: "no value", files: map[string]string{"p.yaml": "name: a\nminimum_grade:\n"}, path: "p.yaml", err: `line 2: "minimum_grade" has no value`},
		{name: "two documents", files: map[string]string{"p.yaml": "name: a\n---\nname: b\n"}, path: "p.yaml", err: "more than one YAML document"},
		{name: "unknown grade", files: map[string]string{"p.yaml": "minimum_grade: Verified\n"}, path: "p.yaml", err: `unknown grade "Verified"`},
		{name: "unknown severity", files: map[string]string{"p.yaml": "vulnerability_severity: unknown\n"}, path: "p.yaml", err: "want critical, high"},
		{name: "unknown confidence", files: map[string]string{"p.yaml": "secret_confidence: certain\n"}, path: "p.yaml", err: "want checksum"},
		{name: "nothing required", files: map[string]string{"p.yaml": "required_evidence: []\n"}, path: "p.yaml", err: "0 kinds"},
		{name: "kind twice", files: map[string]string{"p.yaml": "required_evidence: [sbom, sbom]\n"}, path: "p.yaml", err: "listed twice"},
		{name: "kind misspelt", files: map[string]string{"p.yaml": "required_evidence: [SBOM]\n"}, path: "p.yaml", err: "lower-case letters"},
		{name: "name empty", files: map[string]string{"p.yaml": "name: ''\n"}, path: "p.yaml", err: "name:"},
		{name: "settings too large", files: map[string]string{"p.yaml": "name: a\n#" + strings.Repeat("x", maxSettings)}, path: "p.yaml", err: "more than 65536 bytes"},
		{name: "empty directory", err: "no Rego files"},
		{name: "misspelt file", files: map[string]string{"a.rego": ownRego, "setings.yaml": "name: a\n"}, err: "setings.yaml does not belong"},
		{name: "broken settings beside rules", files: map[string]string{"a.rego": ownRego, "settings.yaml": "x: 1\n"}, err: "settings.yaml: parse YAML"},
		{name: "broken Rego", files: map[string]string{"a.rego": "package assize.policy\nverdict := {"}, err: "compile policy"},
		{name: "not UTF-8", files: map[string]string{"a.rego": "package \xff"}, err: "not UTF-8"},
		{name: "other package", files: map[string]string{"a.rego": "package other\nverdict := 1\n"}, err: "no rule defines data.assize.policy.verdict"},
		{name: "similar name", files: map[string]string{"a.rego": "package assize.policy\nverdicts := 1\n"}, err: "no rule defines data.assize.policy.verdict"},
		{name: "unused variable, strict mode", files: map[string]string{"a.rego": "package assize.policy\nverdict := 1 if { x := 2 }\n"}, err: "assigned var x unused"},
		{name: "conflicting rules in two files", files: map[string]string{"a.rego": ownRego, "b.rego": "package assize.policy\ndefault verdict := 1\ndefault verdict := 2\n"}, err: "multiple default rules"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Load(t.Context(), filepath.Join(write(t, tt.files), tt.path))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("Load: %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			ruling, err := p.Evaluate(t.Context(), answered())
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Name().Name + ": " + ruling.Reasons[0].Message; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// What is out of a policy's reach does not compile.
func TestForbiddenBuiltins(t *testing.T) {
	for _, call := range []string{
		`http.send({"method": "get", "url": "http://localhost"})`, `opa.runtime()`, `time.now_ns()`, `rand.intn("a", 5)`,
		`uuid.rfc4122("a")`, `net.lookup_ip_addr("localhost")`, `io.jwt.decode_verify("a", {})`, `io.jwt.encode_sign({}, {}, {})`,
	} {
		dir := write(t, map[string]string{"a.rego": "package assize.policy\nverdict := " + call + "\n"})
		if _, err := Load(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "undefined function") {
			t.Errorf("%s: %v", call, err)
		}
	}
}

func TestEvaluateRefusesGarbage(t *testing.T) {
	reasons := `[{"rule": "r", "outcome": "allow", "message": "m", "evidence": ""}]`
	for _, tt := range []struct{ name, verdict, want string }{
		{"undefined", "1 if false", "undefined"},
		{"a word", `"allow"`, "not an object"},
		{"a list", `[{"decision": "allow", "grade": "locked", "reasons": ` + reasons + `}]`, "not an object"},
		{"boolean", `true`, "not an object"},
		{"unknown decision", `{"decision": "permit", "grade": "locked", "reasons": ` + reasons + `}`, `decision: unknown word "permit"`},
		{"no decision", `{"grade": "locked", "reasons": ` + reasons + `}`, "decision: unknown word"},
		{"unknown grade", `{"decision": "allow", "grade": "A+", "reasons": ` + reasons + `}`, `grade: unknown word "A+"`},
		{"no reasons", `{"decision": "allow", "grade": "locked", "reasons": []}`, "reasons: none given"},
		{"reasons left out", `{"decision": "allow", "grade": "locked"}`, "reasons: none given"},
		{"unknown outcome", `{"decision": "allow", "grade": "locked", "reasons": [{"rule": "r", "outcome": "maybe", "message": "m"}]}`, "unknown outcome"},
		{"no message", `{"decision": "allow", "grade": "locked", "reasons": [{"rule": "r", "outcome": "allow", "message": "\n"}]}`, "without a rule or a message"},
		{"key too many", `{"decision": "allow", "grade": "locked", "reasons": ` + reasons + `, "sure": true}`, "unknown field"},
		{"allows against its own reason", `{"decision": "allow", "grade": "locked", "reasons": [{"rule": "r", "outcome": "deny", "message": "m"}]}`, "worst of its reasons asks for deny"},
		{"denies without a reason to", `{"decision": "deny", "grade": "locked", "reasons": ` + reasons + `}`, "worst of its reasons asks for allow"},
		{"two at once", "{\"decision\": x, \"grade\": \"locked\", \"reasons\": " + reasons + "} if { some x in [\"allow\", \"deny\"] }", "multiple"},
		{"builtin fails", `{"decision": "allow", "grade": sprintf("%d", [to_number(input.artifact.name)]), "reasons": ` + reasons + `}`, "to_number"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := loadRego(t, "package assize.policy\nverdict := "+tt.verdict+"\n")
			ruling, err := p.Evaluate(t.Context(), answered())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Evaluate: %+v, %v, want %q", ruling, err, tt.want)
			}
			if f := Failure(err); f.Decision != event.Hold || f.Grade != event.GradeRisk || f.Reasons[0].Rule != "policy/error" {
				t.Errorf("Failure: %+v", f)
			}
		})
	}
}

const endlessRego = `package assize.policy
verdict := {"decision": "allow", "grade": "locked", "reasons": [{"rule": "r", "outcome": "allow", "message": "m"}]} if {
	count([1 | some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a + b < 0]) == 0
}
`

func TestEvaluateEndsInTime(t *testing.T) {
	p := loadRego(t, endlessRego)
	p.Timeout = 50 * time.Millisecond
	if _, err := p.Evaluate(t.Context(), answered()); err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("Evaluate: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(errors.New("shutting down")) })
	p.Timeout = time.Hour
	if _, err := p.Evaluate(ctx, answered()); err == nil || strings.Contains(err.Error(), "no answer within") {
		t.Errorf("Evaluate after cancellation: %v", err)
	}
}

// Whatever an operator's Rego says, missing evidence is never a pass.
func TestAllowNeedsAnswers(t *testing.T) {
	p := loadRego(t, `package assize.policy
verdict := {"decision": "allow", "grade": "locked", "reasons": [{"rule": "r", "outcome": "allow", "message": "fine"}]}
`)
	if r, err := p.Evaluate(t.Context(), answered()); err != nil || r.Decision != event.Allow {
		t.Fatalf("Evaluate: %+v, %v", r, err)
	}
	for name, spoil := range map[string]func(*Input){
		"missing": func(in *Input) { in.Evidence = in.Evidence[1:] },
		"failed":  func(in *Input) { in.Evidence[0].Status = event.Failed },
		"partial": func(in *Input) { in.Evidence[0].Status = event.Partial },
		"fault":   func(in *Input) { in.Faults[event.KindSignature] = "about other bytes" },
	} {
		in := answered()
		spoil(&in)
		r, err := p.Evaluate(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		first := r.Reasons[0]
		if r.Decision != event.Hold || first.Rule != "policy/unanswered" || first.Evidence != event.KindSignature {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// The digest is that of the bundle and changes with settings and rules, not
// with the place the files lie in.
func TestDigest(t *testing.T) {
	seen := map[digest.Digest]string{}
	for name, files := range map[string]map[string]string{
		"one":      {"a.rego": ownRego},
		"comment":  {"a.rego": ownRego + "# more\n"},
		"renamed":  {"b.rego": ownRego},
		"settings": {"a.rego": ownRego, "settings.yaml": "content_severity: low\n"},
		"split":    {"a.rego": ownRego, "b.rego": "package x\n"},
	} {
		var digests []digest.Digest
		for range 2 {
			p, err := Load(t.Context(), write(t, files))
			if err != nil {
				t.Fatal(err)
			}
			if got := digest.Of(p.Bundle()); got != p.Name().Digest {
				t.Errorf("%s: bundle has digest %s, policy says %s", name, got, p.Name().Digest)
			}
			digests = append(digests, p.Name().Digest)
		}
		if digests[0] != digests[1] {
			t.Errorf("%s: digest depends on the directory", name)
		}
		if other := seen[digests[0]]; other != "" {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[digests[0]] = name
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add([]byte("name: a\nminimum_grade: locked\nrequired_evidence: [sbom]\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseSettings(text, DefaultSettings())
		if err == nil && s.Validate() != nil {
			t.Errorf("accepted invalid settings %+v", s)
		}
	})
}

func FuzzSentence(f *testing.F) {
	f.Add("a\x1b[2Jb\u202e…", 5)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = 3 + max(0, limit)%1000
		if got := sentence(text, limit); len(got) > limit || strings.ContainsAny(got, "\n\r\x1b\u202e") || strings.ToValidUTF8(got, "") != got {
			t.Errorf("sentence(%q, %d) = %q", text, limit, got)
		}
	})
}
