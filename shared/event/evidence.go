package event

import (
	"errors"
	"fmt"
	"time"

	"assize.dev/shared/digest"
)

// Kind says what a piece of evidence is about. Third-party analysers may
// publish kinds of their own.
type Kind string

// The kinds that Assize itself produces.
const (
	KindSignature       Kind = "signature"
	KindSBOM            Kind = "sbom"
	KindSecrets         Kind = "secrets"
	KindContent         Kind = "content"
	KindVulnerabilities Kind = "vulnerabilities"
)

// Kinds lists them in the order people read them.
var Kinds = []Kind{KindSignature, KindSBOM, KindSecrets, KindContent, KindVulnerabilities}

// Status says how much of the question was answered. Only Complete and
// NotApplicable answer it; anything else is never a pass.
type Status string

// The statuses.
const (
	Complete      Status = "complete"
	Partial       Status = "partial"        // findings count, silence does not
	Failed        Status = "failed"         // nothing can be concluded
	NotApplicable Status = "not_applicable" // the question does not arise for these bytes
)

// Evidence is one analyser's answer about one run.
type Evidence struct {
	Run      string        `json:"run"`
	Lane     Lane          `json:"lane" jsonschema:"enum=new,enum=asked,enum=again"`
	Registry string        `json:"registry"`
	Kind     Kind          `json:"kind"`
	Artifact digest.Digest `json:"artifact" jsonschema_description:"SHA-256 of the bytes examined."`
	Status   Status        `json:"status" jsonschema:"enum=complete,enum=partial,enum=failed,enum=not_applicable"`
	Reason   string        `json:"reason,omitempty" jsonschema_description:"Why the status is not complete, for a person to act on."`
	Producer Producer      `json:"producer"`
	// Basis is what the answer rests on besides the bytes, as name and
	// digest or generation: "advisories", "rules", "keys".
	Basis map[string]string `json:"basis,omitempty"`
	// Findings holds the worst MaxFindings; FindingsTotal counts all. The
	// full list, when longer, is the document named "findings".
	Findings      []Finding     `json:"findings,omitempty"`
	FindingsTotal int           `json:"findingsTotal"`
	Verification  *Verification `json:"verification,omitempty" jsonschema_description:"For kind signature."`
	Components    *Catalogue    `json:"components,omitempty" jsonschema_description:"For kind sbom."`
	Documents     []Document    `json:"documents,omitempty" jsonschema_description:"Large results in the object store."`
	Started       time.Time     `json:"started"`
	Finished      time.Time     `json:"finished"`
}

// MaxFindings is how many findings travel inside an event.
const MaxFindings = 64

// Producer is the program that made a statement.
type Producer struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Document refers to an object of the store.
type Document struct {
	Name      string        `json:"name" jsonschema_description:"What it is to its reader: sbom, findings, verdict.dsse.json."`
	MediaType string        `json:"mediaType"`
	Key       string        `json:"key" jsonschema_description:"Key in the object store."`
	Digest    digest.Digest `json:"digest"`
	Size      int64         `json:"size"`
}

// EventType implements Payload.
func (*Evidence) EventType() Type { return TypeEvidence }

// Subject implements Payload.
func (e *Evidence) Subject() string { return EvidenceSubject(e.Kind, e.Registry, e.Run) }

// Identity implements Payload.
func (e *Evidence) Identity() string { return e.Run + "/evidence/" + Token(string(e.Kind)) }

// Validate implements Payload.
func (e *Evidence) Validate() error {
	err := errors.Join(
		ValidRun(e.Run), validLane(e.Lane), required("registry", e.Registry), required("kind", string(e.Kind)),
		required("artifact", string(e.Artifact)), required("producer.name", e.Producer.Name),
	)
	switch e.Status {
	case Complete, NotApplicable:
	case Partial, Failed:
		if e.Reason == "" {
			err = errors.Join(err, fmt.Errorf("reason: status %s needs one", e.Status))
		}
	default:
		err = errors.Join(err, fmt.Errorf("status: unknown value %q", e.Status))
	}
	if len(e.Findings) > MaxFindings {
		err = errors.Join(err, fmt.Errorf("findings: %d, at most %d", len(e.Findings), MaxFindings))
	}
	if e.FindingsTotal < len(e.Findings) {
		err = errors.Join(err, fmt.Errorf("findingsTotal: %d is less than the %d listed", e.FindingsTotal, len(e.Findings)))
	}
	return err
}
