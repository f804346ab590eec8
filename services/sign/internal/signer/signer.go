// Package signer holds the keys that sign verdicts, or the way to where they
// are held: files, a Vault or OpenBao server, a program that speaks the
// Sigstore KMS plug-in protocol and so any PKCS#11 token.
package signer

import (
	"context"
	"crypto"
)

// Signer signs with one key, which may be elsewhere. It is safe for
// concurrent use.
type Signer interface {
	// Public is the key that verifies: ed25519.PublicKey, *ecdsa.PublicKey
	// on P-256, or *mldsa.PublicKey (ML-DSA-65). It does not change.
	Public() crypto.PublicKey
	// Sign signs the message itself: pure Ed25519 (RFC 8032), ECDSA over its
	// SHA-256 in ASN.1 DER, pure ML-DSA (FIPS 204) with an empty context. An
	// error means that the key is out of reach; another try may succeed.
	Sign(ctx context.Context, message []byte) ([]byte, error)
}
