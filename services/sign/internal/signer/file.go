package signer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"

	"filippo.io/age"

	"assize.dev/services/sign/internal/keys"
)

// File signs with a key that this process holds in memory. The same message
// gives the same signature.
type File struct{ key *keys.PrivateKey }

// NewFile takes a key wherever it came from.
func NewFile(key *keys.PrivateKey) File { return File{key} }

// Public implements Signer.
func (f File) Public() crypto.PublicKey { return f.key.Public() }

// Sign implements Signer.
func (f File) Sign(_ context.Context, message []byte) ([]byte, error) {
	signature, err := f.sign(message)
	if err != nil {
		return nil, fmt.Errorf("signing with %v: %w", f.key, err)
	}
	return signature, nil
}

func (f File) sign(message []byte) ([]byte, error) {
	if _, ok := f.key.Public().(*ecdsa.PublicKey); ok {
		sum := sha256.Sum256(message)
		return f.key.Sign(nil, sum[:], crypto.SHA256)
	}
	return f.key.Sign(nil, message, crypto.Hash(0))
}

func openFile(path string, o Options) (File, error) {
	data, err := keys.ReadSmall(path)
	if err != nil {
		return File{}, err
	}
	key, err := parseFile(data, o.identities)
	if err != nil {
		return File{}, err
	}
	return File{key}, nil
}

// parseFile reads a key file; identities are asked for only if it is
// encrypted.
func parseFile(data []byte, identities func() ([]age.Identity, error)) (*keys.PrivateKey, error) {
	if encrypted(data) {
		known, err := identities()
		if err != nil {
			return nil, err
		}
		if data, err = decrypt(data, known); err != nil {
			return nil, err
		}
	}
	return keys.ParsePrivatePEM(data)
}
