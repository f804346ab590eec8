// Package sbom catalogues the components of an artifact: the package itself
// and everything packed into it, however deep, as a CycloneDX or SPDX document.
package sbom

import (
	"context"
	"errors"
	"fmt"

	"assize.dev/shared/archive"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
	"assize.dev/shared/isolate"
)

// version names the rules by which components are found and written. It
// changes when the same bytes could get another document.
const version = "3.0.0"

// Config is what an operator may set.
type Config struct {
	Workers int    `env:"ASSIZE_WORKERS, default=2" help:"artifacts examined at the same time"`
	Creator string `env:"ASSIZE_SBOM_CREATOR" help:"who stands for the SBOMs: an e-mail address or a URL, which BSI TR-03183-2 asks for"`
	Memory  int64  `env:"ASSIZE_SBOM_MEMORY, default=536870912" help:"bytes of memory that the process which examines one artifact may have"`
}

// Analyser answers which components an artifact has.
type Analyser struct {
	limits   archive.Limits
	children *isolate.Pool
	creator  string
}

var _ evidence.Analyser = (*Analyser)(nil)

// NewAnalyser makes an analyser that keeps to the limits; zero fields take
// the defaults of archive.DefaultLimits.
func NewAnalyser(limits archive.Limits, c Config) *Analyser {
	bounds := childLimits
	bounds.Memory = c.Memory
	return &Analyser{limits: limits, children: children.With(bounds), creator: c.Creator}
}

// Close ends the processes that wait for work.
func (a *Analyser) Close() { a.children.Close() }

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
	found, err := catalogueIn(ctx, a.children, file.OS(), order{
		Filename: artifact.Filename, PURL: artifact.PURL, Format: CycloneDX16, Limits: a.limits,
		Beside:  attested(artifact.Signatures, artifact.Digest),
		Subject: Subject{Filename: artifact.Filename, Digest: artifact.Digest, SHA512: artifact.SHA512, Received: artifact.Received, Creator: a.creator},
	})
	var stopped *isolate.Stopped
	if errors.As(err, &stopped) {
		return &evidence.Answer{Status: event.Failed, Reason: "cataloguing was " + stopped.Reason}, nil
	}
	if err != nil {
		return nil, err
	}
	answer := &evidence.Answer{
		Status:     event.Complete,
		Components: &event.Catalogue{Count: found.Count, Licenses: found.Result.licenses()},
		Documents:  []evidence.Document{{Name: "sbom", MediaType: CycloneDX16.MediaType(), Data: found.Document}},
	}
	if !found.Result.Complete() {
		answer.Status, answer.Reason = event.Partial, found.Result.Reason()
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
