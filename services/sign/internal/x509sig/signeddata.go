package x509sig

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of CMS. Signatures are small; what makes them large is certificates
// and revocation lists.
const (
	MaxCMS         = 1 << 20
	maxSigners     = 16
	maxCMSCerts    = 64
	maxRevocations = 32
	maxAttributes  = 64
	maxTokens      = 4
)

var (
	oidSHA1       = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidData       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidOCSPBasic  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 16, 2} // id-ri-ocsp-response, RFC 5940

	oidContentType          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	oidSigningCertificate   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidTimestampToken       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14}
)

// signedData is CMS SignedData (RFC 5652, section 5).
type signedData struct {
	contentType  asn1.ObjectIdentifier
	content      []byte // nil if it is detached
	certificates []*x509.Certificate
	material     material
	signers      []signerInfo
}

// signerInfo is one signature in it (RFC 5652, section 5.3).
type signerInfo struct {
	id         [sha256.Size]byte // digest of all of it
	issuer     []byte            // and serial, or else keyID
	serial     *big.Int
	keyID      []byte
	digest     asn1.ObjectIdentifier
	signed     attributes // nil if there are none
	signedDER  []byte     // the bytes that the signature is over
	algorithm  asn1.ObjectIdentifier
	parameters []byte
	value      []byte
	unsigned   attributes
}

// attributes are values by type, as dotted numbers.
type attributes map[string][]cryptobyte.String

// one is the value of an attribute that has exactly one.
func (a attributes) one(oid asn1.ObjectIdentifier) (cryptobyte.String, bool) {
	values := a[oid.String()]
	if len(values) != 1 {
		return nil, false
	}
	return values[0], true
}

func malformed(what string) error { return fmt.Errorf("malformed CMS: %s", what) }

const (
	tag0 = cryptobyte_asn1.Tag(0xa0) // context-specific, constructed
	tag1 = cryptobyte_asn1.Tag(0xa1)
)

// parseSignedData reads a ContentInfo with SignedData in DER, or in the BER
// that definite understands.
func parseSignedData(data []byte) (*signedData, error) {
	der, err := definite(data)
	if err != nil {
		return nil, err
	}
	var info, explicit, sd cryptobyte.String
	var oid asn1.ObjectIdentifier
	s := cryptobyte.String(der)
	if !s.ReadASN1(&info, cryptobyte_asn1.SEQUENCE) || !s.Empty() || !info.ReadASN1ObjectIdentifier(&oid) {
		return nil, malformed("no ContentInfo, or bytes after it")
	}
	if !oid.Equal(oidSignedData) {
		return nil, fmt.Errorf("CMS content type is %s, want SignedData", oid)
	}
	var version int
	var algorithms cryptobyte.String
	if !info.ReadASN1(&explicit, tag0) || !info.Empty() ||
		!explicit.ReadASN1(&sd, cryptobyte_asn1.SEQUENCE) || !explicit.Empty() ||
		!sd.ReadASN1Integer(&version) || version < 1 || version > 5 ||
		// Those of the signers count; this is a hint for one-pass readers.
		!sd.ReadASN1(&algorithms, cryptobyte_asn1.SET) {
		return nil, malformed("SignedData")
	}
	result := &signedData{}
	if err := result.readContent(&sd); err != nil {
		return nil, err
	}
	if err := result.readCertificates(&sd); err != nil {
		return nil, err
	}
	if err := result.readRevocations(&sd); err != nil {
		return nil, err
	}
	var signers cryptobyte.String
	if !sd.ReadASN1(&signers, cryptobyte_asn1.SET) || !sd.Empty() {
		return nil, malformed("SignerInfos")
	}
	for !signers.Empty() {
		if len(result.signers) == maxSigners {
			return nil, fmt.Errorf("CMS with more than %d signatures", maxSigners)
		}
		var one cryptobyte.String
		if !signers.ReadASN1(&one, cryptobyte_asn1.SEQUENCE) {
			return nil, malformed("SignerInfo")
		}
		info, err := parseSignerInfo(one)
		if err != nil {
			return nil, err
		}
		result.signers = append(result.signers, *info)
	}
	return result, nil
}

func (d *signedData) readContent(sd *cryptobyte.String) error {
	var encapsulated, explicit, content cryptobyte.String
	var present bool
	if !sd.ReadASN1(&encapsulated, cryptobyte_asn1.SEQUENCE) ||
		!encapsulated.ReadASN1ObjectIdentifier(&d.contentType) ||
		!encapsulated.ReadOptionalASN1(&explicit, &present, tag0) || !encapsulated.Empty() {
		return malformed("EncapsulatedContentInfo")
	}
	if !present {
		return nil
	}
	if !explicit.ReadASN1(&content, cryptobyte_asn1.OCTET_STRING) || !explicit.Empty() {
		return malformed("content")
	}
	d.content = append([]byte{}, content...) // not nil even if empty
	return nil
}

func (d *signedData) readCertificates(sd *cryptobyte.String) error {
	var set cryptobyte.String
	if !sd.ReadOptionalASN1(&set, nil, tag0) {
		return malformed("certificates")
	}
	for !set.Empty() {
		var element cryptobyte.String
		var tag cryptobyte_asn1.Tag
		if !set.ReadAnyASN1Element(&element, &tag) {
			return malformed("certificates")
		}
		if tag != cryptobyte_asn1.SEQUENCE { // attribute certificates and other formats
			continue
		}
		if len(d.certificates) == maxCMSCerts {
			return fmt.Errorf("CMS with more than %d certificates", maxCMSCerts)
		}
		c, err := x509.ParseCertificate(element)
		if err != nil {
			return fmt.Errorf("certificate in CMS: %w", err)
		}
		d.certificates = append(d.certificates, c)
	}
	return nil
}

// readRevocations takes CRLs and OCSP responses, leaving out those that are
// of no use: then nothing is proven by them.
func (d *signedData) readRevocations(sd *cryptobyte.String) error {
	var set cryptobyte.String
	if !sd.ReadOptionalASN1(&set, nil, tag1) {
		return malformed("revocation information")
	}
	for n := 0; !set.Empty(); n++ {
		if n == maxRevocations {
			return fmt.Errorf("CMS with more than %d CRLs or OCSP responses", maxRevocations)
		}
		var element, other, response cryptobyte.String
		var tag cryptobyte_asn1.Tag
		if !set.ReadAnyASN1Element(&element, &tag) {
			return malformed("revocation information")
		}
		switch tag {
		case cryptobyte_asn1.SEQUENCE:
			if crl, err := ParseCRL(element); err == nil {
				d.material.crls = append(d.material.crls, crl)
			}
		case tag1: // OtherRevocationInfoFormat
			var format asn1.ObjectIdentifier
			if !element.ReadASN1(&other, tag1) || !other.ReadASN1ObjectIdentifier(&format) || !other.ReadAnyASN1Element(&response, &tag) {
				return malformed("revocation information")
			}
			if format.Equal(oidOCSPBasic) {
				if o, err := ParseOCSP(response); err == nil {
					d.material.ocsp = append(d.material.ocsp, o)
				}
			}
		}
	}
	return nil
}

func parseSignerInfo(s cryptobyte.String) (*signerInfo, error) {
	var version int
	info := &signerInfo{id: sha256.Sum256(s)}
	if !s.ReadASN1Integer(&version) {
		return nil, malformed("SignerInfo")
	}
	var id, name cryptobyte.String
	keyIDTag := cryptobyte_asn1.Tag(0).ContextSpecific()
	switch {
	case s.PeekASN1Tag(keyIDTag):
		if !s.ReadASN1((*cryptobyte.String)(&info.keyID), keyIDTag) || len(info.keyID) == 0 {
			return nil, malformed("signer identifier")
		}
	default:
		info.serial = new(big.Int)
		if !s.ReadASN1(&id, cryptobyte_asn1.SEQUENCE) || !id.ReadASN1Element(&name, cryptobyte_asn1.SEQUENCE) ||
			!id.ReadASN1Integer(info.serial) || !id.Empty() {
			return nil, malformed("signer identifier")
		}
		info.issuer = name
	}
	var none cryptobyte.String
	var set cryptobyte.String
	var present bool
	if !readAlgorithm(&s, &info.digest, &none) || !s.ReadOptionalASN1(&set, &present, tag0) {
		return nil, malformed("SignerInfo")
	}
	if present {
		elements, values, err := parseAttributes(set)
		if err != nil {
			return nil, err
		}
		info.signed, info.signedDER = values, setOf(elements)
	}
	if !readAlgorithm(&s, &info.algorithm, (*cryptobyte.String)(&info.parameters)) ||
		!s.ReadASN1((*cryptobyte.String)(&info.value), cryptobyte_asn1.OCTET_STRING) ||
		!s.ReadOptionalASN1(&set, &present, tag1) || !s.Empty() {
		return nil, malformed("SignerInfo")
	}
	if present {
		var err error
		if _, info.unsigned, err = parseAttributes(set); err != nil {
			return nil, err
		}
	}
	return info, nil
}

func readAlgorithm(s *cryptobyte.String, oid *asn1.ObjectIdentifier, parameters *cryptobyte.String) bool {
	var algorithm cryptobyte.String
	if !s.ReadASN1(&algorithm, cryptobyte_asn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(oid) {
		return false
	}
	*parameters = algorithm
	return true
}

// parseAttributes refuses a type that occurs twice: RFC 5652, section 11
// forbids it, and readers would choose differently.
func parseAttributes(set cryptobyte.String) (elements [][]byte, values attributes, err error) {
	values = attributes{}
	for !set.Empty() {
		if len(elements) == maxAttributes {
			return nil, nil, fmt.Errorf("CMS with more than %d attributes", maxAttributes)
		}
		var element, attribute, inner cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !set.ReadASN1Element(&element, cryptobyte_asn1.SEQUENCE) {
			return nil, nil, malformed("attributes")
		}
		elements = append(elements, element)
		if !element.ReadASN1(&attribute, cryptobyte_asn1.SEQUENCE) || !attribute.ReadASN1ObjectIdentifier(&oid) ||
			!attribute.ReadASN1(&inner, cryptobyte_asn1.SET) || !attribute.Empty() {
			return nil, nil, malformed("attributes")
		}
		if values[oid.String()] != nil {
			return nil, nil, fmt.Errorf("CMS with two attributes %s", oid)
		}
		all := []cryptobyte.String{}
		for !inner.Empty() {
			var value cryptobyte.String
			if len(all) == maxAttributes || !inner.ReadAnyASN1Element(&value, new(cryptobyte_asn1.Tag)) {
				return nil, nil, malformed("attributes")
			}
			all = append(all, value)
		}
		values[oid.String()] = all
	}
	return elements, values, nil
}

// setOf is the DER encoding of a SET OF, which sorts its elements. The
// signature is over that, whatever order and tag the attributes came in
// (RFC 5652, section 5.4).
func setOf(elements [][]byte) []byte {
	slices.SortFunc(elements, bytes.Compare)
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SET, func(b *cryptobyte.Builder) {
		for _, e := range elements {
			b.AddBytes(e)
		}
	})
	return b.BytesOrPanic() // of bytes that were read, so never too long
}

// strongHash is the hash for a digest algorithm, 0 if it is weak or unknown.
func strongHash(oid asn1.ObjectIdentifier) crypto.Hash {
	switch oid.String() {
	case "2.16.840.1.101.3.4.2.1":
		return crypto.SHA256
	case "2.16.840.1.101.3.4.2.2":
		return crypto.SHA384
	case "2.16.840.1.101.3.4.2.3":
		return crypto.SHA512
	}
	return 0
}

// signingTime is the signer's word for when it signed; zero if it has none.
func (s *signerInfo) signingTime() time.Time {
	var t time.Time
	if value, ok := s.signed.one(oidSigningTime); ok {
		if rest, err := asn1.Unmarshal(value, &t); err != nil || len(rest) != 0 {
			return time.Time{}
		}
	}
	return t
}
