package dsse

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"regexp"
	"testing"

	"filippo.io/mldsa"
	"golang.org/x/crypto/ssh"
)

func TestKeyID(t *testing.T) {
	for name, key := range signers(t) {
		id, err := KeyID(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if name == "mldsa" {
			if !regexp.MustCompile(`^MLDSA65:[A-Za-z0-9+/]{43}$`).MatchString(id) {
				t.Errorf("mldsa: %s", id)
			}
			continue
		}
		public, err := ssh.NewPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if id != ssh.FingerprintSHA256(public) {
			t.Errorf("%s: %s", name, id)
		}
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), nil)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := mldsa.GenerateKey(mldsa.MLDSA44())
	if err != nil {
		t.Fatal(err)
	}
	for _, public := range []crypto.PublicKey{nil, &p384.PublicKey, &rsa.PublicKey{}, ed25519.PublicKey("short"), weak.Public()} {
		if id, err := KeyID(public); !errors.Is(err, ErrKeyType) {
			t.Errorf("KeyID(%T) = %q, %v", public, id, err)
		}
		if Holds(public, []byte("m"), []byte("s")) {
			t.Errorf("a signature by %T holds", public)
		}
	}
}

// TestHoldsOnlyForItsKind: a signature says nothing under a key of another
// kind or another message.
func TestHoldsOnlyForItsKind(t *testing.T) {
	message := []byte("m")
	for name, key := range signers(t) {
		sig, err := key.Sign(t.Context(), message)
		if err != nil {
			t.Fatal(err)
		}
		for other, public := range signers(t) {
			if got := Holds(public.Public(), message, sig); got != (name == other) {
				t.Errorf("%s signature under the %s key: %t", name, other, got)
			}
		}
		if Holds(key.Public(), []byte("n"), sig) || Holds(key.Public(), message, sig[1:]) || Holds(key.Public(), message, append(sig, 0)) {
			t.Errorf("%s: a changed message or signature holds", name)
		}
	}
}
