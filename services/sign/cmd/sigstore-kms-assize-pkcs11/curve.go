package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"
)

// kind is what kind of key an object is.
type kind int

const (
	ed25519Kind kind = iota + 1
	p256Kind
)

var kinds = map[string]kind{algorithmEd25519: ed25519Kind, algorithmP256: p256Kind}

// Curves as CKA_EC_PARAMS names them, in DER: an object identifier, or for
// Edwards curves a PrintableString too (PKCS#11 v3.0, section 2.3.10).
var (
	paramsP256     = []byte("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")
	paramsEd25519  = []byte("\x13\x0cedwards25519")
	ed25519Aliases = [][]byte{
		paramsEd25519,
		[]byte("\x06\x03\x2b\x65\x70"), // id-Ed25519, v3.1
		[]byte("\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01"), // GNU's, v3.0
	}
)

// kind tells what an object is by its type and curve.
func (t *token) kind(o pkcs11.ObjectHandle) (kind, error) {
	encoded, err := t.attribute(o, pkcs11.CKA_KEY_TYPE)
	if err != nil {
		return 0, fmt.Errorf("reading the type of the key: %w", err)
	}
	params, err := t.attribute(o, pkcs11.CKA_EC_PARAMS)
	if err != nil {
		return 0, fmt.Errorf("the key is on no elliptic curve, want Ed25519 or P-256: %w", err)
	}
	return kindOf(encoded, params)
}

func kindOf(keyType, params []byte) (kind, error) {
	var number uint64
	switch len(keyType) { // CK_ULONG, as C has it here
	case 4:
		number = uint64(binary.NativeEndian.Uint32(keyType))
	case 8:
		number = binary.NativeEndian.Uint64(keyType)
	default:
		return 0, fmt.Errorf("type of the key has %d bytes, want those of a number", len(keyType))
	}
	switch {
	case number == pkcs11.CKK_EC && bytes.Equal(params, paramsP256):
		return p256Kind, nil
	case number == ckkECEdwards:
		for _, alias := range ed25519Aliases {
			if bytes.Equal(params, alias) {
				return ed25519Kind, nil
			}
		}
	}
	return 0, fmt.Errorf("the key is of type %#x on curve %x, want Ed25519 or P-256", number, params)
}

// parsePoint reads CKA_EC_POINT: an OCTET STRING in DER around the point, or
// the point alone, as some tokens give it.
func parsePoint(k kind, data []byte) (crypto.PublicKey, error) {
	size := ed25519.PublicKeySize
	if k == p256Kind {
		size = 65 // uncompressed
	}
	if len(data) == size+2 && data[0] == asn1.TagOctetString && int(data[1]) == size {
		data = data[2:]
	}
	if len(data) != size {
		return nil, fmt.Errorf("public point of %d bytes, want %d", len(data), size)
	}
	if k == ed25519Kind {
		return ed25519.PublicKey(bytes.Clone(data)), nil
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), data)
}

// encodeECDSA turns r and s side by side, as tokens give them, into the DER
// that everything else reads.
func encodeECDSA(raw []byte) ([]byte, error) {
	if len(raw) != 64 {
		return nil, fmt.Errorf("the token's ECDSA signature has %d bytes, want 64", len(raw))
	}
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	if r.Sign() == 0 || s.Sign() == 0 {
		return nil, errors.New("the token's ECDSA signature is empty")
	}
	return asn1.Marshal(struct{ R, S *big.Int }{r, s})
}

// sign signs data with the private key o.
func (t *token) sign(mechanism uint, o pkcs11.ObjectHandle, data []byte) ([]byte, error) {
	if err := t.SignInit(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, o); err != nil {
		return nil, fmt.Errorf("the token does not sign with mechanism %#x: %w", mechanism, err)
	}
	// Some keys want the PIN for each signature, after it has begun.
	if always, err := t.attribute(o, pkcs11.CKA_ALWAYS_AUTHENTICATE); err == nil && len(always) == 1 && always[0] != 0 {
		if err := t.Login(t.session, pkcs11.CKU_CONTEXT_SPECIFIC, t.pin); err != nil {
			return nil, fmt.Errorf("giving the PIN for this signature: %w", err)
		}
	}
	signature, err := t.Sign(t.session, data)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return signature, nil
}

// generate makes a pair with the label and the id of r.
func (t *token) generate(k kind, r reference) error {
	mechanism, keyType, params := uint(ckmECEdwardsKeyPairGen), uint(ckkECEdwards), paramsEd25519
	if k == p256Kind {
		mechanism, keyType, params = pkcs11.CKM_EC_KEY_PAIR_GEN, pkcs11.CKK_EC, paramsP256
	}
	both := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, keyType),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, r.key),
		pkcs11.NewAttribute(pkcs11.CKA_ID, r.id),
	}
	public := append([]*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_EC_PARAMS, params),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, false),
		pkcs11.NewAttribute(pkcs11.CKA_VERIFY, true),
	}, both...)
	private := append([]*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true),
		pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_SIGN, true),
	}, both...)
	_, _, err := t.GenerateKeyPair(t.session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, public, private)
	return err
}
