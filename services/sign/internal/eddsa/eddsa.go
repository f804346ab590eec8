// Package eddsa verifies pure Ed25519 over messages that need not fit into
// memory. crypto/ed25519 wants the whole message at once; packages can be
// many gigabytes, and verifying only hashes them once.
package eddsa

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"hash"

	"filippo.io/edwards25519"
)

// Verifier takes the message of one signature, as an io.Writer, and then
// tells whether the signature holds. It accepts exactly what
// ed25519.Verify accepts (RFC 8032, section 5.1.7, without the cofactor).
type Verifier struct {
	negatedKey *edwards25519.Point
	r          []byte
	s          *edwards25519.Scalar // nil if it is not canonical
	challenge  hash.Hash            // over R, the public key and the message
}

// NewVerifier begins to verify a signature of 64 bytes by public.
func NewVerifier(public ed25519.PublicKey, signature []byte) (*Verifier, error) {
	if len(signature) != ed25519.SignatureSize {
		return nil, fmt.Errorf("Ed25519 signature of %d bytes, want %d", len(signature), ed25519.SignatureSize)
	}
	key, err := new(edwards25519.Point).SetBytes(public)
	if err != nil {
		return nil, fmt.Errorf("Ed25519 public key %x: %w", []byte(public), err)
	}
	v := &Verifier{negatedKey: key.Negate(key), r: bytes.Clone(signature[:32]), challenge: sha512.New()}
	if s, err := new(edwards25519.Scalar).SetCanonicalBytes(signature[32:]); err == nil {
		v.s = s
	}
	v.challenge.Write(v.r)
	v.challenge.Write(public)
	return v, nil
}

// Write takes the next bytes of the message. It never fails.
func (v *Verifier) Write(p []byte) (int, error) { return v.challenge.Write(p) }

// Valid tells whether the signature holds over everything written.
func (v *Verifier) Valid() bool {
	if v.s == nil {
		return false
	}
	k, err := new(edwards25519.Scalar).SetUniformBytes(v.challenge.Sum(nil))
	if err != nil {
		return false
	}
	r := new(edwards25519.Point).VarTimeDoubleScalarBaseMult(k, v.negatedKey, v.s)
	return bytes.Equal(r.Bytes(), v.r)
}

// CheckKey refuses what nobody has the private half of, and keys of small
// order, for which anyone can sign. A file of zeros, as a crash may leave
// behind, is such a key.
func CheckKey(public ed25519.PublicKey) error {
	p, err := new(edwards25519.Point).SetBytes(public)
	if err != nil {
		return fmt.Errorf("public key %x is not a point of the curve", []byte(public))
	}
	if p.MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return fmt.Errorf("public key %x is weak: anyone can sign for it", []byte(public))
	}
	return nil
}
