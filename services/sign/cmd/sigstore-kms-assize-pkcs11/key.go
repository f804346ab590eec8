package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/miekg/pkcs11"
	"github.com/sigstore/sigstore/pkg/signature"
)

// PKCS#11 v3.0 constants that the binding does not name.
const (
	ckkECEdwards           = 0x40
	ckmECEdwardsKeyPairGen = 0x1055
	ckmEdDSA               = 0x1057
)

// Names of algorithms, as in Sigstore's registry.
const (
	algorithmEd25519 = "ed25519"
	algorithmP256    = "ecdsa-p256-sha256"
)

// maxMessage is what is signed with Ed25519 at most: tokens take the message
// whole. Envelopes of verdicts have 1 MiB at most.
const maxMessage = 16 << 20

// key is the plug-in's side of one call: kms.SignerVerifier of sigstore.
type key struct {
	ref    string
	parsed reference
	token  *token // nil until it is needed
}

func (k *key) close() {
	if k.token != nil {
		k.token.Close()
	}
}

func (k *key) open() (err error) {
	if k.token != nil {
		return nil
	}
	if k.parsed, err = parseReference(k.ref); err != nil {
		return err
	}
	k.token, err = openToken(k.parsed)
	return err
}

// DefaultAlgorithm is what every token and every command of cosign knows.
func (k *key) DefaultAlgorithm() string { return algorithmP256 }

// SupportedAlgorithms are those of CreateKey.
func (k *key) SupportedAlgorithms() []string { return []string{algorithmP256, algorithmEd25519} }

// PublicKey reads the public half from the token.
func (k *key) PublicKey(...signature.PublicKeyOption) (crypto.PublicKey, error) {
	if err := k.open(); err != nil {
		return nil, err
	}
	object, err := k.token.object(pkcs11.CKO_PUBLIC_KEY, k.parsed)
	if err != nil {
		return nil, err
	}
	kind, err := k.token.kind(object)
	if err != nil {
		return nil, err
	}
	point, err := k.token.attribute(object, pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, fmt.Errorf("reading the public point of %v: %w", k.parsed, err)
	}
	public, err := parsePoint(kind, point)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", k.parsed, err)
	}
	return public, nil
}

// SignMessage signs the message itself with Ed25519, and its SHA-256, or the
// digest that is given instead, with ECDSA.
func (k *key) SignMessage(message io.Reader, opts ...signature.SignOption) ([]byte, error) {
	if err := k.open(); err != nil {
		return nil, err
	}
	object, err := k.token.object(pkcs11.CKO_PRIVATE_KEY, k.parsed)
	if err != nil {
		return nil, err
	}
	kind, err := k.token.kind(object)
	if err != nil {
		return nil, err
	}
	chosen := given[signature.SignOption](opts)
	if kind == ed25519Kind {
		data, err := chosen.message(message)
		if err != nil {
			return nil, err
		}
		return k.token.sign(ckmEdDSA, object, data)
	}
	digest, err := chosen.sha256(message)
	if err != nil {
		return nil, err
	}
	raw, err := k.token.sign(pkcs11.CKM_ECDSA, object, digest)
	if err != nil {
		return nil, err
	}
	return encodeECDSA(raw)
}

// VerifySignature verifies with the public half, in this process.
func (k *key) VerifySignature(sig, message io.Reader, opts ...signature.VerifyOption) error {
	public, err := k.PublicKey()
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(sig)
	if err != nil {
		return err
	}
	chosen := given[signature.VerifyOption](opts)
	holds := false
	switch public := public.(type) {
	case ed25519.PublicKey:
		data, err := chosen.message(message)
		if err != nil {
			return err
		}
		holds = ed25519.Verify(public, data, raw)
	case *ecdsa.PublicKey:
		digest, err := chosen.sha256(message)
		if err != nil {
			return err
		}
		holds = ecdsa.VerifyASN1(public, digest, raw)
	}
	if !holds {
		return errors.New("the signature does not hold")
	}
	return nil
}

// CreateKey makes a key pair on the token, whose private half cannot leave
// it. A reference that names a key already is an error.
func (k *key) CreateKey(_ context.Context, algorithm string) (crypto.PublicKey, error) {
	kind, ok := kinds[algorithm]
	if !ok {
		return nil, fmt.Errorf("algorithm %.40q, want one of %q", algorithm, k.SupportedAlgorithms())
	}
	if err := k.open(); err != nil {
		return nil, err
	}
	if !k.token.loggedIn {
		return nil, errors.New("making a key needs the PIN: set ASSIZE_PKCS11_PIN or ASSIZE_PKCS11_PIN_FILE")
	}
	switch _, err := k.token.object(pkcs11.CKO_PRIVATE_KEY, k.parsed); {
	case err == nil:
		return nil, fmt.Errorf("the token has a %v already", k.parsed)
	case !errors.Is(err, errNoKey):
		return nil, err
	}
	if k.parsed.id == nil {
		k.parsed.id = make([]byte, 16)
		_, _ = rand.Read(k.parsed.id) // never fails
	}
	if err := k.token.generate(kind, k.parsed); err != nil {
		return nil, fmt.Errorf("making a %s key: %w", algorithm, err)
	}
	return k.PublicKey()
}

// CryptoSigner is no part of the protocol: the caller has its own.
func (k *key) CryptoSigner(context.Context, func(error)) (crypto.Signer, crypto.SignerOpts, error) {
	return nil, nil, errors.ErrUnsupported
}

// given are the options of signing or verifying that choose what is signed.
type given[O signature.MessageOption] []O

func (o given[O]) digest() (digest []byte, hash crypto.Hash) {
	var opts crypto.SignerOpts
	for _, option := range o {
		option.ApplyDigest(&digest)
		option.ApplyCryptoSignerOpts(&opts)
	}
	if opts != nil {
		hash = opts.HashFunc()
	}
	return digest, hash
}

// message is for pure Ed25519. A caller that names SHA-512 wants Ed25519ph,
// which is another algorithm.
func (o given[O]) message(r io.Reader) ([]byte, error) {
	digest, hash := o.digest()
	if len(digest) > 0 || hash == crypto.SHA512 {
		return nil, errors.New("an Ed25519 key signs the message itself, not a digest of it")
	}
	data, err := io.ReadAll(io.LimitReader(r, maxMessage+1))
	if err != nil {
		return nil, fmt.Errorf("reading the message: %w", err)
	}
	if len(data) > maxMessage {
		return nil, fmt.Errorf("a message of more than %d bytes, which Ed25519 needs whole: use an ECDSA key", maxMessage)
	}
	return data, nil
}

// sha256 is for ECDSA.
func (o given[O]) sha256(r io.Reader) ([]byte, error) {
	digest, hash := o.digest()
	switch {
	case hash != 0 && hash != crypto.SHA256:
		return nil, fmt.Errorf("an ECDSA P-256 key signs with SHA-256, not %v", hash)
	case len(digest) == sha256.Size:
		return digest, nil
	case len(digest) > 0:
		return nil, fmt.Errorf("a digest of %d bytes, want the %d of SHA-256", len(digest), sha256.Size)
	}
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return nil, fmt.Errorf("reading the message: %w", err)
	}
	return h.Sum(nil), nil
}
