package secrets

import (
	"context"
	"fmt"
	"strings"

	"assize.dev/services/scan/internal/unpack"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

// Analyser answers kind secrets from an artifact's bytes.
type Analyser struct {
	engine *Engine
	limits archive.Limits
}

// NewAnalyser makes an analyser whose fingerprints are made with key.
func NewAnalyser(key []byte) *Analyser { return &Analyser{engine: New(key, nil)} }

var _ evidence.Analyser = (*Analyser)(nil)

// Kind implements evidence.Analyser.
func (*Analyser) Kind() event.Kind { return event.KindSecrets }

// Version implements evidence.Analyser.
func (*Analyser) Version() string { return "2.1.0" }

// Analyse implements evidence.Analyser.
func (a *Analyser) Analyse(ctx context.Context, in evidence.Input) (*evidence.Answer, error) {
	f, err := in.Bytes(ctx)
	if err != nil {
		return nil, fmt.Errorf("open artifact %s: %w", in.Artifact.Digest, err)
	}
	defer f.Close()
	return a.examine(ctx, unpack.Artifact{Bytes: f, Size: f.Size(), Name: in.Artifact.Filename, Format: in.Artifact.Format})
}

// maxFindings bounds memory; a package with more has said enough.
const maxFindings = 10_000

func (a *Analyser) examine(ctx context.Context, artifact unpack.Artifact) (*evidence.Answer, error) {
	answer := &evidence.Answer{Status: event.Complete, Basis: map[string]string{"rules": RulesDigest()}}
	omitted := 0
	result, err := a.engine.Examine(ctx, artifact, a.limits, func(location string, m Match) {
		if len(answer.Findings) == maxFindings {
			omitted++
			return
		}
		answer.Findings = append(answer.Findings, m.finding(location))
	})
	if err != nil {
		return nil, err
	}
	reason := result.Reason()
	if omitted > 0 {
		more := fmt.Sprintf("%d findings beyond the first %d are not listed", omitted, maxFindings)
		reason = strings.TrimPrefix(reason+"; "+more, "; ")
	}
	if reason != "" {
		answer.Status, answer.Reason = event.Partial, reason
	}
	return answer, nil
}

// finding says what was found and where, never what it is.
func (m Match) finding(location string) event.Finding {
	f := event.Finding{
		ID: "secret/" + m.Rule, Class: event.ClassSecret, Severity: m.Severity, Confidence: m.Confidence,
		Location: location, Line: m.Line,
		Message: fmt.Sprintf("%s %s at byte %d, fingerprint %s", m.Title, m.Redacted, m.Offset, m.Fingerprint),
	}
	if m.Encoding != "" {
		f.Message += ", written in " + m.Encoding
	}
	if m.InTests {
		f.Message += ", among tests, examples or documentation"
	}
	return f
}
