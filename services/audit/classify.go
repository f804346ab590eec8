package audit

import (
	"encoding/json"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// EventKind is what happened, in the words of an audit.
type EventKind string

// The kinds of events.
const (
	EventUploaded     EventKind = "artifact_uploaded"   // a registry announced it
	EventStored       EventKind = "artifact_stored"     // its bytes are in the store
	EventReexamined   EventKind = "artifact_reexamined" // it is judged again
	EventVerified     EventKind = "signature_verified"
	EventFailed       EventKind = "signature_failed"
	EventSBOM         EventKind = "sbom_generated"
	EventVulnerable   EventKind = "vulnerability_detected"
	EventSecret       EventKind = "secret_detected"
	EventUnsafe       EventKind = "unsafe_content_detected"
	EventExamined     EventKind = "security_audit" // examined, and nothing of the above
	EventIncomplete   EventKind = "examination_failed"
	EventDecided      EventKind = "policy_evaluated"
	EventViolation    EventKind = "policy_violation" // the decision is to deny
	EventVerdict      EventKind = "verdict_issued"
	EventSuperseded   EventKind = "verdict_superseded" // by this one
	EventAbandoned    EventKind = "event_abandoned"    // a service gave up on it
	EventMalformed    EventKind = "event_malformed"
	EventGap          EventKind = "events_missing"
	EventUnclassified EventKind = "event" // of a type that this version does not know
)

// Severity is how much an entry matters.
type Severity string

// The severities, least first.
const (
	Debug    Severity = "debug"
	Info     Severity = "info"
	Warning  Severity = "warning"
	Error    Severity = "error"
	Critical Severity = "critical"
)

// Severities lists them, least first.
var Severities = []Severity{Debug, Info, Warning, Error, Critical}

// Rank orders severities; an unknown one ranks below all.
func (s Severity) Rank() int {
	for i, known := range Severities {
		if s == known {
			return i + 1
		}
	}
	return 0
}

// classify says what an event means. It follows from the event alone, so that
// all replicas write the same. An event that breaks the contract of its type
// is malformed.
func (e *Entry) classify(of *event.Event) {
	switch of.Type {
	case event.TypeUpload:
		decoded(e, of, func(u *event.Upload) {
			e.say(EventUploaded, Info)
			e.Artifact, e.Actor = u.Digest, attribute(u.Uploader)
		})
	case event.TypeArtifact:
		decoded(e, of, func(a *event.Artifact) {
			e.say(EventStored, Info)
			if a.Lane != event.LaneNew {
				e.say(EventReexamined, Info)
			}
			e.Artifact = a.Digest
		})
	case event.TypeEvidence:
		decoded(e, of, func(v *event.Evidence) {
			e.say(meaning(v))
			e.Artifact = v.Artifact
		})
	case event.TypeDecision:
		decoded(e, of, func(d *event.Decision) {
			switch d.Decision {
			case event.Allow:
				e.say(EventDecided, Info)
			case event.Deny:
				e.say(EventViolation, Error)
			default:
				e.say(EventDecided, Warning)
			}
			e.Artifact = d.Artifact.Digest
		})
	case event.TypeVerdict:
		decoded(e, of, func(v *event.Verdict) {
			severity := Info
			if v.Decision != event.Allow {
				severity = Warning
			}
			e.say(EventVerdict, severity)
			if v.Supersedes != "" {
				e.say(EventSuperseded, severity)
			}
			e.Artifact, e.Envelope = v.Artifact, digest.Of(v.Envelope)
		})
	case event.TypeDeadLetter:
		decoded(e, of, func(*event.DeadLetter) { e.say(EventAbandoned, Error) })
	default:
		e.say(EventUnclassified, Info)
	}
}

func (e *Entry) say(kind EventKind, severity Severity) { e.Event, e.Severity = kind, severity }

// decoded hands out the payload if it can be read.
func decoded[P any](e *Entry, of *event.Event, then func(*P)) {
	payload := new(P)
	if json.Unmarshal(of.Data, payload) != nil {
		e.say(EventMalformed, Warning)
		return
	}
	then(payload)
}

// meaning of evidence.
func meaning(v *event.Evidence) (EventKind, Severity) {
	if v.Status == event.Failed {
		return EventIncomplete, Warning
	}
	found := v.FindingsTotal > 0 || len(v.Findings) > 0
	switch v.Kind {
	case event.KindSignature:
		if v.Verification != nil {
			switch v.Verification.Result {
			case event.Pass:
				return EventVerified, Info
			case event.Fail:
				return EventFailed, Error
			}
		}
	case event.KindSBOM:
		return EventSBOM, Info
	case event.KindVulnerabilities:
		if found {
			return EventVulnerable, worst(v.Findings)
		}
	case event.KindSecrets:
		if found {
			return EventSecret, worst(v.Findings)
		}
	case event.KindContent:
		if found {
			return EventUnsafe, worst(v.Findings)
		}
	}
	return EventExamined, Info
}

// worst is how much findings matter.
func worst(findings []event.Finding) Severity {
	rank := 0
	for _, f := range findings {
		rank = max(rank, f.Severity.Rank())
	}
	switch {
	case rank >= event.Critical.Rank():
		return Critical
	case rank >= event.High.Rank():
		return Error
	}
	return Warning
}
