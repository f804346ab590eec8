package audit

import (
	"encoding/json"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// EventKind is what happened, in the words of an audit.
type EventKind string

// The kinds of events; those of operations are called as their actions are.
const (
	EventUploaded     EventKind = "artifact_uploaded"   // a registry announced it
	EventStored       EventKind = "artifact_stored"     // its bytes are in the store
	EventReexamined   EventKind = "artifact_reexamined" // it is judged again
	EventManual       EventKind = "decided_by_hand"     // by whom is what it claims
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
	case event.TypeUpload, event.TypeArtifact, event.TypeEvidence, event.TypeDecision, event.TypeVerdict, event.TypeDeadLetter:
	case event.TypeOperation:
		var o event.Operation
		if json.Unmarshal(of.Data, &o) == nil && o.Validate() == nil {
			e.say(EventKind(o.Action), Info)
			if o.From != "" && o.Action != event.AdvisoriesUpdated {
				e.Severity = Warning // verdicts follow from something else now
			}
		}
		return
	default:
		e.say(EventUnclassified, Info)
		return
	}
	s, ok := gistOf(of.Data)
	if !ok {
		return
	}
	e.Artifact = s.artifact
	switch of.Type {
	case event.TypeUpload:
		e.say(EventUploaded, Info)
		e.Artifact, e.Actor = s.digest, attribute(s.uploader)
	case event.TypeArtifact:
		e.say(EventStored, Info)
		if s.lane != event.LaneNew {
			e.say(EventReexamined, Info)
		}
		if s.manual {
			e.say(EventManual, Warning)
			e.Actor = attribute(s.by)
		}
		e.Artifact = s.digest
	case event.TypeEvidence:
		e.say(s.meaning())
	case event.TypeDecision:
		e.say(EventDecided, s.severity())
		if s.decision == event.Deny {
			e.say(EventViolation, Error)
		}
	case event.TypeVerdict:
		e.say(EventVerdict, s.severity())
		if s.supersedes != "" {
			e.say(EventSuperseded, s.severity())
		}
		e.Envelope = digest.Of(s.envelope)
	case event.TypeDeadLetter:
		e.say(EventAbandoned, Error)
	}
}

func (s *gist) severity() Severity {
	if s.decision == event.Allow {
		return Info
	}
	return Warning
}

func (e *Entry) say(kind EventKind, severity Severity) { e.Event, e.Severity = kind, severity }

// meaning of evidence.
func (s *gist) meaning() (EventKind, Severity) {
	if s.status == event.Failed {
		return EventIncomplete, Warning
	}
	found := s.findingsTotal > 0 || len(s.findings) > 0
	switch s.kind {
	case event.KindSignature:
		switch s.result {
		case event.Pass:
			return EventVerified, Info
		case event.Fail:
			return EventFailed, Error
		}
	case event.KindSBOM:
		return EventSBOM, Info
	case event.KindVulnerabilities:
		if found {
			return EventVulnerable, worst(s.findings)
		}
	case event.KindSecrets:
		if found {
			return EventSecret, worst(s.findings)
		}
	case event.KindContent:
		if found {
			return EventUnsafe, worst(s.findings)
		}
	}
	return EventExamined, Info
}

// worst is how much findings matter.
func worst(findings []rated) Severity {
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
