// Package sigstore verifies signatures and attestations in every form in
// which Sigstore's family publishes them: bundles v0.1 to v0.3, what GitHub,
// npm and PyPI answer about a file, and bare DSSE envelopes. It works
// offline, from anchors that the operator gives.
//
// A keyless signature is valid if its certificate leads to the trusted root,
// was fit at the time that a log or a timestamp authority proves, the
// signature is in one of the root's transparency logs, and the certificate
// names one of the identities. Bundles v0.1 may have the log's signed promise
// instead of its proof, as their format says. See the Sigstore client
// specification,
// https://github.com/sigstore/architecture-docs/blob/main/client-spec.md.
package sigstore

import (
	"crypto"
	"fmt"
	"time"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/signature"
	"assize.dev/services/sign/internal/slsa"
)

// Kinds of signature: the form it came in.
const (
	KindBundle = "sigstore" // a bundle, or lines of them
	KindGitHub = "github"   // GitHub's answer about a digest
	KindNPM    = "npm"      // a registry's answer about a version
	KindPyPI   = "pypi"     // PEP 740
	KindDSSE   = "dsse"     // an envelope without anything around it
)

// Anchors is whom to trust. It must not change while it is in use.
type Anchors struct {
	// Root is the Sigstore instances; nil trusts none, so that every
	// signature with a certificate is a stranger's.
	Root *Root
	// Identities are the keyless signers.
	Identities []Identity
	// Keys are the others, of the kinds that dsse.KeyID knows: Ed25519, ECDSA
	// P-256, and for envelopes ML-DSA-65.
	Keys []crypto.PublicKey
}

// Check refuses anchors that could not do what they are for.
func (a *Anchors) Check() error {
	for _, i := range a.Identities {
		if err := i.Check(); err != nil {
			return err
		}
	}
	for _, k := range a.Keys {
		if _, err := dsse.KeyID(k); err != nil {
			return fmt.Errorf("key for bundles and envelopes: %w", err)
		}
	}
	return nil
}

// Attestation is what became of one signature.
type Attestation struct {
	// Result's Signer is Claims.Signer for a certificate and dsse.KeyID for a
	// key: its OpenSSH fingerprint.
	signature.Result
	// The others say more of a valid signature, and are empty for any other.
	//
	// Statement is the in-toto statement, which names the artifact as a
	// subject, and PredicateType what kind it is. Both are empty for a
	// signature over the artifact itself.
	Statement     []byte
	PredicateType string
	// Certificate is what the signer's certificate says; nil for a key.
	Certificate *Claims
}

const (
	publishNPM  = "https://github.com/npm/attestation/tree/main/specs/publish/v0.1"
	publishPyPI = "https://docs.pypi.org/attestations/publish/v1"
)

// Vouches tells whether a statement with this predicate is its signer's word
// that the artifact is what they published or built. The empty type is that
// of a signature over the artifact itself, which is. A bill of materials, a
// test report or somebody else's verdict says something about the bytes, but
// not where they are from.
func Vouches(predicateType string) bool {
	switch predicateType {
	case "", slsa.PredicateV02, slsa.PredicateV1, publishNPM, publishPyPI:
		return true
	}
	return false
}

// Verify judges every signature in data, in its order. data is one of:
//
//   - a Sigstore bundle v0.1, v0.2 or v0.3, over the artifact or a statement,
//     or several of them, one after the other, as JSON lines;
//   - GitHub's answer about a digest, {"attestations":[{"bundle":…}]};
//   - an npm registry's answer about a version,
//     {"attestations":[{"predicateType":…,"bundle":…}]};
//   - a PyPI attestation object or provenance object (PEP 740);
//   - a DSSE envelope or several, one after the other.
//
// The form is told from the content. at is the present: what is proven to be
// later is invalid. A signature that is well as far as can be seen, but by a
// certificate of another root, an identity or a key that the anchors do not
// have, is a Stranger. Everything else that is not valid is Invalid, and so
// is what cannot be read: there is always at least one result. An error is
// one of reading the artifact, never of a signature.
func Verify(c *signature.Content, data []byte, a *Anchors, at time.Time) ([]Attestation, error) {
	v := &verifier{content: c, anchors: a, at: at}
	var all []Attestation
	for _, s := range read(data) {
		found, err := v.judge(s)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// verifier holds what is the same for all signatures of one call.
type verifier struct {
	content *signature.Content
	anchors *Anchors
	at      time.Time

	ring  []ringKey // made when first needed
	tries int       // signatures checked against keys
}

func (v *verifier) judge(s signed) ([]Attestation, error) {
	if s.problem != nil {
		return []Attestation{invalid(s.kind, "", "%v", s.problem)}, nil
	}
	if s.envelope != nil {
		return v.bareEnvelope(s)
	}
	found, err := v.bundle(s)
	return []Attestation{found}, err
}

// invalid is a result with a reason; signer is empty if it cannot be said.
func invalid(kind, signer, format string, args ...any) Attestation {
	a := Attestation{Result: signature.Invalid(kind, "%s", printable(fmt.Sprintf(format, args...), maxReason))}
	a.Signer = signer
	return a
}

// maxReason bounds reasons, which quote what is wrong.
const maxReason = 500

func (v *verifier) bundle(s signed) (Attestation, error) {
	material, err := s.bundle.VerificationContent()
	if err != nil {
		return invalid(s.kind, "", "bundle: %v", err), nil
	}
	payload, reason, err := v.payload(s.bundle, s.predicateType)
	if err != nil {
		return Attestation{}, err
	}
	if reason != "" {
		return invalid(s.kind, "", "%s", reason), nil
	}
	if leaf := material.Certificate(); leaf != nil {
		return v.certified(s, entity{s.bundle, material}, leaf, payload)
	}
	// Without a certificate there is a public key: the bundle has one or the
	// other, or would not have been read.
	return v.keyed(s, s.bundle.VerificationMaterial.GetPublicKey().GetHint(), payload)
}
