package sign

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"assize.dev/shared/event"
)

// certified is a key with a code-signing certificate that vouches for itself.
func certified(t testing.TB) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "signer"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

// TestForm: what a file holds is told from its content.
func TestForm(t *testing.T) {
	key, der := certified(t)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	ecdsaSignature, err := ecdsa.SignASN1(rand.Reader, key, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	raw := bytes.Repeat([]byte{0x88}, 64) // begins as an OpenPGP packet does
	rsa := append([]byte{0x89, 0x00, 0xfd, 4}, make([]byte, 252)...)
	packet := append([]byte{0x88, 100, 4}, make([]byte, 99)...)
	cms := []byte("\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0")
	for _, c := range []struct {
		name, suffix string
		data         []byte
		plain        form // without certificates beside it
		certified    form
	}{
		{"armored OpenPGP", ".sig", []byte("-----BEGIN PGP SIGNATURE-----\n"), formOpenPGP, formOpenPGP},
		{"OpenPGP after a blank line", ".asc", []byte("\n-----BEGIN PGP SIGNATURE-----\n"), formOpenPGP, formOpenPGP},
		{"binary OpenPGP", ".sig", packet, formOpenPGP, formOpenPGP},
		{"SSH", ".sig", []byte("-----BEGIN SSH SIGNATURE-----\n"), formSSH, formSSH},
		{"minisign", ".sig", []byte("untrusted comment: x\n"), formMinisign, formMinisign},
		{"a bundle", ".sig", []byte("{}"), formAttestation, formAttestation},
		{"attestations", ".provenance", []byte(" [{}]"), formAttestation, formAttestation},
		{"CMS in PEM", ".p7s", []byte("-----BEGIN PKCS7-----\n"), formCMS, formCMS},
		{"CMS in DER", ".sig", cms, formCMS, formCMS},
		{"raw Ed25519", ".sig", raw, formEd25519, formEd25519},
		{"base64 of it", ".sig", []byte(base64.StdEncoding.EncodeToString(raw)), formEd25519, formEd25519},
		{"ECDSA", ".sig", ecdsaSignature, formUnknown, formX509},
		{"RSA that looks like OpenPGP", ".sig", rsa, formOpenPGP, formX509},
		{"base64 of RSA", ".sig", []byte(base64.StdEncoding.EncodeToString(rsa)), formUnknown, formX509},
		{"certificates", ".chain.pem", certificate, formCompanion, formCompanion},
		{"certificates in DER", ".crt", der, formCompanion, formCompanion},
		{"broken certificates", ".pem", certificate[:100], formUnknown, formX509},
		{"timestamp", ".tsr", []byte{0x30}, formCompanion, formCompanion},
		{"no timestamp", ".tsr", nil, formUnknown, formUnknown},
		{"no OCSP response", ".ocsp", []byte{0x30}, formUnknown, formX509},
		{"nothing", ".sig", nil, formUnknown, formUnknown},
		{"words", ".txt", []byte("words"), formUnknown, formX509},
	} {
		e := &examination{artifact: &event.Artifact{Filename: filename}}
		a := event.Attached{Name: filename + c.suffix, Data: c.data}
		if got := e.form(a, false); got != c.plain {
			t.Errorf("%s: form %d, want %d", c.name, got, c.plain)
		}
		if got := e.form(a, true); got != c.certified {
			t.Errorf("%s beside certificates: form %d, want %d", c.name, got, c.certified)
		}
		if got := e.form(event.Attached{Name: "other" + c.suffix, Data: c.data}, true); got != formUnknown {
			t.Errorf("%s of another file: form %d", c.name, got)
		}
	}
}

// TestX509Beside: signature, certificate and trust meet.
func TestX509Beside(t *testing.T) {
	key, der := certified(t)
	data := []byte("the artifact")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	trust, err := LoadTrust(nil, Publisher{Name: "corp", X509: &X509Trust{Roots: []string{folder(t, map[string][]byte{"root.pem": certificate}) + "/root.pem"}}})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(data)
	sum := digest[:]
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum)
	if err != nil {
		t.Fatal(err)
	}
	with := func(signature []byte) []event.Attached {
		return []event.Attached{{Name: filename + ".sig", Data: signature}, {Name: filename + ".crt", Data: der}}
	}
	stranger, _ := certified(t)
	bad, err := ecdsa.SignASN1(rand.Reader, stranger, sum)
	if err != nil {
		t.Fatal(err)
	}
	if v := analyse(t, trust, "", "npm", data, with(signature)...); v.Result != event.Pass || v.Signatures[0].Publisher != "corp" || v.Signatures[0].Signer != "CN=signer" {
		t.Errorf("signed: %+v", v)
	}
	if v := analyse(t, trust, "", "npm", data, with(bad)...); v.Result != event.Fail {
		t.Errorf("by another key: %+v", v)
	}
	if v := analyse(t, &Trust{}, "", "npm", data, with(signature)...); v.Result != event.Undetermined {
		t.Errorf("nobody is trusted: %+v", v)
	}
}

// FuzzBeside: whatever comes along, there is an answer, and nothing of it is
// trusted where nobody is.
func FuzzBeside(f *testing.F) {
	_, der := certified(f)
	for _, data := range [][]byte{nil, make([]byte, 64), der, []byte("{}"), []byte("untrusted comment: x\n"), []byte("-----BEGIN SSH SIGNATURE-----"), {0x88, 10, 4}} {
		f.Add(".sig", data, ".crt", der)
	}
	v, err := NewVerifier(&Trust{}, VerifierOptions{})
	if err != nil {
		f.Fatal(err)
	}
	artifact := []byte("the artifact")
	f.Fuzz(func(t *testing.T, suffix string, data []byte, other string, more []byte) {
		a := event.Artifact{Filename: filename, Received: time.Now(), Signatures: []event.Attached{
			{Name: filename + suffix, Data: data}, {Name: filename + other, Data: more},
		}}
		got, err := v.Verify(t.Context(), &a, bytes.NewReader(artifact), int64(len(artifact)))
		if err != nil {
			t.Fatal(err)
		}
		if got.Result == event.Pass || got.SLSALevel != 0 {
			t.Errorf("%+v", got)
		}
		for _, s := range got.Signatures {
			if s.Trust != event.UnknownTrust || s.Valid && s.Signer == "" || !s.Valid && s.Reason == "" {
				t.Errorf("%+v", s)
			}
		}
	})
}
