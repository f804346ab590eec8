package signature

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"

	"filippo.io/mldsa/x509"
)

// KeyFingerprint is how Result.Key names a public key: the hexadecimal SHA-256
// of an Ed25519 key's raw 32 bytes, and of the SPKI form of any other. It is
// the Fingerprint of keys.PublicKey, for keys that do not come from a file.
// Keys without such a form have none.
func KeyFingerprint(public crypto.PublicKey) string {
	raw, ok := public.(ed25519.PublicKey)
	if !ok {
		var err error
		if raw, err = x509.MarshalPKIXPublicKey(public); err != nil {
			return ""
		}
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
