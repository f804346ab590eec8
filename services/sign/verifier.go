package sign

import (
	"context"
	"fmt"
	"io"

	"assize.dev/services/sign/internal/pspf"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

// VerifierOptions say how signatures are looked at.
type VerifierOptions struct {
	// Level is how deep packages that sign themselves are verified: quick,
	// standard, deep (the default) or paranoid; or FlavorPack's strict,
	// relaxed or minimal.
	Level string
	// IntegrityOnly passes a sound package that is signed by itself alone,
	// as the trust model "self-signed" does. Without it somebody trusted
	// must have signed.
	IntegrityOnly bool
	// Source is what provenance must name as the source repository, a
	// pattern; "" leaves that to the trust file.
	Source string
}

// Verifier says who signed an artifact and whether that is worth anything. It
// is the analyser of kind signature.
//
// Its result is pass if as many trusted publishers as required signed the
// artifact. It is fail if anything is broken: a package that signs itself, a
// signature by a signer who is known, or a file that should hold one; if a
// denied signer signed; or if there are signers to trust and a signature is
// by none of them over these bytes and none by one of them is there: a
// stranger's signature and a changed package look alike, and neither is what
// a publisher we know sent. Else it is undetermined.
type Verifier struct {
	trust  *Trust
	opts   VerifierOptions
	demand pspf.Demand
	basis  map[string]string
}

// NewVerifier makes a Verifier; an error is about the level.
func NewVerifier(trust *Trust, opts VerifierOptions) (*Verifier, error) {
	if opts.Level == "" {
		opts.Level = pspf.Deep.String()
	}
	demand, err := parseDemand(opts.Level)
	if err != nil {
		return nil, err
	}
	opts.IntegrityOnly = opts.IntegrityOnly && !demand.TrustedKey
	return &Verifier{trust: trust, opts: opts, demand: demand, basis: map[string]string{
		"keys": trust.Digest().String(), "level": opts.Level,
	}}, nil
}

// parseDemand reads a level of ours, or one of FlavorPack's that we have no
// level of the same name for.
func parseDemand(name string) (pspf.Demand, error) {
	if level, err := pspf.ParseLevel(name); err == nil {
		return pspf.Demand{Options: pspf.Options{Level: level}}, nil
	}
	demand, err := pspf.ParseValidation(name)
	if err != nil {
		return demand, fmt.Errorf("%.40q: want quick, standard, deep or paranoid, or FlavorPack's strict, relaxed or minimal: %w", name, err)
	}
	return demand, nil
}

// Kind implements evidence.Analyser.
func (*Verifier) Kind() event.Kind { return event.KindSignature }

// Version implements evidence.Analyser.
func (*Verifier) Version() string { return "2" }

// Analyse implements evidence.Analyser.
func (v *Verifier) Analyse(ctx context.Context, in evidence.Input) (*evidence.Answer, error) {
	file, err := in.Bytes(ctx)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	result, err := v.Verify(ctx, &in.Artifact, file, file.Size())
	if err != nil {
		return nil, fmt.Errorf("verifying signatures of %s: %w", in.Artifact.Digest, err)
	}
	return &evidence.Answer{Status: event.Complete, Basis: v.basis, Verification: result}, nil
}

// Verify looks at the signatures inside and beside an artifact, whose bytes
// are known to have the artifact's digest. An error is about reading them.
func (v *Verifier) Verify(ctx context.Context, a *event.Artifact, r io.ReaderAt, size int64) (*event.Verification, error) {
	e := newExamination(ctx, v, a, r, size)
	for _, look := range []func() error{e.selfSigned, e.inline, e.beside} {
		if err := look(); err != nil {
			return nil, err
		}
	}
	return e.conclude(), nil
}
