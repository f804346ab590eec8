package dsse

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"filippo.io/mldsa"
	"golang.org/x/crypto/ssh"
)

// ErrKeyType says that a key is none of the kinds that verdicts are signed
// with.
var ErrKeyType = errors.New("want an Ed25519, ECDSA P-256 or ML-DSA-65 key")

// KeyID names a key in envelopes. It is the OpenSSH fingerprint, "SHA256:"
// and unpadded base64: the one name that every client accepts. ML-DSA has no
// OpenSSH form; its name is "MLDSA65:" and the unpadded base64 of the SHA-256
// of the raw public key.
func KeyID(public crypto.PublicKey) (string, error) {
	switch public := public.(type) {
	case ed25519.PublicKey:
		if len(public) != ed25519.PublicKeySize {
			return "", fmt.Errorf("%w, not %d bytes", ErrKeyType, len(public))
		}
	case *ecdsa.PublicKey:
		if public.Curve != elliptic.P256() {
			return "", fmt.Errorf("%w, not ECDSA on another curve", ErrKeyType)
		}
	case *mldsa.PublicKey:
		if public.Parameters() != mldsa.MLDSA65() {
			return "", fmt.Errorf("%w, not %s", ErrKeyType, public.Parameters())
		}
		sum := sha256.Sum256(public.Bytes())
		return "MLDSA65:" + base64.RawStdEncoding.EncodeToString(sum[:]), nil
	default:
		return "", fmt.Errorf("%w, not %T", ErrKeyType, public)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("fingerprint of public key: %w", err)
	}
	return ssh.FingerprintSHA256(key), nil
}

// Holds tells whether public signed message. A key of another kind never did.
func Holds(public crypto.PublicKey, message, sig []byte) bool {
	switch public := public.(type) {
	case ed25519.PublicKey:
		return len(public) == ed25519.PublicKeySize && ed25519.Verify(public, message, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		return public.Curve == elliptic.P256() && ecdsa.VerifyASN1(public, sum[:], sig)
	case *mldsa.PublicKey:
		return public.Parameters() == mldsa.MLDSA65() && mldsa.Verify(public, message, sig, nil) == nil
	}
	return false
}
