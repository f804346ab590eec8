// Package event is the contract between the parts of Assize: what they tell
// each other, on which subjects, in CloudEvents 1.0 binary mode on NATS. It
// is shared because every service speaks it, and so may any third party:
// schema/ holds the same contract as JSON Schemas and an AsyncAPI document.
package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Type is the CloudEvents type of an event.
type Type string

// The types of events, one per payload.
const (
	TypeUpload     Type = "dev.assize.upload.v1"
	TypeArtifact   Type = "dev.assize.artifact.v1"
	TypeEvidence   Type = "dev.assize.evidence.v1"
	TypeDecision   Type = "dev.assize.decision.v1"
	TypeVerdict    Type = "dev.assize.verdict.v1"
	TypeDeadLetter Type = "dev.assize.deadletter.v1"
	TypeOperation  Type = "dev.assize.operation.v1"
)

// Payload is what an event says. The set is closed: Upload, Artifact,
// Evidence, Decision, Verdict, DeadLetter and Operation.
type Payload interface {
	// EventType is the CloudEvents type.
	EventType() Type
	// Subject is the NATS subject the payload is published on.
	Subject() string
	// Identity names the fact: publishing it twice is publishing it once.
	// It is the CloudEvents id and the JetStream message id.
	Identity() string
	// Validate says what is wrong with the payload, naming the field.
	Validate() error
}

// Event is one payload with its CloudEvents attributes.
type Event struct {
	ID      string    // unique per source
	Source  string    // who says it, e.g. "assize/scan" or a registry's name
	Type    Type      // tells the payload
	Time    time.Time // when it happened; UTC
	Subject string    // the NATS subject
	Data    []byte    // the payload as JSON
}

// MaxData bounds an event's JSON; larger things go to the object store and
// are referred to by digest. The servers' limit is 1 MiB.
const MaxData = 256 << 10

// maxDeadLetter lets a dead letter hold any other event, in base64.
const maxDeadLetter = 512 << 10

func limitOf(t Type) int {
	if t == TypeDeadLetter {
		return maxDeadLetter
	}
	return MaxData
}

// ErrInvalid is wrapped by every error that says a payload, header or
// subject does not keep the contract.
var ErrInvalid = errors.New("invalid event")

// New checks the payload and makes the event that source says at t.
func New(source string, t time.Time, p Payload) (*Event, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, p.EventType(), err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, p.EventType(), err)
	}
	if limit := limitOf(p.EventType()); len(data) > limit {
		return nil, fmt.Errorf("%w: %s %s: %d bytes, at most %d: store large documents and refer to them",
			ErrInvalid, p.EventType(), p.Identity(), len(data), limit)
	}
	return &Event{
		ID: p.Identity(), Source: source, Type: p.EventType(),
		Time: t.UTC(), Subject: p.Subject(), Data: data,
	}, nil
}

// Decode reads the payload of e into p and checks that the event's type and
// subject are the ones the payload asks for, so that a fact cannot claim to
// belong to another registry or run than the subject it was allowed on.
// Unknown fields are ignored: a newer publisher may say more.
func Decode(e *Event, p Payload) error {
	if e.Type != p.EventType() {
		return fmt.Errorf("%w: type %q on %s: want %s", ErrInvalid, e.Type, e.Subject, p.EventType())
	}
	if limit := limitOf(e.Type); len(e.Data) > limit {
		return fmt.Errorf("%w: %s: %d bytes, at most %d", ErrInvalid, e.Subject, len(e.Data), limit)
	}
	dec := json.NewDecoder(bytes.NewReader(e.Data))
	if err := dec.Decode(p); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrInvalid, e.Subject, err)
	}
	if dec.More() {
		return fmt.Errorf("%w: %s: data after the JSON value", ErrInvalid, e.Subject)
	}
	if err := p.Validate(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrInvalid, e.Subject, err)
	}
	if want := p.Subject(); want != e.Subject {
		return fmt.Errorf("%w: payload belongs on %s but came on %s", ErrInvalid, want, e.Subject)
	}
	return nil
}
