// Package vulnerabilities is the analyser that holds an SBOM's components
// against the loaded advisories.
package vulnerabilities

import (
	"context"
	"errors"
	"fmt"

	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

// Analyser answers kind vulnerabilities from evidence of kind sbom.
type Analyser struct{ knowledge *Knowledge }

// New makes an analyser over whatever is known at the time; no advisories
// fail the evidence rather than passing it.
func New(k *Knowledge) *Analyser { return &Analyser{k} }

var _ evidence.Analyser = (*Analyser)(nil)

// Kind implements evidence.Analyser.
func (*Analyser) Kind() event.Kind { return event.KindVulnerabilities }

// Follows implements evidence.Follower: the SBOM is all it reads.
func (*Analyser) Follows() event.Kind { return event.KindSBOM }

// Version implements evidence.Analyser. The advisories are the answer's
// basis and not part of it.
func (*Analyser) Version() string { return "2.0.0" }

// NoAdvisories is the reason of evidence that failed for want of a database.
const NoAdvisories = "no advisories loaded: fetch them with assize advisories update, pass --advisories DIR, or set ASSIZE_ADVISORIES or ASSIZE_ADVISORIES_SOURCES"

// Analyse implements evidence.Analyser. The error is only ever that the
// SBOM could not be fetched.
func (a *Analyser) Analyse(ctx context.Context, in evidence.Input) (*evidence.Answer, error) {
	known, done := a.knowledge.Acquire()
	defer done()
	if known == nil {
		return failed(NoAdvisories), nil
	}
	sbom := in.Evidence
	if sbom == nil || sbom.Kind != event.KindSBOM {
		return failed("no SBOM: no evidence of kind sbom came with the artifact"), nil
	}
	basis := known.Basis()
	switch sbom.Status {
	case event.NotApplicable:
		return &evidence.Answer{Status: event.NotApplicable, Basis: basis}, nil
	case event.Complete, event.Partial:
	default:
		return failed("no SBOM: " + reasonOf(sbom)), nil
	}
	document, err := findDocument(sbom)
	if err != nil {
		return failed("no SBOM: " + err.Error()), nil
	}
	data, err := in.Document(ctx, document)
	if err != nil {
		return nil, fmt.Errorf("read SBOM %s: %w", document.Key, err)
	}
	artifact, components, err := ComponentsOf(data)
	if err != nil {
		return failed(fmt.Sprintf("no SBOM: document %s: %v", document.Key, err)), nil
	}
	if known.Artifact = in.Artifact.PURL; known.Artifact == "" {
		known.Artifact = artifact
	}
	answer, err := known.evaluate(ctx, components)
	if err != nil {
		return nil, err
	}
	answer.Basis = basis
	if sbom.Status == event.Partial {
		answer.Status = event.Partial
		answer.Reason = joinReasons("the SBOM is partial: "+reasonOf(sbom), answer.Reason)
	}
	return answer, nil
}

func failed(reason string) *evidence.Answer {
	return &evidence.Answer{Status: event.Failed, Reason: reason}
}

func reasonOf(e *event.Evidence) string {
	if e.Reason == "" {
		return "evidence " + string(e.Status) + " without a reason"
	}
	return e.Reason
}

func findDocument(e *event.Evidence) (event.Document, error) {
	for _, d := range e.Documents {
		if d.Name != "sbom" {
			continue
		}
		if d.Size > maxDocument {
			return d, fmt.Errorf("document %s has %d bytes, at most %d", d.Key, d.Size, int64(maxDocument))
		}
		return d, nil
	}
	return event.Document{}, errors.New("its evidence refers to no document named sbom")
}

func joinReasons(a, b string) string {
	if b == "" {
		return a
	}
	return a + "; " + b
}
