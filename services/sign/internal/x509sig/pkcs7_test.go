package x509sig

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"testing"

	"github.com/smallstep/pkcs7"
)

// TestLibrarySigns verifies what the library made.
func TestLibrarySigns(t *testing.T) {
	w := theWorld()
	byRSA := issue(w.inter, "rsa", rsa2048(), codeSigning)
	for _, c := range []struct {
		by   *identity
		hash asn1.ObjectIdentifier
		want string
	}{
		{w.leaf, pkcs7.OIDDigestAlgorithmSHA256, "valid"},
		{w.leaf, pkcs7.OIDDigestAlgorithmSHA512, "valid"},
		{byRSA, pkcs7.OIDDigestAlgorithmSHA384, "valid"},
		{byRSA, pkcs7.OIDDigestAlgorithmSHA1, "invalid"},
	} {
		sd := must(pkcs7.NewSignedData(artifact))
		sd.SetDigestAlgorithm(c.hash)
		if err := sd.AddSignerChain(c.by.cert, c.by.key, []*x509.Certificate{w.inter.cert}, pkcs7.SignerInfoConfig{}); err != nil {
			t.Fatal(err)
		}
		// The library states the time of the clock as that of signing.
		sd.Detach()
		p7s := must(sd.Finish())
		expect(t, verifyCMS(t, artifact, p7s, &newTrial().a, now)[0], c.want, "")
		if err := byLibrary(p7s, w.root.cert); err != nil {
			t.Errorf("the library refuses its own: %v", err)
		}
	}
}

func byLibrary(p7s []byte, root *x509.Certificate) error {
	p, err := pkcs7.Parse(p7s)
	if err != nil {
		return err
	}
	p.Content = artifact
	roots := x509.NewCertPool()
	roots.AddCert(root)
	return p.VerifyWithChainAtTime(roots, now)
}

// TestLibraryAccepts is why the library does not decide here: it takes each
// of these, which CMS or any policy forbids.
func TestLibraryAccepts(t *testing.T) {
	w := theWorld()
	byRSA := issue(w.inter, "rsa", rsa2048(), codeSigning)
	forged := setOf(attributesDER(defaultAttributes(oidData, digest(crypto.SHA256, artifact))))
	for name, m := range map[string]cmsMessage{
		"SHA-1": {signers: []cmsSigner{{by: byRSA, hash: crypto.SHA1}}},
		"content of another type without attributes": {signers: []cmsSigner{{by: w.leaf, bare: true}}, contentType: oidTSTInfo},
		"no content-type":         {signers: []cmsSigner{{by: w.leaf, attributes: without(oidContentType)}}},
		"other content embedded":  {signers: []cmsSigner{{by: w.leaf}}, embedded: forged},
		"two message-digests":     {signers: []cmsSigner{{by: w.leaf, attributes: plus(oidMessageDigest, make([]byte, 64))}}},
		"certificate for servers": {signers: []cmsSigner{{by: issue(w.inter, "tls", p256(), usages(x509.ExtKeyUsageServerAuth))}}},
	} {
		t.Run(name, func(t *testing.T) {
			p7s := m.build(artifact)
			if err := byLibrary(p7s, w.root.cert); err != nil {
				t.Errorf("no longer: %v", err)
			}
			if r := verifyCMS(t, artifact, p7s, &newTrial().a, now)[0]; r.Valid {
				t.Errorf("accepted here too: %+v", r)
			}
		})
	}
}
