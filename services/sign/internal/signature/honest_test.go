package signature_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"testing"
	"time"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/eddsa"
	"assize.dev/services/sign/internal/minisign"
	"assize.dev/services/sign/internal/signature"
	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/x509sig"
)

// TestHonestArtifact has as many files beside it as there may be, all of the
// kinds that are over the bytes themselves, and eight publishers who are
// asked about each.
func TestHonestArtifact(t *testing.T) {
	artifact := bytes.Repeat([]byte("artifact"), 20_000)
	sum := sha256.Sum256(artifact)
	r := &counted{ReaderAt: bytes.NewReader(artifact)}
	c := signature.NewContent(context.Background(), r, int64(len(artifact)))
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	valid := 0
	count := func(r signature.Result, err error) {
		t.Helper()
		if err != nil || !r.Valid && !r.Stranger {
			t.Fatalf("%+v, %v", r, err)
		}
		if r.Valid {
			valid++
		}
	}
	const publishers = 8
	for i := range 4 {
		seed := sha256.Sum256([]byte{byte(i)})
		key := ed25519.NewKeyFromSeed(seed[:])
		public := key.Public().(ed25519.PublicKey)
		sig := ed25519.Sign(key, artifact)

		if _, ok, err := eddsa.VerifyDetached(c, sig, []ed25519.PublicKey{public}); !ok || err != nil {
			t.Fatal(ok, err)
		}

		id := fmt.Appendf(nil, "Ed%08d", i)
		line := func(body []byte) string {
			return base64.StdEncoding.EncodeToString(append(bytes.Clone(id), body...))
		}
		known, err := minisign.ParsePublicKey([]byte("untrusted comment: signify\n" + line(public) + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		count(minisign.Verify(c, []byte("untrusted comment: signify\n"+line(sig)+"\n"), []minisign.PublicKey{known}))

		keyID, err := dsse.KeyID(public)
		if err != nil {
			t.Fatal(err)
		}
		bundle, err := dsse.MessageBundle(keyID, sum, sig)
		if err != nil {
			t.Fatal(err)
		}
		cert := selfSigned(t, key, at)
		for p := range publishers {
			s, a := &sigstore.Anchors{}, &x509sig.Anchors{}
			if p%publishers == i {
				s.Keys, a.Roots = append(s.Keys, public), []*x509.Certificate{cert}
			}
			all, err := sigstore.Verify(c, bundle, s, at)
			count(all[0].Result, err)
			count(x509sig.Verify(c, x509sig.Detached{Signature: sig, Chain: []*x509.Certificate{cert}}, a, at))
		}
	}
	if valid != 4*3 {
		t.Errorf("%d valid signatures", valid)
	}
	// The same signature is the same in every form: 4 passes, and 2 digests.
	if want := int64(6 * len(artifact)); r.n != want {
		t.Errorf("read %d bytes of an artifact of %d", r.n, len(artifact))
	}
	// Even if all were different, they could be read, and one inside.
	if err := c.Spend(16 + 1 - 4); err != nil {
		t.Error(err)
	}
}

func selfSigned(t *testing.T, key ed25519.PrivateKey, at time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "publisher"},
		NotBefore: at.AddDate(-1, 0, 0), NotAfter: at.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
