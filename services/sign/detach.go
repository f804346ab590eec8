package sign

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"

	"assize.dev/services/sign/internal/dsse"
)

// DetachEd25519 signs a file: the 64 raw bytes of pure Ed25519 over all of
// it, and the id of the key.
func DetachEd25519(ctx context.Context, s Signer, file []byte) (signature []byte, keyID string, err error) {
	if _, ok := s.Public().(ed25519.PublicKey); !ok {
		return nil, "", errors.New("this form of signature needs an Ed25519 key")
	}
	return detach(ctx, s, file)
}

// DetachBundle signs a file: a Sigstore bundle with the signature, to be
// verified with the public key, Ed25519 or ECDSA P-256, and the id of the key.
func DetachBundle(ctx context.Context, s Signer, file []byte) (bundle []byte, keyID string, err error) {
	if !classical(s.Public()) {
		return nil, "", errors.New("no client verifies a bundle by an ML-DSA key yet: use an Ed25519 or ECDSA P-256 key")
	}
	signature, keyID, err := detach(ctx, s, file)
	if err != nil {
		return nil, "", err
	}
	bundle, err = dsse.MessageBundle(keyID, sha256.Sum256(file), signature)
	return bundle, keyID, err
}

func detach(ctx context.Context, s Signer, file []byte) (signature []byte, keyID string, err error) {
	if keyID, err = dsse.KeyID(s.Public()); err != nil {
		return nil, "", err
	}
	if signature, err = s.Sign(ctx, file); err != nil {
		return nil, "", fmt.Errorf("signing with key %s: %w", keyID, err)
	}
	if !dsse.Holds(s.Public(), file, signature) {
		return nil, "", fmt.Errorf("signing with key %s: the signature is not by this key", keyID)
	}
	return signature, keyID, nil
}
