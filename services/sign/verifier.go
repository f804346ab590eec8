package sign

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"assize.dev/services/sign/internal/pspf"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

// VerifierOptions are what may be chosen about verification.
type VerifierOptions struct {
	// Level is how deep packages that sign themselves are verified: quick,
	// standard or deep. Empty is deep, and only deep notices content that
	// was replaced.
	Level string
}

// NewVerifier makes the analyser that answers for signatures: of PSPF
// packages, which sign themselves, and detached Ed25519 beside any artifact.
//
// It passes an artifact if a trusted key signed it and nothing speaks against
// it; fails it if a signature is malformed or by a denied key, if the package
// is not what was signed, or if there are keys to trust and a detached
// signature is by none of them over these bytes: a stranger's signature and a
// changed package look alike, and neither is what a publisher we know sent.
// Else it is undetermined.
func NewVerifier(trust Trust, opts VerifierOptions) (evidence.Analyser, error) {
	if opts.Level == "" {
		opts.Level = pspf.Deep.String()
	}
	level, err := pspf.ParseLevel(opts.Level)
	if err != nil {
		return nil, err
	}
	return &verifier{trust: trust, level: level, basis: map[string]string{
		"keys": trust.Digest().String(), "level": level.String(),
	}}, nil
}

type verifier struct {
	trust Trust
	level pspf.Level
	basis map[string]string
}

// Kind implements evidence.Analyser.
func (*verifier) Kind() event.Kind { return event.KindSignature }

// Version implements evidence.Analyser.
func (*verifier) Version() string { return "1" }

// Analyse implements evidence.Analyser.
func (v *verifier) Analyse(ctx context.Context, in evidence.Input) (*evidence.Answer, error) {
	file, err := in.Bytes(ctx)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	result, err := v.verify(ctx, &in.Artifact, file, file.Size())
	if err != nil {
		return nil, fmt.Errorf("verifying signatures of %s: %w", in.Artifact.Digest, err)
	}
	return &evidence.Answer{Status: event.Complete, Basis: v.basis, Verification: result}, nil
}

func (v *verifier) verify(ctx context.Context, a *event.Artifact, r io.ReaderAt, size int64) (*event.Verification, error) {
	result := &event.Verification{Result: event.Undetermined, Signatures: []event.Signature{}}
	failed := false

	// A package cut short has lost what tells it is one, but not its name.
	extension := strings.ToLower(path.Ext(a.Filename))
	isPSPF := a.Format == kindPSPF || extension == ".psp" || extension == ".pspf"
	if !isPSPF {
		var err error
		if isPSPF, err = pspf.Detect(r, size); err != nil {
			return nil, err
		}
	}
	if isPSPF {
		report, err := pspf.Verify(ctx, r, size, v.level)
		if err != nil {
			return nil, err
		}
		failed = !report.OK()
		result.Level, result.Checks = v.level.String(), checks(report)
		result.Signatures = append(result.Signatures, v.selfSignature(report))
	}

	var found []detached
	for _, attached := range a.Signatures {
		d := readDetached(a.Filename, attached)
		failed = failed || d.broken
		found = append(found, d)
	}
	if err := verifyDetached(ctx, found, v.trust, r, size); err != nil {
		return nil, err
	}
	for _, d := range found {
		result.Signatures = append(result.Signatures, d.answer)
	}

	trusted, unproven := false, false
	for _, s := range result.Signatures {
		trusted = trusted || s.Valid && s.Trust == event.Trusted
		failed = failed || s.Valid && s.Trust == event.Denied
		unproven = unproven || s.Kind == kindEd25519 && !s.Valid
	}
	switch {
	case failed, unproven && !trusted && len(v.trust.keys) > 0:
		result.Result = event.Fail
	case trusted:
		result.Result = event.Pass
	}
	return result, nil
}

// selfSignature is the package's own signature. It is only as valid as the
// package: it covers the metadata, and the checks bind the rest to that.
func (v *verifier) selfSignature(report *pspf.Report) event.Signature {
	s := event.Signature{Kind: kindPSPF, Trust: event.UnknownTrust}
	if report.Signature != pspf.SignatureAbsent {
		s.Signer = report.KeyFingerprint
	}
	if err := report.Err(); err != nil {
		s.Reason = err.Error()
		return s
	}
	s.Valid, s.Trust = true, v.trust.Of(report.KeyFingerprint)
	if report.Launcher == pspf.LauncherUnauthenticated {
		s.Reason = "the signature does not cover the launcher"
	}
	return s
}

// maxDeviations is how many bytes of warnings travel in the evidence.
const maxDeviations = 2000

func checks(report *pspf.Report) []event.Check {
	if len(report.Warnings) == 0 {
		return report.Checks
	}
	text := strings.Join(report.Warnings, "; ")
	if len(text) > maxDeviations {
		text = strings.ToValidUTF8(text[:maxDeviations], "") + "…"
	}
	return append(report.Checks, event.Check{Name: "deviations", OK: true, Detail: text})
}
