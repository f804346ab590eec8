// Package sbom catalogues the components of an artifact: the package itself
// and everything packed into it, however deep, as a CycloneDX or SPDX document.
package sbom

import (
	"context"
	"fmt"

	"assize.dev/shared/archive"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
	"assize.dev/shared/identify"
)

// version names the rules by which components are found and written. It
// changes when the same bytes could get another document.
const version = "2.0.0"

// Config is what an operator may set.
type Config struct {
	Workers int `env:"ASSIZE_WORKERS, default=2" help:"artifacts examined at the same time"`
}

// Analyser answers which components an artifact has.
type Analyser struct{ limits archive.Limits }

var _ evidence.Analyser = (*Analyser)(nil)

// NewAnalyser makes an analyser that keeps to the limits; zero fields take
// the defaults of archive.DefaultLimits.
func NewAnalyser(limits archive.Limits) *Analyser { return &Analyser{limits: limits} }

// Kind implements evidence.Analyser.
func (*Analyser) Kind() event.Kind { return event.KindSBOM }

// Version implements evidence.Analyser.
func (*Analyser) Version() string { return version }

// Analyse implements evidence.Analyser. Damage and limits make the answer
// partial, with all that was found until then.
func (a *Analyser) Analyse(ctx context.Context, in evidence.Input) (*evidence.Answer, error) {
	artifact := in.Artifact
	file, err := in.Bytes(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the artifact %s: %w", artifact.Digest, err)
	}
	defer file.Close()
	id, err := identify.Identify(ctx, file, file.Size(), artifact.Filename)
	if err != nil {
		return nil, err
	}
	if id.PURL == "" {
		id.PURL = artifact.PURL
	}
	result, err := Catalogue(ctx, file, file.Size(), artifact.Filename, id, a.limits)
	if err != nil {
		return nil, err
	}
	document, err := result.Document(CycloneDX16, Subject{
		Filename: artifact.Filename, Digest: artifact.Digest, SHA512: artifact.SHA512, Received: artifact.Received,
	})
	if err != nil {
		return nil, err
	}
	answer := &evidence.Answer{
		Status:     event.Complete,
		Components: &event.Catalogue{Count: len(result.Components), Licenses: result.licenses()},
		Documents:  []evidence.Document{{Name: "sbom", MediaType: CycloneDX16.MediaType(), Data: document}},
	}
	if !result.Complete() {
		answer.Status, answer.Reason = event.Partial, result.Reason()
	}
	return answer, nil
}

// licenses of the artifact itself: as declared, or else concluded.
func (r *Result) licenses() []string {
	if len(r.Identity.Licenses) == 0 && r.Concluded != "" {
		return []string{r.Concluded}
	}
	return r.Identity.Licenses
}
