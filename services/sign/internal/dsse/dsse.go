// Package dsse makes and opens DSSE v1 envelopes: signed JSON that every
// supply-chain client understands. See
// https://github.com/secure-systems-lab/dsse/blob/master/envelope.md.
package dsse

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// PayloadType is that of in-toto statements, the only one used here.
const PayloadType = "application/vnd.in-toto+json"

// Envelope is the JSON form. Byte slices are standard base64, padded.
type Envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     []byte      `json:"payload"`
	Signatures  []Signature `json:"signatures"`
}

// Signature is one signature over the pre-authentication encoding.
type Signature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// Bounds of an envelope from outside.
const (
	MaxEnvelope   = 1 << 20
	maxSignatures = 16
)

// Seal signs payload with key, Ed25519 (pure) or ECDSA P-256 with SHA-256.
// The same key and payload give the same bytes, as long as the key is held
// in memory: ECDSA then signs as RFC 6979 says.
func Seal(key crypto.Signer, payload []byte) ([]byte, error) {
	id, err := KeyID(key.Public())
	if err != nil {
		return nil, err
	}
	sig, err := Sign(key, PAE(PayloadType, payload))
	if err != nil {
		return nil, fmt.Errorf("signing with key %s: %w", id, err)
	}
	return json.Marshal(Envelope{PayloadType, payload, []Signature{{id, sig}}})
}

// Sign signs message with key: pure Ed25519, or ECDSA over the SHA-256.
func Sign(key crypto.Signer, message []byte) ([]byte, error) {
	if _, ok := key.Public().(ed25519.PublicKey); ok {
		return key.Sign(nil, message, crypto.Hash(0))
	}
	sum := sha256.Sum256(message)
	return key.Sign(nil, sum[:], crypto.SHA256)
}

// Open returns the payload of an envelope, or of the envelope inside a
// Sigstore bundle, if public signed it. Nothing of it is known before.
func Open(public crypto.PublicKey, data []byte) ([]byte, error) {
	if len(data) > MaxEnvelope {
		return nil, fmt.Errorf("envelope of %d bytes, at most %d", len(data), MaxEnvelope)
	}
	id, err := KeyID(public)
	if err != nil {
		return nil, err
	}
	var outer struct {
		Envelope
		Inner *Envelope `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(data, &outer); err != nil {
		return nil, fmt.Errorf("reading envelope: %w", err)
	}
	e := outer.Envelope
	if outer.Inner != nil {
		e = *outer.Inner
	}
	switch {
	case e.PayloadType != PayloadType:
		return nil, fmt.Errorf("envelope's payload type is %.80q, want %s", e.PayloadType, PayloadType)
	case len(e.Signatures) == 0 || len(e.Signatures) > maxSignatures:
		return nil, fmt.Errorf("envelope has %d signatures, want 1 to %d", len(e.Signatures), maxSignatures)
	}
	message := PAE(e.PayloadType, e.Payload)
	for _, s := range e.Signatures {
		if holds(public, message, s.Sig) {
			return e.Payload, nil
		}
	}
	return nil, fmt.Errorf("envelope: no signature by key %s holds (signed by %.80q)", id, e.Signatures[0].KeyID)
}

func holds(public crypto.PublicKey, message, sig []byte) bool {
	switch public := public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(public, message, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		return ecdsa.VerifyASN1(public, sum[:], sig)
	}
	return false
}

// PAE is the pre-authentication encoding: what is signed.
func PAE(payloadType string, payload []byte) []byte {
	return append(fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload)), payload...)
}

// ErrKeyType says that a key is neither Ed25519 nor ECDSA P-256.
var ErrKeyType = errors.New("want an Ed25519 or ECDSA P-256 key")

// KeyID is the OpenSSH fingerprint, "SHA256:" and unpadded base64: the one
// name of a key that every client accepts in an envelope.
func KeyID(public crypto.PublicKey) (string, error) {
	switch public := public.(type) {
	case ed25519.PublicKey:
		if len(public) != ed25519.PublicKeySize {
			return "", fmt.Errorf("%w, not %d bytes", ErrKeyType, len(public))
		}
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return "", fmt.Errorf("%w, not ECDSA %s", ErrKeyType, public.Curve.Params().Name)
		}
	default:
		return "", fmt.Errorf("%w, not %T", ErrKeyType, public)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("fingerprint of public key: %w", err)
	}
	sum := sha256.Sum256(key.Marshal())
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:]), nil
}
