package dsse

import (
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
// key, is the envelope's key id.
func Bundle(envelope []byte) ([]byte, error) {
	var e Envelope
	if err := json.Unmarshal(envelope, &e); err != nil {
		return nil, fmt.Errorf("bundling envelope: %w", err)
	}
	if len(e.Signatures) != 1 {
		return nil, fmt.Errorf("bundling envelope: %d signatures, a bundle holds exactly one", len(e.Signatures))
	}
	type publicKey struct {
		Hint string `json:"hint"`
	}
	type material struct {
		PublicKey publicKey `json:"publicKey"`
	}
	return json.Marshal(struct {
		MediaType            string          `json:"mediaType"`
		VerificationMaterial material        `json:"verificationMaterial"`
		Envelope             json.RawMessage `json:"dsseEnvelope"`
	}{BundleMediaType, material{publicKey{e.Signatures[0].KeyID}}, envelope})
}
