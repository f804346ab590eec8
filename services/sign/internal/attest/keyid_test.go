package attest

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	sigstore "github.com/sigstore/sigstore/pkg/signature"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/dsse/dssetest"
	"assize.dev/services/sign/internal/signer"
	"assize.dev/shared/event"
)

// TestKeyIDIsTheOneClientsAccept pins why keys have no names of ours in
// envelopes. The DSSE library below sigstore-go, cosign and slsa-verifier
// gives every key a name itself, its OpenSSH fingerprint, and passes over
// each signature whose keyid is neither empty nor that: the signature holds
// and is not counted. JavaScript clients find the key by the bundle's hint,
// which would be empty with an empty keyid; so the keyid is the fingerprint.
func TestKeyIDIsTheOneClientsAccept(t *testing.T) {
	for kind, key := range map[string]signer.Signer{"ed25519": dssetest.Ed25519("a"), "p256": dssetest.P256(t, "a")} {
		d := decision(event.Allow)
		_, files := attested(t, d, key)
		ours, err := dsse.KeyID(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		spki, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.Sum256(spki)
		for _, c := range []struct {
			what, keyID string
			ok          bool
		}{
			{"OpenSSH fingerprint", ours, true},
			{"empty", "", true},
			{"hexadecimal SHA-256 of the SPKI", hex.EncodeToString(hash[:]), false},
			{"name of our own", "assize-2026", false},
		} {
			data := bytes.ReplaceAll(files[VerdictBundle], []byte(`"keyid":"`+ours), []byte(`"keyid":"`+c.keyID))
			if err := sigstoreGo(key.Public(), data, d.Artifact.Digest.Hex()); (err == nil) != c.ok {
				t.Errorf("%s, keyid is the %s: %v", kind, c.what, err)
			}
		}
	}
}

// sigstoreGo verifies a bundle as Go programs do.
func sigstoreGo(public crypto.PublicKey, data []byte, sha256Hex string) error {
	var b bundle.Bundle
	if err := b.UnmarshalJSON(data); err != nil {
		return err
	}
	verifier, err := sigstore.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return err
	}
	material := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(verifier, time.Time{}, time.Time{}), nil
	})
	v, err := verify.NewVerifier(material, verify.WithNoObserverTimestamps())
	if err != nil {
		return err
	}
	sum, err := hex.DecodeString(sha256Hex)
	if err != nil {
		return err
	}
	if _, err := v.Verify(&b, verify.NewPolicy(verify.WithArtifactDigest("sha256", sum), verify.WithKey())); err != nil {
		return fmt.Errorf("sigstore-go: %w", err)
	}
	return nil
}
