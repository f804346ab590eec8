// Package x509sig verifies signatures of publishers whose keys are certified
// by a PKI: plain signatures beside a certificate chain, and CMS (PKCS #7)
// SignedData.
//
// A signature counts if its mathematics hold over the artifact, its
// certificate was issued for signing code (RFC 5280: extended key usage
// codeSigning, key usage digitalSignature) under one of the caller's roots,
// and the certificate was valid and not revoked. All of that is judged at
// the time that an RFC 3161 timestamp proves, or else now.
//
// crypto/x509 builds the chains. What it leaves to its callers is here: key
// sizes, key usage, revocation and names. CMS and timestamps are read by the
// package's own parser. The libraries for them ignore errors of decoding,
// copy nested BER in quadratic time, accept SHA-1, want the artifact in
// memory and know neither RSA-PSS, Ed25519 nor key identifiers; the tests
// hold the parser against them and against openssl.
package x509sig

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"assize.dev/services/sign/internal/signature"
)

// The kinds of signatures.
const (
	KindPlain = "x509"
	KindCMS   = "cms"
)

// Anchors is what a verification trusts. The zero value trusts nobody.
// It may be shared by concurrent verifications.
type Anchors struct {
	// Roots end the chains of publishers. The system's roots never count.
	// A root answers to the operator alone: it is not looked up in CRLs.
	Roots []*x509.Certificate
	// Intermediates help where publishers or timestamp authorities send
	// incomplete chains. They are not trusted by being here.
	Intermediates []*x509.Certificate
	// TimestampRoots end the chains of timestamp authorities.
	TimestampRoots []*x509.Certificate
	// Names is whom the roots are trusted for, as patterns (see package
	// pattern). "cn:", "email:", "uri:" or "dns:" in front
	// of a pattern names the field of the leaf that it is about: the
	// subject's common name or one kind of alternative name; without it, any
	// of the four may match. Case matters. No names at all mean anybody.
	Names []string

	// CRLs and OCSP are the operator's knowledge of revocations. Once there
	// is any, every leaf must be covered by it or by what came along with
	// the signature, and so must every certificate of an issuer for which
	// there is a CRL.
	CRLs []*CRL
	OCSP []*OCSP
	// RequireRevocation wants every certificate below a root covered, those
	// of timestamp authorities too.
	RequireRevocation bool
}

// Detached is a plain signature over an artifact.
type Detached struct {
	// Signature is one of ECDSA (DER), RSA PKCS #1 v1.5, RSA-PSS (any salt
	// length, MGF1 with the same hash), each over SHA-256, SHA-384 or
	// SHA-512, or pure Ed25519: the raw bytes, or base64 of them.
	Signature []byte
	// Chain is the signer's certificate and those that lead to a root, which
	// may be left out.
	Chain []*x509.Certificate
	// Timestamp is an RFC 3161 token or response (DER) over Signature, in
	// the form that it is given in or decoded from base64. Empty if there is
	// none.
	Timestamp []byte
	// OCSP holds responses that the publisher sends along. They count as the
	// operator's do, but nothing is demanded because of them.
	OCSP []*OCSP
}

// maxSignature is beyond the base64 form of what an 8192-bit RSA key makes.
const maxSignature = 4 << 10

// Verify checks a plain signature over c as of the time at. The error is one
// of reading c; all else is in the result.
//
// The result's Signer is the leaf's subject as RFC 4514 writes it, which
// stays the same when a certificate is renewed: "CN=Acme,O=Acme Inc,C=DE". A
// leaf without a subject goes by its first alternative name, "email:…",
// "uri:…" or "dns:…". The Reason of a valid signature starts with the leaf's
// fingerprint.
func Verify(c *signature.Content, d Detached, a *Anchors, at time.Time) (signature.Result, error) {
	if len(d.Chain) == 0 {
		return signature.Invalid(KindPlain, "no certificate comes with the signature: want its chain beside it, leaf first"), nil
	}
	if len(d.Chain) > maxChain {
		return signature.Invalid(KindPlain, "%d certificates, at most %d", len(d.Chain), maxChain), nil
	}
	leaf := d.Chain[0]
	raw, err := decodeSignature(d.Signature)
	if err == nil {
		err = checkPlain(c, leaf, raw)
	}
	if err != nil {
		return failed(KindPlain, leaf, err)
	}
	s := signed{
		leaf: leaf, sent: d.Chain[1:], values: [][]byte{raw, d.Signature},
		material: material{ocsp: d.OCSP},
	}
	if len(d.Timestamp) > 0 {
		s.tokens = [][]byte{d.Timestamp}
	}
	return a.judge(KindPlain, s, at), nil
}

// decodeSignature takes base64 for what consists of nothing else. No raw
// signature does: of the random bytes of an Ed25519 signature all would have
// to be among a quarter of the 256.
func decodeSignature(given []byte) ([]byte, error) {
	if len(given) == 0 || len(given) > maxSignature {
		return nil, flawf("signature of %d bytes, want 1 to %d", len(given), maxSignature)
	}
	text := bytes.Join(bytes.Fields(given), nil)
	if raw, err := base64.StdEncoding.DecodeString(string(text)); err == nil && len(raw) > 0 {
		return raw, nil
	}
	return given, nil
}

// flaw is what is wrong with a signature, as opposed to an error of reading.
type flaw string

func (f flaw) Error() string { return string(f) }

func flawf(format string, args ...any) error { return flaw(fmt.Sprintf(format, args...)) }

// failed turns a flaw into a result, and that the signature could not be
// checked; any other error stays one.
func failed(kind string, leaf *x509.Certificate, err error) (signature.Result, error) {
	if !errors.As(err, new(flaw)) && !errors.Is(err, signature.ErrBudget) {
		return signature.Result{}, err
	}
	r := signature.Invalid(kind, "%v", err)
	if leaf != nil {
		r.Signer = signerName(leaf)
	}
	return r, nil
}

// signed is a signature whose mathematics hold, and all that came with it.
type signed struct {
	leaf     *x509.Certificate
	sent     []*x509.Certificate // untrusted
	values   [][]byte            // forms of the signature value that a timestamp may be over
	tokens   [][]byte            // timestamps
	material material            // untrusted until its signatures are checked
	claimed  time.Time           // the signer's word for when
}

// judge says what a signature that holds is worth.
func (a *Anchors) judge(kind string, s signed, at time.Time) signature.Result {
	result := signature.Result{Kind: kind, Signer: signerName(s.leaf), Time: s.claimed}
	remarks := []string{"certificate " + fingerprint(s.leaf)}

	when, proven, notes := at, (*provenTime)(nil), []string(nil)
	for _, token := range s.tokens {
		p, err := a.verifyTimestamp(token, s.values, at)
		if err != nil {
			notes = append(notes, fmt.Sprintf("a timestamp does not count: %s", err))
			continue
		}
		proven, when = p, p.time
		result.Time, result.TimeProven = p.time, true
		break
	}
	invalid := func(err error) signature.Result {
		result.Reason = strings.Join(append([]string{err.Error()}, notes...), "; ")
		return result
	}

	if err := fitToSign(s.leaf); err != nil {
		return invalid(err)
	}
	chains, err := chainsTo(a.Roots, s.leaf, x509.ExtKeyUsageCodeSigning, when, s.sent, a.Intermediates)
	if err != nil {
		result.Stranger = errors.As(err, new(unknownIssuer))
		return invalid(err)
	}
	if !namesMatch(a.Names, s.leaf) {
		result.Stranger = true
		return invalid(flawf("certificate of %s leads to a trusted root, but the root is not trusted for that name", result.Signer))
	}
	s.material.add(a)
	note, err := a.checkRevocation(chains, s.material, revocationCase{at: at, proven: proven, leaf: len(a.CRLs)+len(a.OCSP) > 0})
	if err != nil {
		return invalid(err)
	}
	result.Valid, result.Certificate, result.Key = true, s.leaf, signature.KeyFingerprint(s.leaf.PublicKey)
	if note != "" {
		remarks = append(remarks, note)
	}
	result.Reason = strings.Join(append(remarks, notes...), "; ")
	return result
}
