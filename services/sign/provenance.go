package sign

import (
	"bytes"
	"crypto"
	"encoding/hex"

	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/slsa"
	"assize.dev/services/sign/internal/trust"
	"assize.dev/shared/event"
)

// IsAttestation tells whether a kind of signature is one over a statement.
func IsAttestation(kind string) bool {
	switch kind {
	case sigstore.KindBundle, sigstore.KindGitHub, sigstore.KindNPM, sigstore.KindPyPI, sigstore.KindDSSE:
		return true
	}
	return false
}

// provenance judges a statement that a publisher verifiably signed, if it is
// provenance. The level counts if the publisher is trusted.
func (e *examination) provenance(p *trust.Publisher, a *sigstore.Attestation) error {
	if a.PredicateType != slsa.PredicateV1 && a.PredicateType != slsa.PredicateV02 {
		return nil
	}
	signer := slsa.Signer{KeyID: a.Signer}
	if c := a.Certificate; c != nil {
		signer = slsa.Signer{
			Issuer: c.Issuer, SAN: c.SAN, RunnerEnvironment: c.RunnerEnvironment,
			SourceRepositoryURI: c.SourceRepositoryURI, SourceRepositoryDigest: c.SourceRepositoryDigest,
		}
	}
	digests := slsa.Artifact{}
	hashes := []crypto.Hash{crypto.SHA256}
	if bytes.Contains(a.Statement, []byte(`"sha512"`)) { // as npm's
		hashes = append(hashes, crypto.SHA512)
	}
	for _, h := range hashes {
		sum, err := e.content.Sum(h)
		if err != nil {
			return err
		}
		digests[h] = hex.EncodeToString(sum)
	}
	var want slsa.Expectations
	if e.verifier.opts.Source != "" {
		want.Sources = []string{e.verifier.opts.Source}
	}
	proven := slsa.Evaluate(a.Statement, signer, digests, want, e.trust.Rules(p.Name))
	said := event.Provenance{
		PredicateType: a.PredicateType, Builder: proven.Builder, BuildType: proven.BuildType,
		Source: proven.Source, Signer: a.Signer, Level: proven.Level, Reason: proven.Reason,
	}
	if standing := e.standing(verified{Result: a.Result, publisher: p}); standing.Trust != event.Trusted {
		said.Level, said.Reason = 0, "its signer is not trusted: "+standing.Reason
	}
	e.result.SLSALevel = max(e.result.SLSALevel, said.Level)
	e.result.Provenance = append(e.result.Provenance, said)
	return nil
}
