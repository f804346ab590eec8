package event

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"assize.dev/shared/digest"
)

var sampleTime = time.Date(2026, 11, 22, 8, 0, 0, 5000, time.UTC)

const sampleRun = "01936f5e-8a00-7000-8000-0123456789ab"

// samples holds one valid payload of each kind.
func samples() map[string]Payload {
	d := digest.Of([]byte("bytes"))
	artifact := Artifact{
		Run: sampleRun, Lane: LaneNew, Registry: "npm.example:443", Name: "left-pad", Version: "1.0.0",
		Filename: "left-pad-1.0.0.tgz", Digest: d, SHA512: strings.Repeat("a", 128), Size: 5,
		Format: "npm", PURL: "pkg:npm/left-pad@1.0.0", Received: sampleTime,
		Signatures: []Attached{{Name: "left-pad-1.0.0.tgz.sig", Data: []byte{0, 1, 255}}},
	}
	document := Document{Name: "sbom", MediaType: "application/json", Key: "documents/sha256/00", Digest: d, Size: 5}
	reasons := []Reason{{Rule: "grade/minimum", Outcome: Deny, Message: "grade risk is below community", Evidence: KindSecrets}}
	return map[string]Payload{
		"upload": &Upload{
			Registry: "npm.example:443", ID: "42", Name: "left-pad", URL: "https://npm.example/left-pad-1.0.0.tgz",
			OccurredAt: sampleTime,
		},
		"artifact": &artifact,
		"evidence": &Evidence{
			Run: sampleRun, Lane: LaneNew, Registry: "npm.example:443", Kind: KindSecrets, Artifact: d,
			Status: Partial, Reason: "entry limit reached", Producer: Producer{Name: "scan", Version: "1"},
			Findings:      []Finding{{ID: "github-token", Class: ClassSecret, Severity: Critical, Message: "GitHub token"}},
			FindingsTotal: 1, Documents: []Document{document}, Started: sampleTime, Finished: sampleTime,
		},
		"decision": &Decision{
			Run: sampleRun, Artifact: artifact, Decision: Deny, Grade: GradeRisk, Reasons: reasons,
			Evidence: []EvidenceRef{{Kind: KindSecrets, Status: Partial, Digest: d}},
			Policy:   Policy{Name: "default", Digest: d}, Record: document, Time: sampleTime,
		},
		"verdict": &Verdict{
			Run: sampleRun, Lane: LaneNew, Registry: "npm.example:443", Name: "left-pad", Version: "1.0.0",
			Filename: "left-pad-1.0.0.tgz", PURL: "pkg:npm/left-pad@1.0.0", Format: "npm", Artifact: d,
			Decision: Deny, Grade: GradeRisk, Reasons: reasons, KeyID: "SHA256:abc", Envelope: []byte(`{"payload":""}`),
			Documents: []Document{document}, Time: sampleTime,
		},
		"deadletter": &DeadLetter{
			Service: "scan", Reason: "gave up", Attempts: 5, Stream: "EVENTS", Sequence: 9,
			Original: "assize.artifact.new.r.x", Headers: map[string]string{"ce-id": "1"}, Data: []byte("x"),
		},
	}
}

// Every payload survives the way through headers and data unchanged.
func TestRoundTrip(t *testing.T) {
	for name, p := range samples() {
		e, err := New("assize/test", sampleTime, p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		back, err := FromMessage(e.Subject, e.Header(), e.Data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(e, back) {
			t.Errorf("%s: attributes %+v became %+v", name, e, back)
		}
		got := reflect.New(reflect.TypeOf(p).Elem()).Interface().(Payload)
		if err := Decode(back, got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, p) {
			t.Errorf("%s: payload %+v became %+v", name, p, got)
		}
	}
}

// A payload that belongs on another subject is refused: permissions are
// given by subject.
func TestDecodeRefusesForeignSubject(t *testing.T) {
	p := samples()["evidence"].(*Evidence)
	e, err := New("assize/test", sampleTime, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{
		EvidenceSubject(KindSBOM, p.Registry, p.Run),
		EvidenceSubject(p.Kind, "other", p.Run),
		EvidenceSubject(p.Kind, p.Registry, NewRun()),
	} {
		e.Subject = subject
		if err := Decode(e, &Evidence{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("on %s: %v", subject, err)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	good, err := New("t", sampleTime, samples()["artifact"])
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*Event)) *Event { e := *good; change(&e); return &e }
	for name, e := range map[string]*Event{
		"other type":    with(func(e *Event) { e.Type = TypeVerdict }),
		"not JSON":      with(func(e *Event) { e.Data = []byte("{") }),
		"two values":    with(func(e *Event) { e.Data = append(append([]byte{}, e.Data...), "{}"...) }),
		"too large":     with(func(e *Event) { e.Data = append(append([]byte{}, e.Data...), make([]byte, MaxData)...) }),
		"bad digest":    with(func(e *Event) { e.Data = []byte(strings.Replace(string(e.Data), "sha256:", "sha256:X", 1)) }),
		"missing run":   with(func(e *Event) { e.Data = []byte(strings.Replace(string(e.Data), sampleRun, "", 1)) }),
		"unknown lane":  with(func(e *Event) { e.Data = []byte(strings.Replace(string(e.Data), `"new"`, `"urgent"`, 1)) }),
		"empty payload": with(func(e *Event) { e.Data = nil }),
	} {
		if err := Decode(e, &Artifact{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestNewRefusesOversize(t *testing.T) {
	ev := *samples()["evidence"].(*Evidence)
	ev.Reason = strings.Repeat("x", MaxData)
	if _, err := New("t", sampleTime, &ev); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

// Evidence is reused only from a run that is superseded.
func TestReuse(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Artifact)
		ok     bool
	}{
		"again":             {func(*Artifact) {}, true},
		"asked":             {func(a *Artifact) { a.Lane = LaneAsked }, true},
		"an upload":         {func(a *Artifact) { a.Lane = LaneNew }, false},
		"nothing to reuse":  {func(a *Artifact) { a.Supersedes = "" }, false},
		"supersedes no run": {func(a *Artifact) { a.Supersedes = "yesterday's" }, false},
		"too many":          {func(a *Artifact) { a.Reuse = make([]Kind, maxReuse+1) }, false},
		"long cause":        {func(a *Artifact) { a.Cause = strings.Repeat("x", MaxName+1) }, false},
	} {
		a := *samples()["artifact"].(*Artifact)
		a.Lane, a.Supersedes, a.Reuse = LaneAgain, sampleRun, []Kind{KindSBOM}
		test.change(&a)
		if err := a.Validate(); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUploadURL(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://r.example/a": true, "http://r.example/a": true, "s3://bucket/key": true,
		"file:///etc/passwd": false, "gopher://x/": false, "https:///a": false, "": false, "a b": false,
	} {
		u := *samples()["upload"].(*Upload)
		u.URL = url
		if err := u.Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestToken(t *testing.T) {
	for in, want := range map[string]string{
		"": "%", "npm": "npm", "harbor-prod_1": "harbor-prod_1", "registry.example:5000": "registry%2Eexample%3A5000",
		"a>b*c d": "a%3Eb%2Ac%20d", "ü": "%C3%BC", "%": "%25", "\x00": "%00",
	} {
		if got := Token(in); got != want {
			t.Errorf("Token(%q) = %q, want %q", in, got, want)
		}
		if back, err := FromToken(want); err != nil || back != in {
			t.Errorf("FromToken(%q) = %q, %v", want, back, err)
		}
	}
	for _, bad := range []string{"%2", "%zz", "%2e", "%41", "a.b", "%%", "", " "} {
		if s, err := FromToken(bad); err == nil {
			t.Errorf("FromToken(%q) = %q", bad, s)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add("registry.example")
	f.Add("%")
	f.Fuzz(func(t *testing.T, s string) {
		token := Token(s)
		if token == "" || strings.ContainsAny(token, ".*> \t\r\n\x00") {
			t.Fatalf("Token(%q) = %q is not one token", s, token)
		}
		back, err := FromToken(token)
		if err != nil || back != s {
			t.Fatalf("FromToken(Token(%q)) = %q, %v", s, back, err)
		}
		if plain, err := FromToken(s); err == nil && Token(plain) != s {
			t.Fatalf("two spellings of %q", plain)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, p := range samples() {
		e, err := New("t", sampleTime, p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(e.Subject, string(e.Type), e.Data)
	}
	f.Fuzz(func(t *testing.T, subject, typ string, data []byte) {
		e := &Event{ID: "1", Source: "s", Type: Type(typ), Subject: subject, Data: data}
		for _, p := range payloads {
			fresh := reflect.New(reflect.TypeOf(p).Elem()).Interface().(Payload)
			if Decode(e, fresh) != nil {
				continue
			}
			if fresh.Subject() != subject {
				t.Fatalf("accepted a payload of %s on %s", fresh.Subject(), subject)
			}
		}
	})
}
