// Package evidence runs analysers: it hands them artifacts from the stream,
// keeps what they find, and publishes it as evidence, so that an analyser is
// only a function from bytes to an answer. It is shared because sign, sbom
// and scan all are analysers.
package evidence

import (
	"context"

	"assize.dev/shared/blob"
	"assize.dev/shared/event"
)

// Analyser answers one kind of question about artifacts.
type Analyser interface {
	Kind() event.Kind
	// Version changes when the same bytes could get another answer.
	Version() string
	// Analyse answers about one artifact. An error means "try again
	// later", unless it is bus.Permanent; whatever is wrong with the bytes
	// themselves is an Answer, usually Partial or Failed with a reason.
	Analyse(ctx context.Context, in Input) (*Answer, error)
}

// Input is what there is to look at.
type Input struct {
	Artifact event.Artifact
	// Evidence is the fact that triggered an analyser that builds on
	// another one's evidence; nil for those that read the artifact.
	Evidence *event.Evidence
	// Bytes opens the artifact as a verified private copy; the caller
	// closes it.
	Bytes func(ctx context.Context) (*blob.File, error)
	// Document reads a stored document that Evidence refers to.
	Document func(ctx context.Context, d event.Document) ([]byte, error)
}

// Answer is evidence before it has an address.
type Answer struct {
	Status       event.Status
	Reason       string // required unless Complete or NotApplicable
	Basis        map[string]string
	Findings     []event.Finding // any number
	Verification *event.Verification
	Components   *event.Catalogue
	Documents    []Document
}

// Document is a large result to be stored beside the evidence.
type Document struct {
	Name      string // "sbom"
	MediaType string
	Data      []byte
}
