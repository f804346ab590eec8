package x509sig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"assize.dev/services/sign/internal/signature"
)

// VerifyCMS checks the signatures of CMS or PKCS #7 SignedData (RFC 5652)
// over c as of the time at: DER, PEM ("PKCS7", "CMS") or BER of indefinite
// length, at most 1 MiB with 16 signatures, each of which has a result. The
// error is one of reading c. For Signer and Reason see Verify.
//
// The artifact must be detached, content of type data. Each signature is
// RSA PKCS #1 v1.5, RSA-PSS, ECDSA or Ed25519 with SHA-256, SHA-384 or
// SHA-512. A timestamp in the unsigned attributes (RFC 3161, appendix A)
// proves its time; CRLs and OCSP responses inside count like the operator's,
// as long as they are current.
func VerifyCMS(c *signature.Content, p7s []byte, a *Anchors, at time.Time) ([]signature.Result, error) {
	sd, err := readDetached(p7s)
	if err != nil {
		return []signature.Result{signature.Invalid(KindCMS, "%s", brief(err))}, nil
	}
	var hashes []crypto.Hash // in one pass
	for i := range sd.signers {
		if h := strongHash(sd.signers[i].digest); h != 0 && !slices.Contains(hashes, h) {
			hashes = append(hashes, h)
		}
	}
	if err := c.Sums(hashes...); err != nil {
		return nil, err
	}
	var results []signature.Result
	for i := range sd.signers {
		if err := c.Context().Err(); err != nil {
			return nil, err
		}
		r, err := a.verifySigner(c, sd, &sd.signers[i], at)
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

func readDetached(p7s []byte) (*signedData, error) {
	if len(p7s) > MaxCMS {
		return nil, fmt.Errorf("CMS of %d bytes, at most %d", len(p7s), MaxCMS)
	}
	der, err := oneDER(p7s, "PKCS7", "CMS")
	if err != nil {
		return nil, err
	}
	sd, err := parseSignedData(der)
	switch {
	case err != nil:
		return nil, err
	case !sd.contentType.Equal(oidData):
		return nil, fmt.Errorf("CMS signs content of type %s, want data", sd.contentType)
	case sd.content != nil:
		return nil, fmt.Errorf("CMS carries content of its own: want a detached signature (openssl cms -sign -binary)")
	case len(sd.signers) == 0:
		return nil, fmt.Errorf("CMS without a signature: certificates only")
	}
	return sd, nil
}

func (a *Anchors) verifySigner(c *signature.Content, sd *signedData, s *signerInfo, at time.Time) (signature.Result, error) {
	leaf, err := s.check(c, sd.contentType, slices.Concat(sd.certificates, a.Intermediates))
	if err != nil {
		return failed(KindCMS, leaf, err)
	}
	if leaf == nil {
		return signature.Stranger(KindCMS, "", "the certificate of the signer (%s) is not in the CMS: sign with the certificates included", s.identifier()), nil
	}
	claim := signed{leaf: leaf, sent: sd.certificates, values: [][]byte{s.value}, material: sd.material, claimed: s.signingTime()}
	for _, token := range s.unsigned[oidTimestampToken.String()] {
		if len(claim.tokens) == maxTokens {
			break
		}
		claim.tokens = append(claim.tokens, token)
	}
	return a.judge(KindCMS, claim, at), nil
}

func (s *signerInfo) identifier() string {
	if s.keyID != nil {
		return fmt.Sprintf("key identifier %x", s.keyID)
	}
	return printable(fmt.Sprintf("number %x of %s", s.serial, distinguishedName(s.issuer)))
}

func (s *signerInfo) identifies(c *x509.Certificate) bool {
	if s.keyID != nil {
		return bytes.Equal(c.SubjectKeyId, s.keyID)
	}
	return c.SerialNumber.Cmp(s.serial) == 0 && bytes.Equal(c.RawIssuer, s.issuer)
}

// check finds the signer among certificates and checks its signature over
// the content. The leaf is nil if it is not among them. Anybody may add a
// certificate that claims the same identifier, so each of them is tried.
func (s *signerInfo) check(c *signature.Content, contentType asn1.ObjectIdentifier, among []*x509.Certificate) (leaf *x509.Certificate, err error) {
	for _, candidate := range among {
		if !s.identifies(candidate) {
			continue
		}
		now := checkOnce(c, attempt{string(candidate.Raw), s.id}, func() error { return s.checkBy(candidate, c, contentType) })
		if now == nil {
			return candidate, nil
		}
		if leaf == nil {
			leaf, err = candidate, now
		}
	}
	return leaf, err
}

// attempt is a signature of CMS, and the certificate it may be by. What type
// of content it is over is the same for all signatures that share a Content.
type attempt struct {
	leaf   string
	signer [sha256.Size]byte
}

// checkBy is RFC 5652, section 5.6.
func (s *signerInfo) checkBy(leaf *x509.Certificate, c *signature.Content, contentType asn1.ObjectIdentifier) error {
	if err := checkLink(leaf, false); err != nil {
		return err
	}
	h := strongHash(s.digest)
	if h == 0 {
		return flawf("digest algorithm %s, want SHA-256, SHA-384 or SHA-512", s.digest)
	}
	sum, err := c.Sum(h)
	if err != nil {
		return err
	}
	if s.signed == nil {
		return s.checkWithoutAttributes(leaf, c, contentType, h, sum)
	}
	var given cryptobyte.String
	var typ asn1.ObjectIdentifier
	if value, ok := s.signed.one(oidContentType); !ok || !value.ReadASN1ObjectIdentifier(&typ) || !typ.Equal(contentType) {
		return flawf("the signed attribute content-type is missing or differs from the content's type")
	}
	if value, ok := s.signed.one(oidMessageDigest); !ok || !value.ReadASN1(&given, cryptobyte_asn1.OCTET_STRING) || !bytes.Equal(given, sum) {
		return flawf("the signed attribute message-digest is not the artifact's %s digest: the artifact was changed after signing, or this signature is for another one", h)
	}
	if err := s.checkSigningCertificate(leaf, false); err != nil {
		return err
	}
	if key, ok := leaf.PublicKey.(ed25519.PublicKey); ok { // RFC 8419
		if !s.algorithm.Equal(oidEd25519) || !ed25519.Verify(key, s.signedDER, s.value) {
			return errMismatch
		}
		return nil
	}
	return s.checkDigest(leaf.PublicKey, h, digest(h, s.signedDER))
}

// checkWithoutAttributes is for signatures directly over the content, which
// only content of type data may have.
func (s *signerInfo) checkWithoutAttributes(leaf *x509.Certificate, c *signature.Content, contentType asn1.ObjectIdentifier, h crypto.Hash, sum []byte) error {
	if !contentType.Equal(oidData) {
		return flawf("content of type %s is signed without attributes", contentType)
	}
	// Somebody may take a signature with attributes, drop them, and present
	// them as the artifact: it holds over them.
	attributes, err := isSet(c)
	if err != nil {
		return err
	}
	if attributes {
		return flawf("the artifact may be the signed attributes of another signature: sign it with attributes")
	}
	if key, ok := leaf.PublicKey.(ed25519.PublicKey); ok {
		if !s.algorithm.Equal(oidEd25519) {
			return errMismatch
		}
		return checkEd25519(c, key, s.value)
	}
	return s.checkDigest(leaf.PublicKey, h, sum)
}

// isSet tells whether the content is one SET in DER, from its first bytes.
func isSet(c *signature.Content) (bool, error) {
	head := make([]byte, min(c.Size(), 6)) // tag and the length of up to 4 GiB
	if _, err := io.ReadFull(io.NewSectionReader(c.ReaderAt(), 0, c.Size()), head); err != nil {
		return false, fmt.Errorf("reading artifact: %w", err)
	}
	if len(head) < 2 || head[0] != byte(cryptobyte_asn1.SET) {
		return false, nil
	}
	length, of := int64(head[1]), int64(2)
	if length > 0x80 {
		n := int(length & 0x7f)
		if n > len(head)-2 {
			return false, nil
		}
		length, of = 0, int64(2+n)
		for _, b := range head[2 : 2+n] {
			length = length<<8 | int64(b)
		}
	}
	return c.Size() == of+length, nil
}

var (
	oidRSA     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidMGF1    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}
	oidPSS     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidEd25519 = asn1.ObjectIdentifier{1, 3, 101, 112}

	// Signature algorithms that name their hash, which must be that of the
	// digest algorithm.
	rsaWith = map[string]crypto.Hash{
		"1.2.840.113549.1.1.11": crypto.SHA256,
		"1.2.840.113549.1.1.12": crypto.SHA384,
		"1.2.840.113549.1.1.13": crypto.SHA512,
	}
	ecdsaWith = map[string]crypto.Hash{
		"1.2.840.10045.4.3.2": crypto.SHA256,
		"1.2.840.10045.4.3.3": crypto.SHA384,
		"1.2.840.10045.4.3.4": crypto.SHA512,
	}
)

// checkDigest checks the signature value, made as the signer says it is.
func (s *signerInfo) checkDigest(key crypto.PublicKey, h crypto.Hash, sum []byte) error {
	name, holds := s.algorithm.String(), false
	switch key := key.(type) {
	case *rsa.PublicKey:
		switch {
		case s.algorithm.Equal(oidRSA), rsaWith[name] == h:
			holds = rsa.VerifyPKCS1v15(key, h, sum, s.value) == nil
		case s.algorithm.Equal(oidPSS):
			if err := checkPSS(s.parameters, h); err != nil {
				return err
			}
			holds = verifyPSS(key, h, sum, s.value)
		default:
			return flawf("signature algorithm %s with an RSA key and %s", name, h)
		}
	case *ecdsa.PublicKey:
		if ecdsaWith[name] != h {
			return flawf("signature algorithm %s with an ECDSA key and %s", name, h)
		}
		holds = ecdsa.VerifyASN1(key, sum, s.value)
	}
	if !holds {
		return errMismatch
	}
	return nil
}

// checkPSS reads RSASSA-PSS-params (RFC 4055, section 3.1). The hash, also
// that of MGF1, must be the digest algorithm (RFC 4056, section 3); the
// defaults, SHA-1, never are.
func checkPSS(der []byte, h crypto.Hash) error {
	var p struct {
		Hash    pkix.AlgorithmIdentifier `asn1:"explicit,tag:0,optional"`
		MGF     pkix.AlgorithmIdentifier `asn1:"explicit,tag:1,optional"`
		Salt    int                      `asn1:"explicit,tag:2,optional,default:20"`
		Trailer int                      `asn1:"explicit,tag:3,optional,default:1"`
	}
	if rest, err := asn1.Unmarshal(der, &p); err != nil || len(rest) != 0 {
		return flawf("malformed RSA-PSS parameters")
	}
	var mask pkix.AlgorithmIdentifier
	rest, err := asn1.Unmarshal(p.MGF.Parameters.FullBytes, &mask)
	if err != nil || len(rest) != 0 || strongHash(p.Hash.Algorithm) != h ||
		!p.MGF.Algorithm.Equal(oidMGF1) || strongHash(mask.Algorithm) != h || p.Trailer != 1 {
		return flawf("RSA-PSS with parameters other than %s throughout", h)
	}
	return nil
}

// checkSigningCertificate compares the certificate with the one that the
// signed attributes name (ESS, RFC 5035), if they do or must.
func (s *signerInfo) checkSigningCertificate(leaf *x509.Certificate, must bool) error {
	const v1, v2 = 0, 1
	for i, oid := range []asn1.ObjectIdentifier{v1: oidSigningCertificate, v2: oidSigningCertificateV2} {
		if s.signed[oid.String()] == nil {
			continue
		}
		var list, ids, id, algorithm, sum cryptobyte.String
		value, ok := s.signed.one(oid)
		h := crypto.SHA1 // names the certificate; it is not what is signed
		if i == v2 {
			h = crypto.SHA256
		}
		if !ok || !value.ReadASN1(&list, cryptobyte_asn1.SEQUENCE) || !list.ReadASN1(&ids, cryptobyte_asn1.SEQUENCE) || !ids.ReadASN1(&id, cryptobyte_asn1.SEQUENCE) {
			return flawf("malformed attribute signing-certificate")
		}
		if i == v2 && id.PeekASN1Tag(cryptobyte_asn1.SEQUENCE) {
			var name asn1.ObjectIdentifier
			if !readAlgorithm(&id, &name, &algorithm) {
				return flawf("malformed attribute signing-certificate")
			}
			if h = strongHash(name); h == 0 {
				return flawf("attribute signing-certificate uses %s, want SHA-256 or better", name)
			}
		}
		// The first is the signer's; those of its issuers may follow.
		if !id.ReadASN1(&sum, cryptobyte_asn1.OCTET_STRING) || !bytes.Equal(sum, digest(h, leaf.Raw)) {
			return flawf("the signed attributes name another certificate than that of the signer")
		}
		must = false
	}
	if must {
		return flawf("the signed attributes do not name the signer's certificate (RFC 3161, section 2.4.2)")
	}
	return nil
}
