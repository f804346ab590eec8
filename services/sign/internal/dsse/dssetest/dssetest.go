// Package dssetest makes signers for the tests of everything that seals
// envelopes: keys in memory, of every kind, derived from a name.
package dssetest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"testing"

	"filippo.io/mldsa"
)

// Signer signs with a key in memory; the same message gives the same
// signature.
type Signer struct {
	public crypto.PublicKey
	sign   func(message []byte) ([]byte, error)
}

// Public is the key that verifies.
func (s Signer) Public() crypto.PublicKey { return s.public }

// Sign signs the message itself.
func (s Signer) Sign(_ context.Context, message []byte) ([]byte, error) { return s.sign(message) }

// Ed25519 is the key of that name.
func Ed25519(name string) Signer {
	seed := sha256.Sum256([]byte(name))
	key := ed25519.NewKeyFromSeed(seed[:])
	return Signer{key.Public(), func(m []byte) ([]byte, error) { return ed25519.Sign(key, m), nil }}
}

// P256 is the ECDSA key of that name.
func P256(t testing.TB, name string) Signer {
	t.Helper()
	scalar := sha256.Sum256([]byte(name))
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:])
	if err != nil {
		t.Fatal(err)
	}
	return Signer{key.Public(), func(m []byte) ([]byte, error) {
		sum := sha256.Sum256(m)
		return key.Sign(nil, sum[:], crypto.SHA256)
	}}
}

// MLDSA is the ML-DSA-65 key of that name.
func MLDSA(t testing.TB, name string) Signer {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	key, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return Signer{key.Public(), func(m []byte) ([]byte, error) { return key.SignDeterministic(m, nil) }}
}
