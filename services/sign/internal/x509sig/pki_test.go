package x509sig

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"golang.org/x/crypto/ocsp"

	"assize.dev/services/sign/internal/signature"
)

// now is the time of most verifications.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

var artifact = []byte("the bytes of an artifact")

// must is for what cannot fail unless the test is wrong.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func p256() crypto.Signer { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func curve(c elliptic.Curve) crypto.Signer { return must(ecdsa.GenerateKey(c, rand.Reader)) }

func edKey() crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return must(key, err)
}

// RSA keys take long to make.
var (
	rsa1024 = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 1024)) })
	rsa2048 = sync.OnceValue(func() crypto.Signer { return must(rsa.GenerateKey(rand.Reader, 2048)) })
)

// identity is a certificate with its key.
type identity struct {
	cert   *x509.Certificate
	key    crypto.Signer
	issuer *identity // nil if it is self-signed
}

var lastSerial atomic.Int64

type edit = func(*x509.Certificate)

// issue makes a certificate valid for five years around now.
func issue(issuer *identity, name string, key crypto.Signer, edits ...edit) *identity {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1000 + lastSerial.Add(1)),
		Subject:      pkix.Name{CommonName: name, Organization: []string{"Example Test"}},
		NotBefore:    now.Add(-2 * 365 * day), NotAfter: now.Add(3 * 365 * day),
		BasicConstraintsValid: true, SubjectKeyId: digest(crypto.SHA1, must(x509.MarshalPKIXPublicKey(key.Public()))),
	}
	for _, e := range edits {
		e(template)
	}
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer))
	return &identity{must(x509.ParseCertificate(der)), key, issuer}
}

func ca(c *x509.Certificate) {
	c.IsCA = true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
}

func codeSigning(c *x509.Certificate) {
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
}

func validity(from, until time.Time) edit {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, until }
}

func usages(u ...x509.ExtKeyUsage) edit {
	return func(c *x509.Certificate) { c.ExtKeyUsage = u }
}

func extension(oid asn1.ObjectIdentifier, critical bool, value any) pkix.Extension {
	return pkix.Extension{Id: oid, Critical: critical, Value: must(asn1.Marshal(value))}
}

func extra(e pkix.Extension) edit {
	return func(c *x509.Certificate) { c.ExtraExtensions = append(c.ExtraExtensions, e) }
}

func timeStamping(c *x509.Certificate) {
	c.KeyUsage = x509.KeyUsageDigitalSignature
	extra(extension(oidExtendedKeyUsage, true, []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}))(c)
}

func (i *identity) chain() []*x509.Certificate {
	var chain []*x509.Certificate
	for ; i != nil && i.issuer != nil; i = i.issuer {
		chain = append(chain, i.cert)
	}
	return chain
}

// sign makes a plain signature.
func (i *identity) sign(content []byte, h crypto.Hash) []byte { return signWith(i.key, content, h) }

func signWith(key crypto.Signer, content []byte, opts crypto.SignerOpts) []byte {
	if _, ok := key.(ed25519.PrivateKey); ok {
		return must(key.Sign(rand.Reader, content, crypto.Hash(0)))
	}
	return must(key.Sign(rand.Reader, digest(opts.HashFunc(), content), opts))
}

// revoked is an entry of a CRL.
func revoked(c *x509.Certificate, at time.Time, reason int) x509.RevocationListEntry {
	return x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: at, ReasonCode: reason}
}

// crl is current now.
func (i *identity) crl(change func(*x509.RevocationList), entries ...x509.RevocationListEntry) *CRL {
	return must(ParseCRL(i.crlDER(change, entries...)))
}

func (i *identity) crlDER(change func(*x509.RevocationList), entries ...x509.RevocationListEntry) []byte {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-day), NextUpdate: now.Add(day), RevokedCertificateEntries: entries}
	if change != nil {
		change(list)
	}
	return must(x509.CreateRevocationList(rand.Reader, list, i.cert, i.key))
}

// ocspDER answers for c, current now. The responder may be i itself.
func (i *identity) ocspDER(c *x509.Certificate, responder *identity, change func(*ocsp.Response)) []byte {
	r := ocsp.Response{SerialNumber: c.SerialNumber, Status: ocsp.Good, ThisUpdate: now.Add(-day), NextUpdate: now.Add(day)}
	if responder != i {
		r.Certificate = responder.cert
	}
	if change != nil {
		change(&r)
	}
	return must(ocsp.CreateResponse(i.cert, responder.cert, r, responder.key))
}

func (i *identity) ocsp(c *x509.Certificate, responder *identity, change func(*ocsp.Response)) *OCSP {
	return must(ParseOCSP(i.ocspDER(c, responder, change)))
}

// stamp is an RFC 3161 response over value by a timestamp authority.
func (i *identity) stamp(value []byte, at time.Time, change func(*timestamp.Timestamp)) []byte {
	ts := &timestamp.Timestamp{
		HashAlgorithm: crypto.SHA256, Time: at,
		Policy: asn1.ObjectIdentifier{1, 2, 3}, AddTSACertificate: true, Accuracy: time.Second,
	}
	if i.issuer != nil {
		ts.Certificates = []*x509.Certificate{i.issuer.cert}
	}
	if change != nil {
		change(ts)
	}
	ts.HashedMessage = digest(ts.HashAlgorithm, value)
	return must(ts.CreateResponseWithOpts(i.cert, i.key, crypto.SHA256))
}

// world is a PKI of a root, an intermediate and a publisher, and one of a
// timestamp authority.
type world struct{ root, inter, leaf, tsaRoot, tsa *identity }

var theWorld = sync.OnceValue(func() world {
	root := issue(nil, "root", p256(), ca)
	inter := issue(root, "inter", p256(), ca)
	tsaRoot := issue(nil, "tsa root", p256(), ca)
	return world{root, inter, issue(inter, "publisher", p256(), codeSigning), tsaRoot, issue(tsaRoot, "tsa", p256(), timeStamping)}
})

func content(b []byte) *signature.Content {
	return signature.NewContent(context.Background(), bytes.NewReader(b), int64(len(b)))
}

func toPEM(typ string, ders ...[]byte) []byte {
	var out []byte
	for _, der := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der})...)
	}
	return out
}

// expect fails unless a result is valid, a stranger's or invalid, with all
// of the words in its reason.
func expect(t *testing.T, r signature.Result, want, words string) {
	t.Helper()
	got := "invalid"
	switch {
	case r.Valid && r.Stranger:
		got = "both valid and a stranger's"
	case r.Valid:
		got = "valid"
	case r.Stranger:
		got = "stranger"
	}
	if got != want || !strings.Contains(r.Reason, words) || r.Reason == "" || r.Kind == "" || r.Valid && r.Signer == "" || r.TimeProven && r.Time.IsZero() {
		t.Errorf("got %s, want %s because of %q: %+v", got, want, words, r)
	}
}
