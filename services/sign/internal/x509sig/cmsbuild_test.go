package x509sig

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// cmsMessage writes CMS SignedData, also such as no library would.
type cmsMessage struct {
	signers      []cmsSigner
	certificates []*x509.Certificate // nil: the chains of the signers
	crls, ocsp   [][]byte
	contentType  asn1.ObjectIdentifier // nil: data
	embedded     []byte                // nil: detached
	outerType    asn1.ObjectIdentifier // nil: SignedData
	indefinite   bool                  // BER, with end marks
}

type cmsSigner struct {
	by        *identity
	hash      crypto.Hash // 0: SHA-256
	bare      bool        // without signed attributes
	unsorted  bool        // the attributes in another order than they are signed in
	byKeyID   bool
	pss       bool
	algorithm asn1.ObjectIdentifier // nil: the one that fits
	// attributes changes the list of signed ones: types and values.
	attributes func([]cmsAttribute) []cmsAttribute
	unsigned   []cmsAttribute
	// stamp adds a timestamp over the signature's value.
	stamp func(value []byte) []byte
	raw   []byte // instead of the signature's value
}

type cmsAttribute struct {
	oid    asn1.ObjectIdentifier
	values []any
}

func hashOID(h crypto.Hash) asn1.ObjectIdentifier {
	return map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.SHA1: oidSHA1, crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
		crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
	}[h]
}

func (a cmsAttribute) der() []byte {
	var b cryptobyte.Builder
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(a.oid)
		b.AddASN1(cryptobyte_asn1.SET, func(b *cryptobyte.Builder) {
			for _, v := range a.values {
				b.AddBytes(must(asn1.Marshal(v)))
			}
		})
	})
	return b.BytesOrPanic()
}

func attributesDER(list []cmsAttribute) [][]byte {
	var all [][]byte
	for _, a := range list {
		all = append(all, a.der())
	}
	return all
}

// defaultAttributes are those that openssl writes.
func defaultAttributes(contentType asn1.ObjectIdentifier, sum []byte) []cmsAttribute {
	return []cmsAttribute{
		{oidContentType, []any{contentType}},
		{oidMessageDigest, []any{sum}},
		{oidSigningTime, []any{now.Add(-time.Hour)}},
	}
}

type emit = func(b *cryptobyte.Builder)

func (m cmsMessage) build(content []byte) []byte {
	if m.contentType == nil {
		m.contentType = oidData
	}
	if m.outerType == nil {
		m.outerType = oidSignedData
	}
	if m.certificates == nil {
		for _, s := range m.signers {
			m.certificates = append(m.certificates, s.by.chain()...)
		}
	}
	// A value with an end mark, if wanted, or one with a length.
	open := func(b *cryptobyte.Builder, tag cryptobyte_asn1.Tag, f emit) {
		if !m.indefinite {
			b.AddASN1(tag, f)
			return
		}
		b.AddBytes([]byte{byte(tag), 0x80})
		f(b)
		b.AddBytes([]byte{0, 0})
	}
	var b cryptobyte.Builder
	open(&b, cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(m.outerType)
		open(b, tag0, func(b *cryptobyte.Builder) {
			open(b, cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(cryptobyte_asn1.SET, func(b *cryptobyte.Builder) {
					for _, s := range m.signers { // openssl needs these
						b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(hashOID(cmp.Or(s.hash, crypto.SHA256))) })
					}
				})
				open(b, cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(m.contentType)
					if m.embedded == nil {
						return
					}
					open(b, tag0, func(b *cryptobyte.Builder) {
						if m.indefinite { // in two pieces
							half := len(m.embedded) / 2
							open(b, cryptobyte_asn1.OCTET_STRING.Constructed(), func(b *cryptobyte.Builder) {
								b.AddASN1OctetString(m.embedded[:half])
								b.AddASN1OctetString(m.embedded[half:])
							})
							return
						}
						b.AddASN1OctetString(m.embedded)
					})
				})
				if len(m.certificates) > 0 {
					open(b, tag0, func(b *cryptobyte.Builder) {
						for _, c := range m.certificates {
							b.AddBytes(c.Raw)
						}
					})
				}
				if len(m.crls)+len(m.ocsp) > 0 {
					open(b, tag1, func(b *cryptobyte.Builder) {
						for _, crl := range m.crls {
							b.AddBytes(crl)
						}
						for _, o := range m.ocsp {
							b.AddASN1(tag1, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oidOCSPBasic); b.AddBytes(o) })
						}
					})
				}
				open(b, cryptobyte_asn1.SET, func(b *cryptobyte.Builder) {
					for _, s := range m.signers {
						s.build(b, m.contentType, content)
					}
				})
			})
		})
	})
	return b.BytesOrPanic()
}

func (s cmsSigner) build(b *cryptobyte.Builder, contentType asn1.ObjectIdentifier, content []byte) {
	s.hash = cmp.Or(s.hash, crypto.SHA256)
	list := defaultAttributes(contentType, digest(s.hash, content))
	if s.attributes != nil {
		list = s.attributes(list)
	}
	elements := attributesDER(list)
	signed := content
	if !s.bare {
		signed = setOf(elements)
	}
	if s.unsorted {
		elements[0], elements[1] = elements[1], elements[0]
	}
	value := s.raw
	if value == nil {
		value = s.sign(signed)
	}
	if s.stamp != nil {
		s.unsigned = append(s.unsigned, cmsAttribute{oidTimestampToken, []any{asn1.RawValue{FullBytes: s.stamp(value)}}})
	}
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		if s.byKeyID {
			b.AddASN1(cryptobyte_asn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(s.by.cert.SubjectKeyId) })
		} else {
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(s.by.cert.RawIssuer)
				b.AddASN1BigInt(new(big.Int).Set(s.by.cert.SerialNumber))
			})
		}
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(hashOID(s.hash)) })
		addSet(b, tag0, elements, !s.bare)
		b.AddASN1(cryptobyte_asn1.SEQUENCE, s.addAlgorithm)
		b.AddASN1OctetString(value)
		addSet(b, tag1, attributesDER(s.unsigned), s.unsigned != nil)
	})
}

func addSet(b *cryptobyte.Builder, tag cryptobyte_asn1.Tag, elements [][]byte, present bool) {
	if !present {
		return
	}
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, e := range elements {
			b.AddBytes(e)
		}
	})
}

func (s cmsSigner) sign(data []byte) []byte {
	if s.pss {
		return must(s.by.key.Sign(rand.Reader, digest(s.hash, data), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.hash}))
	}
	return signWith(s.by.key, data, s.hash)
}

func (s cmsSigner) addAlgorithm(b *cryptobyte.Builder) {
	oid := s.algorithm
	switch s.by.key.(type) {
	case *rsa.PrivateKey:
		if oid == nil {
			oid = oidRSA
		}
	case *ecdsa.PrivateKey:
		if oid == nil {
			oid = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, map[crypto.Hash]int{crypto.SHA1: 1, crypto.SHA256: 2, crypto.SHA384: 3, crypto.SHA512: 4}[s.hash]}
		}
	case ed25519.PrivateKey:
		if oid == nil {
			oid = oidEd25519
		}
	}
	if !s.pss {
		b.AddASN1ObjectIdentifier(oid)
		return
	}
	b.AddASN1ObjectIdentifier(oidPSS)
	b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if s.hash == crypto.SHA1 { // all defaults
			return
		}
		algorithm := func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(hashOID(s.hash)) }
		b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddASN1(cryptobyte_asn1.SEQUENCE, algorithm) })
		b.AddASN1(tag1, func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidMGF1)
				b.AddASN1(cryptobyte_asn1.SEQUENCE, algorithm)
			})
		})
		b.AddASN1(0xa2, func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(s.hash.Size())) })
	})
}
