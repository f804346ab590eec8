// Package sigstoretest is a small Sigstore for tests: a certificate
// authority, transparency logs of both kinds, a certificate transparency log
// and a timestamp authority, which sign without network or waiting. It is
// written from the formats' descriptions, and nothing but tests uses it. Like
// other test fixtures it panics when it cannot do what it is told.
package sigstoretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"math/big"
	"net/url"
	"strings"
	"time"
)

// Who signs, unless Options say otherwise.
const (
	SAN        = "https://github.com/example/demo/.github/workflows/release.yml@refs/tags/v1.0.0"
	Issuer     = "https://token.actions.githubusercontent.com"
	Repository = "https://github.com/example/demo"
	Ref        = "refs/tags/v1.0.0"
	Commit     = "0123456789abcdef0123456789abcdef01234567"
	Runner     = "github-hosted"
)

// SignedAt is when everything is signed, unless Options say otherwise.
// Certificates begin a minute earlier and last for ten.
var SignedAt = time.Date(2026, 6, 1, 12, 1, 0, 0, time.UTC)

// Validity of the authorities and logs.
var (
	notBefore = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Fake is one instance of Sigstore.
type Fake struct {
	root, intermediate, tsaIntermediate, tsa authority
	rekor1, rekor2, ctlog                    *ecdsa.PrivateKey
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// New makes the instance with a name. Two of the same name have the same
// keys, but not the same certificates.
func New(name string) *Fake {
	f := &Fake{rekor1: Key(name + " rekor"), rekor2: Key(name + " rekor 2"), ctlog: Key(name + " ct")}
	ca := func(subject string, usage ...x509.ExtKeyUsage) *x509.Certificate {
		return &x509.Certificate{
			Subject: pkix.Name{Organization: []string{"example.test"}, CommonName: subject},
			IsCA:    true, BasicConstraintsValid: true, ExtKeyUsage: usage,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	f.root = issue(authority{}, ca("root"), Key(name+" root"))
	f.intermediate = issue(f.root, ca("intermediate", x509.ExtKeyUsageCodeSigning), Key(name+" intermediate"))
	f.tsaIntermediate = issue(f.root, ca("TSA intermediate", x509.ExtKeyUsageTimeStamping), Key(name+" tsa intermediate"))
	f.tsa = issue(f.tsaIntermediate, &x509.Certificate{
		Subject: pkix.Name{CommonName: "TSA"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{
			Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, // extended key usage: time stamping
			Value: must(asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})),
		}},
	}, Key(name+" tsa"))
	return f
}

// Key is the P-256 key with a name.
func Key(name string) *ecdsa.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return must(ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:]))
}

// issue makes a certificate by issuer, or by itself if that is empty.
func issue(issuer authority, template *x509.Certificate, key *ecdsa.PrivateKey) authority {
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = notBefore, notAfter
	}
	template.SerialNumber = must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)))
	parent, signer := issuer.certificate, issuer.key
	if parent == nil {
		parent, signer = template, key
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer))
	return authority{must(x509.ParseCertificate(der)), key}
}

// Options are what may be different about a signature. The zero value is a
// bundle v0.3 that is valid, by SAN, in a log of version 1.
type Options struct {
	SAN, Issuer string
	// Repository, Ref, Commit and Runner are what the certificate says of the
	// build; "-" leaves the extension out.
	Repository, Ref, Commit, Runner string
	SignedAt                        time.Time

	Version string // of the bundle: "0.1", "0.2" or "0.3"
	Rekor2  bool   // a log of version 2, and a timestamp
	SCT     bool   // the certificate is in the certificate transparency log
	// What a bundle may lack or have besides.
	NoLog, NoPromise, NoProof, NoTimestamp, Timestamp bool

	// EditCertificate changes the certificate before it is issued, EditEntry
	// what the log is told, Edit the finished bundle.
	EditCertificate func(*x509.Certificate)
	EditEntry       func(body map[string]any)
	Edit            func(bundle map[string]any)
}

func (o *Options) fill() {
	for _, d := range []struct {
		field *string
		value string
	}{
		{&o.SAN, SAN}, {&o.Issuer, Issuer}, {&o.Repository, Repository}, {&o.Ref, Ref},
		{&o.Commit, Commit}, {&o.Runner, Runner}, {&o.Version, "0.3"},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if o.SignedAt.IsZero() {
		o.SignedAt = SignedAt
	}
}

// fulcio is the arc of Fulcio's extensions.
func fulcio(n int, text, none string) []pkix.Extension {
	if text == none {
		return nil
	}
	return []pkix.Extension{{
		Id:    asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, n},
		Value: must(asn1.MarshalWithParams(text, "utf8")),
	}}
}

// leaf issues the certificate of a signer.
func (f *Fake) leaf(o Options, key *ecdsa.PrivateKey) *x509.Certificate {
	start := o.SignedAt.Add(-time.Minute)
	template := &x509.Certificate{
		NotBefore: start, NotAfter: start.Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	if strings.Contains(o.SAN, "://") {
		template.URIs = []*url.URL{must(url.Parse(o.SAN))}
	} else {
		template.EmailAddresses = []string{o.SAN}
	}
	for _, e := range []struct {
		number int
		text   string
	}{
		{8, o.Issuer}, {9, o.SAN}, {11, o.Runner}, {12, o.Repository}, {13, o.Commit}, {14, o.Ref},
		{18, o.SAN}, {20, "push"}, {21, Repository + "/actions/runs/1/attempts/1"},
	} {
		template.ExtraExtensions = append(template.ExtraExtensions, fulcio(e.number, e.text, "-")...)
	}
	if o.EditCertificate != nil {
		o.EditCertificate(template)
	}
	leaf := issue(f.intermediate, template, key).certificate
	if !o.SCT {
		return leaf
	}
	// The log promises to list what is signed without its promise in it.
	template.ExtraExtensions = append(template.ExtraExtensions, f.sct(leaf, o.SignedAt))
	der := must(x509.CreateCertificate(rand.Reader, template, f.intermediate.certificate, key.Public(), f.intermediate.key))
	return must(x509.ParseCertificate(der))
}

// sign signs a message with SHA-256.
func sign(key *ecdsa.PrivateKey, message []byte) []byte {
	sum := sha256.Sum256(message)
	return must(key.Sign(rand.Reader, sum[:], crypto.SHA256))
}

func spki(key *ecdsa.PrivateKey) []byte { return must(x509.MarshalPKIXPublicKey(key.Public())) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// canonical is JSON with sorted names (RFC 8785, for what occurs here).
func canonical(v any) []byte { return must(json.Marshal(v)) }
