package x509sig

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxDepth of nested indefinite lengths. CMS as Bouncy Castle writes it has
// about ten.
const maxDepth = 32

var errBER = errors.New("malformed BER")

// definite rewrites the outer values of CMS that have no length of their own
// but an end mark (X.690, section 8.1.3.6), as Bouncy Castle and openssl -stream
// write them; and an OCTET STRING in pieces becomes one. What has a length
// is copied as it is: certificates and signed attributes are DER already.
func definite(ber []byte) ([]byte, error) {
	if len(ber) < 2 || ber[1] != 0x80 {
		return ber, nil
	}
	value, rest, err := definiteValue(ber, 0)
	if err != nil {
		return nil, err
	}
	if len(rest) != 0 {
		return nil, errBER
	}
	return value, nil
}

func definiteValue(ber []byte, depth int) (der, rest []byte, err error) {
	if depth > maxDepth || len(ber) < 2 || ber[0]&0x1f == 0x1f { // no tags beyond 30 in CMS
		return nil, nil, errBER
	}
	if ber[1] != 0x80 {
		s := cryptobyte.String(ber)
		var element cryptobyte.String
		if !s.ReadAnyASN1Element(&element, new(cryptobyte_asn1.Tag)) {
			return nil, nil, errBER
		}
		return element, s, nil
	}
	tag := cryptobyte_asn1.Tag(ber[0])
	if ber[0]&0x20 == 0 { // only constructed values have an end mark
		return nil, nil, errBER
	}
	pieces := tag == cryptobyte_asn1.OCTET_STRING.Constructed()
	if pieces {
		tag = cryptobyte_asn1.OCTET_STRING
	}
	var content []byte
	for rest = ber[2:]; ; {
		if len(rest) < 2 {
			return nil, nil, errBER
		}
		if rest[0] == 0 && rest[1] == 0 {
			rest = rest[2:]
			break
		}
		var part []byte
		if part, rest, err = definiteValue(rest, depth+1); err != nil {
			return nil, nil, err
		}
		if pieces {
			s := cryptobyte.String(part)
			if !s.ReadASN1((*cryptobyte.String)(&part), cryptobyte_asn1.OCTET_STRING) {
				return nil, nil, errBER
			}
		}
		content = append(content, part...)
	}
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(content) })
	der, err = b.Bytes()
	return der, rest, err
}
