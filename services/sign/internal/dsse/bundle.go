package dsse

import (
	"context"
	"encoding/json"
	"fmt"
)

// Media types of the two forms.
const (
	EnvelopeMediaType = "application/vnd.dsse.envelope.v1+json"
	BundleMediaType   = "application/vnd.dev.sigstore.bundle.v0.3+json"
)

// Bundle wraps an envelope as a Sigstore bundle that is verified with a key:
// no certificate, no log entry. The hint, by which some clients find the
// key, is the envelope's key id. Clients refuse a bundle with more than one
// signature, so that it holds the envelope's first.
func Bundle(envelope []byte) ([]byte, error) {
	e, err := Parse(envelope)
	if err != nil {
		return nil, fmt.Errorf("bundling: %w", err)
	}
	e.Signatures = e.Signatures[:1]
	return bundle(e)
}

// SealBundle signs a payload of any size, which Seal does not, as an SBOM may
// have many megabytes. It returns the bundle and the id of the key.
func SealBundle(ctx context.Context, payloadType string, payload []byte, signer Signer) (data []byte, keyID string, err error) {
	e, err := sealed(ctx, payloadType, payload, signer)
	if err != nil {
		return nil, "", err
	}
	data, err = bundle(e)
	return data, e.Signatures[0].KeyID, err
}

func bundle(e *Envelope) ([]byte, error) {
	return json.Marshal(struct {
		verifiedByKey
		Envelope *Envelope `json:"dsseEnvelope"`
	}{byKey(e.Signatures[0].KeyID), e})
}

// verifiedByKey is what all bundles that are verified with a key begin with.
type verifiedByKey struct {
	MediaType            string `json:"mediaType"`
	VerificationMaterial struct {
		PublicKey struct {
			Hint string `json:"hint"`
		} `json:"publicKey"`
	} `json:"verificationMaterial"`
}

func byKey(hint string) (b verifiedByKey) {
	b.MediaType = BundleMediaType
	b.VerificationMaterial.PublicKey.Hint = hint
	return b
}

// MessageBundle wraps the signature of a file, whose SHA-256 is sum, as a
// Sigstore bundle that is verified with a key.
func MessageBundle(keyID string, sum [32]byte, sig []byte) ([]byte, error) {
	type digest struct {
		Algorithm string `json:"algorithm"`
		Digest    []byte `json:"digest"`
	}
	type message struct {
		Digest    digest `json:"messageDigest"`
		Signature []byte `json:"signature"`
	}
	return json.Marshal(struct {
		verifiedByKey
		Message message `json:"messageSignature"`
	}{byKey(keyID), message{digest{"SHA2_256", sum[:]}, sig}})
}
