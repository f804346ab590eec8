package sshsig

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"

	"golang.org/x/crypto/ssh"

	"assize.dev/services/sign/internal/eddsa"
)

// formats are the types of keys that are accepted, and for each those of its
// signatures: no DSA, and no RSA with SHA-1, which is format ssh-rsa.
var formats = map[string][]string{
	ssh.KeyAlgoED25519:    {ssh.KeyAlgoED25519},
	ssh.KeyAlgoECDSA256:   {ssh.KeyAlgoECDSA256},
	ssh.KeyAlgoECDSA384:   {ssh.KeyAlgoECDSA384},
	ssh.KeyAlgoECDSA521:   {ssh.KeyAlgoECDSA521},
	ssh.KeyAlgoRSA:        {ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512},
	ssh.KeyAlgoSKED25519:  {ssh.KeyAlgoSKED25519},
	ssh.KeyAlgoSKECDSA256: {ssh.KeyAlgoSKECDSA256},
}

// minRSA is how many bits an RSA key has at least: NIST SP 800-131A allows
// fewer only for signatures made until 2013.
const minRSA = 2048

// checkKey refuses keys that are too weak, whoever holds them.
func checkKey(key ssh.PublicKey) error {
	if formats[key.Type()] == nil {
		return fmt.Errorf("key is %s, want Ed25519, ECDSA, RSA or one on a FIDO token", key.Type())
	}
	switch public := public(key).(type) {
	case ed25519.PublicKey:
		return eddsa.CheckKey(public)
	case *rsa.PublicKey:
		if n := public.N.BitLen(); n < minRSA {
			return fmt.Errorf("RSA key of %d bits, want at least %d", n, minRSA)
		}
	}
	return nil
}

// plain is the key of a certificate, and any other key itself.
func plain(key ssh.PublicKey) ssh.PublicKey {
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return key
}

// public is the key of a type that is accepted, as other kinds of signatures
// know it.
func public(key ssh.PublicKey) crypto.PublicKey {
	return plain(key).(ssh.CryptoPublicKey).CryptoPublicKey()
}
