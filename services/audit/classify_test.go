package audit

import (
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// sayAs is a message with a payload, as a service publishes it.
func sayAs(t testing.TB, p event.Payload) *bus.Message {
	t.Helper()
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	m := said(bus.Events, 1, string(data))
	m.Subject = p.Subject()
	m.Header["ce-type"] = []string{string(p.EventType())}
	if m.Event, m.Invalid = event.FromMessage(m.Subject, m.Header, m.Data); m.Event == nil {
		t.Fatal(m.Invalid)
	}
	return m
}

func TestClassify(t *testing.T) {
	d := digest.Of([]byte("bytes"))
	run := event.NewRun()
	artifact := event.Artifact{Run: run, Lane: event.LaneNew, Registry: "r", Name: "n", Filename: "f", Digest: d, Format: "npm"}
	again := artifact
	again.Lane = event.LaneAgain
	evidence := func(kind event.Kind, change func(*event.Evidence)) *event.Evidence {
		e := &event.Evidence{Run: run, Kind: kind, Artifact: d, Registry: "r", Status: event.Complete}
		if change != nil {
			change(e)
		}
		return e
	}
	found := func(severity event.Severity) func(*event.Evidence) {
		return func(e *event.Evidence) {
			e.Findings, e.FindingsTotal = []event.Finding{{ID: "x", Severity: event.Low}, {ID: "y", Severity: severity, Component: `"}],"kind":"`}}, 2
		}
	}
	result := func(result string) func(*event.Evidence) {
		return func(e *event.Evidence) { e.Verification = &event.Verification{Result: result} }
	}
	verdict := func(outcome event.Outcome, supersedes string) *event.Verdict {
		return &event.Verdict{Run: run, Registry: "r", Artifact: d, Decision: outcome, Supersedes: supersedes, Envelope: json.RawMessage(`{"payload":"e30="}`), Time: time.Unix(1, 0)}
	}
	byHand := again
	byHand.Manual = &event.Manual{Payload: []byte(`{"by":"ann"}`), Signature: []byte("s")}
	for _, tc := range []struct {
		payload  event.Payload
		kind     EventKind
		severity Severity
	}{
		{&event.Upload{Registry: "r", ID: "1", Digest: d, Uploader: "Åsa \"the\" \\ uploader"}, EventUploaded, Info},
		{&artifact, EventStored, Info},
		{&again, EventReexamined, Info},
		{&byHand, EventManual, Warning},
		{evidence(event.KindSignature, result(event.Pass)), EventVerified, Info},
		{evidence(event.KindSignature, result(event.Fail)), EventFailed, Error},
		{evidence(event.KindSignature, result("unknown")), EventExamined, Info},
		{evidence(event.KindSBOM, nil), EventSBOM, Info},
		{evidence(event.KindSBOM, func(e *event.Evidence) { e.Status = event.Failed }), EventIncomplete, Warning},
		{evidence(event.KindVulnerabilities, found(event.Critical)), EventVulnerable, Critical},
		{evidence(event.KindVulnerabilities, found(event.High)), EventVulnerable, Error},
		{evidence(event.KindVulnerabilities, nil), EventExamined, Info},
		{evidence(event.KindSecrets, found(event.Medium)), EventSecret, Warning},
		{evidence(event.KindContent, found(event.Low)), EventUnsafe, Warning},
		{&event.Decision{Run: run, Artifact: artifact, Decision: event.Allow}, EventDecided, Info},
		{&event.Decision{Run: run, Artifact: artifact, Decision: event.Hold}, EventDecided, Warning},
		{&event.Decision{Run: run, Artifact: artifact, Decision: event.Deny}, EventViolation, Error},
		{verdict(event.Allow, ""), EventVerdict, Info},
		{verdict(event.Deny, ""), EventVerdict, Warning},
		{verdict(event.Deny, "before"), EventSuperseded, Warning},
	} {
		e := entryOf(sayAs(t, tc.payload))
		if e.Event != tc.kind || e.Severity != tc.severity || e.Artifact != d {
			t.Errorf("%s: %s, %s, %s; want %s, %s", tc.payload.EventType(), e.Event, e.Severity, e.Artifact, tc.kind, tc.severity)
		}
		if v, ok := tc.payload.(*event.Verdict); ok && e.Envelope != digest.Of(v.Envelope) {
			t.Errorf("envelope %s", e.Envelope)
		}
		if u, ok := tc.payload.(*event.Upload); ok && e.Actor != u.Uploader {
			t.Errorf("actor %q", e.Actor)
		}
	}
	for _, action := range event.Actions {
		o := &event.Operation{Service: "verdict", Action: action, From: "a", To: "b", ID: "1", Time: time.Unix(1, 0)}
		if e := entryOf(sayAs(t, o)); string(e.Event) != string(action) || e.Severity != Warning && action != event.AdvisoriesUpdated {
			t.Errorf("%s: %s, %s", action, e.Event, e.Severity)
		}
	}
	for _, data := range []string{`[]`, `{"artifact":7}`, `{"artifact":"sha256:xyz"}`, `{"kind":{}}`, `{"a"}`, `{"a":`, `{"findings":{}}`, ``} {
		m := sayAs(t, evidence(event.KindSBOM, nil))
		m.Event.Data = []byte(data)
		if e := entryOf(m); e.Event != EventMalformed {
			t.Errorf("%s: %s", data, e.Event)
		}
	}
}

// What members finds in JSON is what decoding finds.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"b":"x\"y\\","c":{"d":[1,{"e":"}"}]},"f":null}`, ` { "a" : [ ] , "b":true } `, `{"a":"\\"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		found := map[string]string{}
		ok := members(b, func(name, value []byte) { found[string(name)] = string(value) })
		var want map[string]json.RawMessage
		if json.Unmarshal(b, &want) != nil || want == nil {
			return
		}
		if !ok {
			t.Fatalf("%q: not an object", b)
		}
		for name, value := range found {
			if w, there := want[name]; there && string(w) != value {
				t.Errorf("%q: %s is %s, want %s", b, name, value, w)
			}
		}
		// encoding/json takes all that is no UTF-8 for the same character, and
		// names that differ only there for the same name.
		if utf8.Valid(b) && len(found) > len(want) {
			t.Errorf("%q: %d members, want %d", b, len(found), len(want))
		}
	})
}
