package sign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"

	"assize.dev/services/sign/internal/keys"
	"assize.dev/services/sign/internal/signer"
)

// GenerateMLDSA makes a new ML-DSA-65 key.
var GenerateMLDSA = keys.GenerateMLDSA

// GenerateP256 makes a new ECDSA key on P-256.
func GenerateP256() (*PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating key: %w", err)
	}
	return keys.FromSigner(key)
}

// EncryptKey makes an age file of a private key in PEM that OpenSigner opens.
var EncryptKey = signer.Encrypt
