package openpgp

import (
	"crypto"
	"crypto/rsa"
	"fmt"

	_ "crypto/sha256" // the hashes below
	_ "crypto/sha3"
	_ "crypto/sha512"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// minRSABits is the smallest modulus accepted, NIST SP 800-131A.
const minRSABits = 2048

// strongHash says which hashes nobody can find collisions for. MD5, SHA-1 and
// RIPEMD-160 are refused for data (RFC 9580, section 9.5) and for
// self-signatures alike.
func strongHash(h crypto.Hash) bool {
	switch h {
	case crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512:
		return true
	}
	return false
}

// checkSignature refuses what is wrong with a signature whoever made it.
func checkSignature(sig *packet.Signature) error {
	if !strongHash(sig.Hash) {
		return fmt.Errorf("made with %v, which is no longer safe", sig.Hash)
	}
	for _, n := range sig.Notations {
		if n.IsCritical {
			return fmt.Errorf("holds a critical notation %.60q that is not understood", n.Name)
		}
	}
	return nil
}

// checkKey refuses keys that sign weakly or not at all. The RSA modulus is
// measured, because the length that its encoding claims can be anything.
func checkKey(k *packet.PublicKey) error {
	switch k.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		key, ok := k.PublicKey.(*rsa.PublicKey)
		if !ok || key.N.BitLen() < minRSABits {
			return fmt.Errorf("RSA key of less than %d bits", minRSABits)
		}
		return nil
	case packet.PubKeyAlgoECDSA, packet.PubKeyAlgoEdDSA:
		curve, err := k.Curve()
		if err != nil {
			return err
		}
		if curve == packet.CurveSecP256k1 {
			return fmt.Errorf("key on the curve %s, which is not accepted", curve)
		}
		if k.Version == 6 && k.PubKeyAlgo == packet.PubKeyAlgoEdDSA {
			return fmt.Errorf("version 6 key with the legacy algorithm EdDSA, RFC 9580 section 5.5.5.5")
		}
		return nil
	case packet.PubKeyAlgoEd25519, packet.PubKeyAlgoEd448,
		packet.PubKeyAlgoMldsa65Ed25519, packet.PubKeyAlgoMldsa87Ed448,
		packet.PubKeyAlgoSlhdsaShake128s, packet.PubKeyAlgoSlhdsaShake128f, packet.PubKeyAlgoSlhdsaShake256s:
		return nil
	case packet.PubKeyAlgoDSA:
		return fmt.Errorf("DSA key, which is no longer accepted")
	}
	return fmt.Errorf("key of algorithm %d, which cannot sign", k.PubKeyAlgo)
}
