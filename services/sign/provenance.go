package sign

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"strings"

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
// provenance. It returns why the statement does not vouch for the artifact,
// "" if it does: one that does not meet what is expected of its builder says
// that the artifact was built, not that it was built by the publisher.
func (e *examination) provenance(p *trust.Publisher, a *sigstore.Attestation) (aside string, proven *event.Provenance, err error) {
	if a.PredicateType != slsa.PredicateV1 && a.PredicateType != slsa.PredicateV02 {
		return "", nil, nil
	}
	signer := slsa.Signer{KeyID: a.Signer}
	if c := a.Certificate; c != nil {
		signer = slsa.Signer{
			Issuer: c.Issuer, SAN: c.SAN, RunnerEnvironment: c.RunnerEnvironment,
			SourceRepositoryURI: c.SourceRepositoryURI, SourceRepositoryDigest: c.SourceRepositoryDigest,
		}
	}
	hashes := []crypto.Hash{crypto.SHA256}
	if bytes.Contains(a.Statement, []byte(`"sha512"`)) { // as npm's
		hashes = append(hashes, crypto.SHA512)
	}
	digests := slsa.Artifact{}
	for _, h := range hashes {
		sum, err := e.content.Sum(h)
		if err != nil {
			return "", nil, err
		}
		digests[h] = hex.EncodeToString(sum)
	}
	var want slsa.Expectations
	if e.verifier.opts.Source != "" {
		source := strings.TrimPrefix(e.verifier.opts.Source, "git+") // as provenance writes it, or without
		want.Sources = []string{strings.TrimSuffix(strings.TrimSuffix(source, "/"), ".git")}
	}
	found := slsa.Evaluate(a.Statement, signer, digests, want, e.trust.Rules(p.Name))
	proven = &event.Provenance{
		PredicateType: a.PredicateType, Builder: found.Builder, BuildType: found.BuildType,
		Source: found.Source, Signer: a.Signer, Level: found.Level, Reason: found.Reason,
	}
	if found.Level == 0 {
		aside = "provenance that proves nothing: " + found.Reason
	}
	return aside, proven, nil
}

// takeProvenance adds what trusted provenance proves. An attestation that
// several publishers know proves what the strictest of them believes.
func (e *examination) takeProvenance(found []verified, proven map[*sigstore.Attestation]*event.Provenance) {
	strictest := map[string]*event.Provenance{} // by statement
	var order []string
	for _, f := range found {
		p := proven[f.attestation]
		if p == nil || !f.Valid {
			continue
		}
		if standing := f.publisher.At(e.signedAt(f)); standing.Trust != event.Trusted {
			p.Level, p.Reason = 0, "its signer is not trusted"
		}
		key := f.Signer + "\n" + string(f.attestation.Statement)
		switch before := strictest[key]; {
		case before == nil:
			order = append(order, key)
			strictest[key] = p
		case p.Level < before.Level:
			strictest[key] = p
		}
	}
	for _, key := range order {
		p := strictest[key]
		e.result.SLSALevel = max(e.result.SLSALevel, p.Level)
		e.result.Provenance = append(e.result.Provenance, *p)
	}
}
