package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"assize.dev/services/sign/internal/dsse/dssetest"
	"assize.dev/shared/digest"
)

func TestDetachEd25519(t *testing.T) {
	key, file := dssetest.Ed25519("a"), []byte("the file")
	sig, id, err := DetachEd25519(t.Context(), key, file)
	if err != nil || len(sig) != ed25519.SignatureSize || !ed25519.Verify(key.Public().(ed25519.PublicKey), file, sig) || id == "" {
		t.Errorf("signature %x by %s, %v", sig, id, err)
	}
	if sig, _, err := DetachEd25519(t.Context(), dssetest.P256(t, "a"), file); err == nil {
		t.Errorf("a P-256 key made %x", sig)
	}
	gone := errors.New("token is gone")
	if _, _, err := DetachEd25519(t.Context(), replaced{key, dssetest.Ed25519("b"), gone}, file); !errors.Is(err, gone) {
		t.Errorf("a signer that fails: %v", err)
	}
	if sig, _, err := DetachEd25519(t.Context(), replaced{key, dssetest.Ed25519("b"), nil}, file); err == nil {
		t.Errorf("a key that was replaced made %x", sig)
	}
}

// replaced is a signer that has another key than it says.
type replaced struct {
	Signer
	by  Signer
	err error
}

func (r replaced) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	return r.by.Sign(ctx, message)
}

// TestDetachBundle: Go programs and cosign take the bundle with the public
// key alone, offline, and for no other file.
func TestDetachBundle(t *testing.T) {
	if b, _, err := DetachBundle(t.Context(), dssetest.MLDSA(t, "a"), nil); err == nil {
		t.Errorf("an ML-DSA key made %s", b)
	}
	cosign, missing := exec.LookPath("cosign")
	if given := os.Getenv("ASSIZE_COSIGN"); given != "" {
		if cosign, missing = exec.LookPath(given); missing != nil {
			t.Fatal(missing)
		}
	}
	file, other := []byte("the file"), []byte("another")
	for name, key := range map[string]Signer{"ed25519": dssetest.Ed25519("a"), "p256": dssetest.P256(t, "a")} {
		data, _, err := DetachBundle(t.Context(), key, file)
		if err != nil {
			t.Fatal(err)
		}
		if err := sigstoreGo(key.Public(), data, file); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := sigstoreGo(key.Public(), data, other); err == nil {
			t.Errorf("%s: sigstore-go takes it for another file", name)
		}
		if missing != nil {
			continue
		}
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		for name, data := range map[string][]byte{
			"pub.pem": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "bundle": data, "file": file, "other": other,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for of, want := range map[string]bool{"file": true, "other": false} {
			cmd := exec.Command(cosign, "verify-blob", "--key", "pub.pem", "--bundle", "bundle", "--insecure-ignore-tlog", of)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOME="+dir)
			if out, err := cmd.CombinedOutput(); (err == nil) != want {
				t.Errorf("%s: cosign on the %s: %v\n%s", name, of, err, out)
			}
		}
	}
	if missing != nil {
		t.Skip("no cosign: go install github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3, or name it in ASSIZE_COSIGN")
	}
}

func sigstoreGo(public crypto.PublicKey, data, file []byte) error {
	var b bundle.Bundle
	if err := b.UnmarshalJSON(data); err != nil {
		return err
	}
	verifier, err := signature.LoadVerifier(public, crypto.SHA256)
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
	_, err = v.Verify(&b, verify.NewPolicy(verify.WithArtifact(bytes.NewReader(file)), verify.WithKey()))
	return err
}

func TestAttestPredicate(t *testing.T) {
	signer := dssetest.Ed25519("a")
	artifact := []byte("the artifact")
	document := []byte(`{"bomFormat":"CycloneDX","note":"<&>"}`)
	bundle, keyID, err := AttestPredicate(t.Context(), signer, "a.tgz", digest.Of(artifact), "https://cyclonedx.org/bom", document)
	if err != nil || keyID == "" {
		t.Fatal(err)
	}
	statement, err := VerifyEnvelope(signer.Public(), bundle)
	if err != nil {
		t.Fatal(err)
	}
	if !statement.About(digest.Of(artifact)) || statement.About(digest.Of(document)) || statement.PredicateType != "https://cyclonedx.org/bom" || !bytes.Equal(statement.Predicate, document) {
		t.Errorf("statement %+v", statement)
	}
	if _, err := VerifyEnvelope(dssetest.Ed25519("b").Public(), bundle); err == nil {
		t.Error("another key verified it")
	}
	if _, _, err := AttestPredicate(t.Context(), dssetest.MLDSA(t, "a"), "a.tgz", digest.Of(artifact), "x", document); err == nil {
		t.Error("a bundle by an ML-DSA key was made")
	}
	for name, key := range map[string]Signer{"ed25519": signer, "p256": dssetest.P256(t, "a")} {
		data, _, err := AttestPredicate(t.Context(), key, "a.tgz", digest.Of(artifact), "x", document)
		if err != nil {
			t.Fatal(err)
		}
		if err := sigstoreGo(key.Public(), data, artifact); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := sigstoreGo(key.Public(), data, document); err == nil {
			t.Errorf("%s: sigstore-go takes it for another file", name)
		}
	}
	large := []byte(`"` + strings.Repeat("x", 2<<20) + `"`)
	if _, _, err := AttestPredicate(t.Context(), signer, "a.tgz", digest.Of(artifact), "x", large); err != nil {
		t.Error(err)
	}
}
