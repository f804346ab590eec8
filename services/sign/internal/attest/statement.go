package attest

import (
	"encoding/json"
	"fmt"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// StatementType is that of the in-toto attestation framework, version 1.
const StatementType = "https://in-toto.io/Statement/v1"

// Statement is an in-toto statement: somebody says something (the predicate)
// about bytes (the subject).
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Subject names bytes by their digests, algorithm to hexadecimal.
type Subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

func subjectOf(d *event.Decision) Subject {
	return Subject{Name: d.Artifact.Filename, Digest: sha256Of(d.Artifact.Digest)}
}

func sha256Of(d digest.Digest) map[string]string { return map[string]string{"sha256": d.Hex()} }

// maxSubjects is what clients of Sigstore take.
const maxSubjects = 1024

// ParseStatement reads the payload of an opened envelope. Each subject must
// have a SHA-256, so that a statement is always about some bytes.
func ParseStatement(payload []byte) (*Statement, error) {
	var s Statement
	if err := json.Unmarshal(payload, &s); err != nil {
		return nil, fmt.Errorf("reading statement: %w", err)
	}
	switch {
	case s.Type != StatementType:
		return nil, fmt.Errorf("statement's type is %.80q, want %s", s.Type, StatementType)
	case s.PredicateType == "":
		return nil, fmt.Errorf("statement has no predicate type")
	case len(s.Subject) == 0 || len(s.Subject) > maxSubjects:
		return nil, fmt.Errorf("statement has %d subjects, want 1 to %d", len(s.Subject), maxSubjects)
	}
	for i, subject := range s.Subject {
		if _, err := digest.Parse("sha256:" + subject.Digest["sha256"]); err != nil {
			return nil, fmt.Errorf("statement: subject %d (%.80q): %w", i, subject.Name, err)
		}
	}
	return &s, nil
}

// About tells whether the statement is about the bytes with this digest.
func (s *Statement) About(d digest.Digest) bool {
	for _, subject := range s.Subject {
		if d != "" && subject.Digest["sha256"] == d.Hex() {
			return true
		}
	}
	return false
}

// Verdict reads the predicate of a statement of our own.
func (s *Statement) Verdict() (*VerdictPredicate, error) {
	if s.PredicateType != VerdictPredicateType {
		return nil, fmt.Errorf("statement is a %.80q, not a %s", s.PredicateType, VerdictPredicateType)
	}
	var p VerdictPredicate
	if err := json.Unmarshal(s.Predicate, &p); err != nil {
		return nil, fmt.Errorf("reading verdict: %w", err)
	}
	return &p, nil
}
