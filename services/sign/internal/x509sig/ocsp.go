package x509sig

import (
	"bytes"
	"crypto"
	_ "crypto/sha1" // for certificate identifiers only
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

// maxOCSP is far beyond a response with a responder's certificate.
const maxOCSP = 256 << 10

// maxAnswers bounds the certificates that one response is about.
const maxAnswers = 1000

// OCSP is an OCSP response (RFC 6960) that somebody fetched before.
type OCSP struct {
	raw     []byte
	answers []certID
}

type certID struct {
	HashAlgorithm     pkix.AlgorithmIdentifier
	NameHash, KeyHash []byte
	Serial            *big.Int
}

var (
	oidArchiveCutoff = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 6}
	oidOCSPNonce     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
)

// ParseOCSP reads a response in DER, at most 256 KiB: "successful", of type
// basic, with a signature known to golang.org/x/crypto/ocsp.
func ParseOCSP(data []byte) (*OCSP, error) {
	if len(data) > maxOCSP {
		return nil, fmt.Errorf("OCSP response of %d bytes, at most %d", len(data), maxOCSP)
	}
	var outer struct {
		Status asn1.Enumerated
		Bytes  struct {
			Type     asn1.ObjectIdentifier
			Response []byte
		} `asn1:"explicit,tag:0,optional"`
	}
	if rest, err := asn1.Unmarshal(data, &outer); err != nil || len(rest) != 0 {
		return nil, errors.New("malformed OCSP response: want DER")
	}
	if s := ocsp.ResponseStatus(outer.Status); s != ocsp.Success {
		return nil, fmt.Errorf("OCSP responder answered %q", s)
	}
	// What the library does not tell, or does not look at: whose issuer the
	// answers are about, and extensions of the whole response.
	var basic struct {
		Data struct {
			Version     int `asn1:"optional,default:0,explicit,tag:0"`
			ResponderID asn1.RawValue
			ProducedAt  time.Time `asn1:"generalized"`
			Responses   []struct{ ID certID }
			Extensions  []pkix.Extension `asn1:"optional,explicit,tag:1"`
		}
	}
	if _, err := asn1.Unmarshal(outer.Bytes.Response, &basic); err != nil {
		return nil, fmt.Errorf("malformed OCSP response: %w", err)
	}
	if n := len(basic.Data.Responses); n == 0 || n > maxAnswers {
		return nil, fmt.Errorf("OCSP response about %d certificates, want 1 to %d", n, maxAnswers)
	}
	for _, e := range basic.Data.Extensions {
		if e.Critical && !e.Id.Equal(oidOCSPNonce) {
			return nil, fmt.Errorf("OCSP response has the unknown critical extension %s", e.Id)
		}
	}
	o := &OCSP{raw: bytes.Clone(data)}
	for _, r := range basic.Data.Responses {
		o.answers = append(o.answers, r.ID)
	}
	first := &x509.Certificate{SerialNumber: o.answers[0].Serial}
	if _, err := ocsp.ParseResponseForCert(o.raw, first, nil); err != nil {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	return o, nil
}

// about tells whether the response answers for a certificate. The library
// compares serial numbers only, and takes the first that is equal.
func (o *OCSP) about(c, issuer *x509.Certificate) bool {
	i := slices.IndexFunc(o.answers, func(id certID) bool { return id.Serial.Cmp(c.SerialNumber) == 0 })
	return i >= 0 && o.answers[i].isOf(issuer)
}

func (id certID) isOf(issuer *x509.Certificate) bool {
	h := idHash(id.HashAlgorithm.Algorithm)
	if h == 0 {
		return false
	}
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(issuer.RawSubjectPublicKeyInfo, &spki); err != nil {
		return false
	}
	return bytes.Equal(id.NameHash, digest(h, issuer.RawSubject)) && bytes.Equal(id.KeyHash, digest(h, spki.Key.RightAlign()))
}

// idHash finds the hash of something that is only named by it. SHA-1 will do
// there, and is what nearly all responders use.
func idHash(oid asn1.ObjectIdentifier) crypto.Hash {
	if oid.Equal(oidSHA1) {
		return crypto.SHA1
	}
	return strongHash(oid)
}

func digest(h crypto.Hash, data []byte) []byte {
	w := h.New()
	w.Write(data)
	return w.Sum(nil)
}

// read checks that the issuer, or whom it delegated that to, answered for c.
func (o *OCSP) read(c, issuer *x509.Certificate) (*ocsp.Response, error) {
	r, err := ocsp.ParseResponseForCert(o.raw, c, nil) // with a responder's certificate, it checks the signature by that
	if err != nil {
		return nil, err
	}
	if err := checkAlgorithm(r.SignatureAlgorithm); err != nil {
		return nil, err
	}
	responder := r.Certificate
	if responder == nil || bytes.Equal(responder.Raw, issuer.Raw) {
		return r, r.CheckSignatureFrom(issuer)
	}
	// RFC 6960, section 4.2.2.2. The library would let any certificate of
	// the issuer answer, also the one that was revoked.
	who := distinguishedName(responder.RawSubject)
	if err := checkLink(responder, false); err != nil {
		return nil, err
	}
	if !bytes.Equal(responder.RawIssuer, issuer.RawSubject) {
		return nil, fmt.Errorf("the responder %s is not certified by the issuer of the certificate", who)
	}
	if err := responder.CheckSignatureFrom(issuer); err != nil {
		return nil, fmt.Errorf("the responder %s is not certified by the issuer of the certificate: %w", who, err)
	}
	switch {
	case responder.IsCA, !slices.Contains(responder.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		return nil, fmt.Errorf("the certificate of the responder %s was not issued for OCSP", who)
	case responder.KeyUsage != 0 && responder.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return nil, fmt.Errorf("the certificate of the responder %s lacks the key usage digitalSignature", who)
	case len(responder.UnhandledCriticalExtensions) > 0:
		return nil, fmt.Errorf("the certificate of the responder %s has an unknown critical extension", who)
	}
	return r, nil
}

// archive is since when the responder answers for certificates that expired,
// zero if it does not (RFC 6960, section 4.4.4).
func archive(r *ocsp.Response) time.Time {
	for _, e := range r.Extensions {
		if e.Id.Equal(oidArchiveCutoff) {
			t, err := generalizedTime(e.Value)
			if err != nil {
				return time.Time{}
			}
			return t
		}
	}
	return time.Time{}
}
