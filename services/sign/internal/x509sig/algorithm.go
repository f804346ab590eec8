package x509sig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.SHA256
	_ "crypto/sha512" // for crypto.SHA384, crypto.SHA512
	"crypto/x509"
	"errors"

	"assize.dev/services/sign/internal/eddsa"
	"assize.dev/services/sign/internal/signature"
)

// checkPlain checks a signature that does not say how it was made, once for
// all publishers.
func checkPlain(c *signature.Content, leaf *x509.Certificate, value []byte) error {
	type plain struct{ leaf, value string }
	return checkOnce(c, plain{string(leaf.Raw), string(value)}, func() error { return tryHashes(c, leaf, value) })
}

// checkOnce remembers the flaw that check found, or that it found none.
func checkOnce(c *signature.Content, key any, check func() error) error {
	found, err := signature.Once(c, key, func() (f flaw, err error) {
		if err = check(); errors.As(err, &f) {
			return f, nil
		}
		return "", err
	})
	if err == nil && found != "" {
		return found
	}
	return err
}

// tryHashes finds the hash by trying: SHA-256 first, which the caller mostly
// knows already.
func tryHashes(c *signature.Content, leaf *x509.Certificate, value []byte) error {
	if err := checkLink(leaf, false); err != nil {
		return err
	}
	if key, ok := leaf.PublicKey.(ed25519.PublicKey); ok {
		return checkEd25519(c, key, value)
	}
	for _, hashes := range [][]crypto.Hash{{crypto.SHA256}, {crypto.SHA384, crypto.SHA512}} {
		if err := c.Sums(hashes...); err != nil {
			return err
		}
		for _, h := range hashes {
			sum, err := c.Sum(h)
			if err != nil {
				return err
			}
			switch key := leaf.PublicKey.(type) {
			case *ecdsa.PublicKey:
				if ecdsa.VerifyASN1(key, sum, value) {
					return nil
				}
			case *rsa.PublicKey:
				if rsa.VerifyPKCS1v15(key, h, sum, value) == nil || verifyPSS(key, h, sum, value) {
					return nil
				}
			}
		}
	}
	return errMismatch
}

var errMismatch = flawf("the signature does not hold: the artifact was changed after signing, or another key signed it")

// verifyPSS takes any length of salt: none makes forging easier.
func verifyPSS(key *rsa.PublicKey, h crypto.Hash, sum, value []byte) bool {
	return rsa.VerifyPSS(key, h, sum, value, &rsa.PSSOptions{Hash: h, SaltLength: rsa.PSSSaltLengthAuto}) == nil
}

// checkEd25519 streams the message through the verifier.
func checkEd25519(c *signature.Content, key ed25519.PublicKey, value []byte) error {
	if len(value) != ed25519.SignatureSize {
		return flawf("Ed25519 signature of %d bytes, want %d", len(value), ed25519.SignatureSize)
	}
	holds, err := eddsa.Holds(c, value, key)
	if err == nil && !holds {
		err = errMismatch
	}
	return err
}
