package signer

import (
	"crypto"
	"crypto/ed25519"
	"fmt"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/eddsa"
)

// suitable refuses public keys that Signer does not speak of, and those that
// anyone can sign for.
func suitable(public crypto.PublicKey) error {
	if _, err := dsse.KeyID(public); err != nil {
		return err
	}
	if public, ok := public.(ed25519.PublicKey); ok {
		return eddsa.CheckKey(public)
	}
	return nil
}

// check verifies what a holder of the key elsewhere returned. A wrong
// signature would otherwise be published before anyone noticed: the key may
// have been replaced, the hardware may be faulty.
func check(public crypto.PublicKey, message, signature []byte) error {
	if !dsse.Holds(public, message, signature) {
		return fmt.Errorf("%d bytes that do not hold with the key that was given at the start: was the key replaced?", len(signature))
	}
	return nil
}
