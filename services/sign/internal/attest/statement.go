package attest

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"assize.dev/services/sign/internal/intoto"
	"assize.dev/services/sign/internal/strictjson"
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

// ParseStatement reads the payload of an opened envelope as intoto.Parse does,
// and of statements as we make them takes only those: version 1, and each
// subject with a SHA-256, so that a statement is always about some bytes.
func ParseStatement(payload []byte) (*Statement, error) {
	parsed, err := intoto.Parse(payload)
	if err != nil {
		return nil, err
	}
	members, err := strictjson.Object(payload)
	if err != nil {
		return nil, err
	}
	s := &Statement{Type: StatementType, PredicateType: parsed.PredicateType, Predicate: parsed.Predicate}
	if t, err := strictjson.Text(members["_type"]); err != nil || t != StatementType {
		return nil, fmt.Errorf("statement's type is %.80q, want %s", t, StatementType)
	}
	for i, subject := range parsed.Subjects {
		if _, err := digest.Parse("sha256:" + subject.Digest["sha256"]); err != nil {
			return nil, fmt.Errorf("statement: subject %d (%.80q): %w", i, subject.Name, err)
		}
		s.Subject = append(s.Subject, Subject(subject))
	}
	return s, nil
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
	if err := strictjson.Decode(s.Predicate, &p, strictjson.Small); err != nil {
		return nil, fmt.Errorf("reading verdict: %w", err)
	}
	return &p, nil
}

// Finding is what both of our predicates say.
type Finding struct {
	VerifierID string
	KeyVersion int // of the key set, 0 if there was none
	Time       time.Time
	Run        string
	Decision   event.Outcome
	Grade      event.Grade
	Resource   string         // package URL or name
	Reasons    []event.Reason // none in a verification summary
}

// Finding reads a statement of our own, a verdict or a verification summary.
func (s *Statement) Finding() (*Finding, error) {
	if s.PredicateType == SummaryPredicateType {
		return s.summaryFinding()
	}
	p, err := s.Verdict()
	if err != nil {
		return nil, err
	}
	f := &Finding{
		VerifierID: p.Verifier.ID, KeyVersion: p.Verifier.Keys, Time: p.Time, Run: p.Run,
		Decision: p.Decision, Grade: p.Grade, Resource: p.Artifact.PURL, Reasons: p.Reasons,
	}
	if f.Resource == "" {
		f.Resource = p.Artifact.Name
	}
	return f, f.check()
}

func (s *Statement) summaryFinding() (*Finding, error) {
	var p summary
	if err := strictjson.Decode(s.Predicate, &p, strictjson.Small); err != nil {
		return nil, fmt.Errorf("reading verification summary: %w", err)
	}
	if p.VerificationResult != "PASSED" || p.Extension.Decision != event.Allow {
		return nil, fmt.Errorf("verification summary says %.80q and %.80q: not one of Assize's", p.VerificationResult, p.Extension.Decision)
	}
	f := &Finding{
		VerifierID: p.Verifier.ID, KeyVersion: p.Extension.Keys, Time: p.TimeVerified, Run: p.Extension.Run,
		Decision: p.Extension.Decision, Grade: p.Extension.Grade, Resource: p.ResourceURI,
	}
	return f, f.check()
}

func (f *Finding) check() error {
	if f.Time.IsZero() || f.KeyVersion < 0 || !slices.Contains(event.Outcomes, f.Decision) {
		return fmt.Errorf("statement: decision %.80q at %s by key set version %d", f.Decision, f.Time, f.KeyVersion)
	}
	return nil
}
