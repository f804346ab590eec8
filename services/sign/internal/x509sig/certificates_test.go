package x509sig

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
)

// mentions fails unless err says why, or is nil where there is no why.
func mentions(t *testing.T, err error, why string) {
	t.Helper()
	if why == "" && err != nil || why != "" && (err == nil || !strings.Contains(err.Error(), why)) {
		t.Errorf("got %v, want %q", err, why)
	}
}

func TestParseChain(t *testing.T) {
	w := theWorld()
	leaf, inter := w.leaf.cert.Raw, w.inter.cert.Raw
	good := toPEM("CERTIFICATE", leaf, inter)
	for _, c := range []struct {
		name, why string
		data      []byte
		want      int
	}{
		{"PEM", "", good, 2},
		{"PEM with text", "", append([]byte("0 s:CN = publisher\n"), good...), 2},
		{"Windows lines", "", bytes.ReplaceAll(good, []byte("\n"), []byte("\r\n")), 2},
		{"DER", "", leaf, 1},
		{"DER, two", "", slices.Concat(leaf, inter), 2},
		{"ten", "", toPEM("CERTIFICATE", slices.Repeat([][]byte{leaf}, 10)...), 10},
		{"eleven", "at most 10", toPEM("CERTIFICATE", slices.Repeat([][]byte{leaf}, 11)...), 0},
		{"eleven in DER", "at most 10", bytes.Repeat(leaf, 11), 0},
		{"first block malformed", "1 of 2 PEM blocks are malformed", bytes.Replace(good, []byte("\nMII"), []byte("\n!!!"), 1), 0},
		{"last block cut off", "1 of 2 PEM blocks are malformed", good[:len(good)-10], 0},
		{"not a certificate", "certificate 1", toPEM("CERTIFICATE", []byte("x")), 0},
		{"private key", "private key", append(good, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY"})...), 0},
		{"other block", `"PUBLIC KEY"`, toPEM("PUBLIC KEY", leaf), 0},
		{"DER cut off", "x509", leaf[:len(leaf)-1], 0},
		{"nothing", "neither DER nor PEM", nil, 0},
		{"too large", "at most", make([]byte, MaxChainFile+1), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			certs, err := ParseChain(c.data)
			mentions(t, err, c.why)
			if len(certs) != c.want || c.want > 0 && !bytes.Equal(certs[0].Raw, leaf) {
				t.Errorf("%d certificates", len(certs))
			}
		})
	}
}

// TestParseCertificates: the operator hears of keys that are of no use.
func TestParseCertificates(t *testing.T) {
	w := theWorld()
	zero := asn1.BitString{Bytes: make([]byte, 32), BitLength: 256}
	for _, c := range []struct {
		name, why string
		cert      *x509.Certificate
	}{
		{"root", "", w.root.cert},
		{"Ed25519", "", issue(nil, "ed", edKey(), ca).cert},
		{"RSA of 1024 bits", "CN=weak,O=Example Test: RSA key of 1024 bits", issue(nil, "weak", rsa1024(), ca).cert},
		{"P-224", "curve P-224", issue(nil, "p224", curve(elliptic.P224()), ca).cert},
		{"Ed25519 that anyone can sign for", "weak", withKey(issue(nil, "ed", edKey(), ca).cert, zero)},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseCertificates(toPEM("CERTIFICATE", c.cert.Raw))
			mentions(t, err, c.why)
		})
	}
	many := bytes.Repeat(toPEM("CERTIFICATE", w.root.cert.Raw), maxRoots+1)
	_, err := ParseCertificates(many)
	mentions(t, err, "at most 2000")
	if err := checkKey("no key"); err == nil {
		t.Error("a string is a key")
	}
}

// withKey replaces an Ed25519 key; the certificate's signature breaks.
func withKey(c *x509.Certificate, key asn1.BitString) *x509.Certificate {
	old := c.RawSubjectPublicKeyInfo[len(c.RawSubjectPublicKeyInfo)-32:]
	return must(x509.ParseCertificate(bytes.ReplaceAll(c.Raw, old, key.Bytes)))
}
