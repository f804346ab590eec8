package keys

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	stdx509 "crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"filippo.io/mldsa/x509"
	"golang.org/x/crypto/ssh"

	"assize.dev/services/sign/internal/dsse"
)

// ReadPrivateKey reads a file with a private key in PEM, see
// ParsePrivatePEM. Errors never quote the file's content.
func ReadPrivateKey(path string) (*PrivateKey, error) {
	data, err := ReadSmall(path)
	if err != nil {
		return nil, fmt.Errorf("reading private key: %w", err)
	}
	key, err := ParsePrivatePEM(data)
	if err != nil {
		return nil, fmt.Errorf("reading private key: %s: %w", path, err)
	}
	return key, nil
}

// ParsePrivateKey reads a private key to import:
//
//   - what ParsePrivatePEM reads;
//   - PKCS#8 in DER;
//   - the 32 bytes of an Ed25519 seed, or these and the 32 of the public key,
//     raw, in base64 or in hexadecimal.
//
// A seed looks like a public key. Who imports a public key by mistake signs
// with a key that everybody knows, so only a person at a terminal should be
// given this choice. Errors never quote the content.
func ParsePrivateKey(data []byte) (*PrivateKey, error) {
	switch {
	case len(data) == ed25519.SeedSize && isText(data):
		return nil, errors.New("32 characters of text are no private key: derive one from a passphrase instead of importing it")
	case isDER(data):
		return fromPKCS8(data)
	case !isText(data):
		return fromBare(data)
	}
	text := bytes.TrimSpace(data)
	if bytes.Contains(text, []byte("-----BEGIN ")) {
		return ParsePrivatePEM(text)
	}
	if raw, err := hex.AppendDecode(nil, text); err == nil {
		return fromBare(raw)
	}
	raw, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil {
		raw = nil
	}
	return fromBare(raw)
}

// fromBare takes a seed, or a seed and the public key.
func fromBare(raw []byte) (*PrivateKey, error) {
	switch len(raw) {
	case ed25519.SeedSize:
		return FromSigner(ed25519.NewKeyFromSeed(raw))
	case ed25519.PrivateKeySize:
		return FromSigner(ed25519.PrivateKey(bytes.Clone(raw)))
	}
	return nil, errors.New("no private key: want PKCS#8, an OpenSSH private key, or 32 or 64 bytes of Ed25519, raw, in base64 or hexadecimal")
}

// ParsePrivatePEM reads a private key in a PEM block that says what it is:
// PKCS#8 (Ed25519, ECDSA P-256 or, as a seed, ML-DSA-65), SEC1 or OpenSSH,
// without encryption.
func ParsePrivatePEM(data []byte) (*PrivateKey, error) {
	block, rest := pem.Decode(data)
	if block != nil && block.Type == "EC PARAMETERS" { // openssl writes them first
		block, rest = pem.Decode(rest)
	}
	switch {
	case block == nil:
		return nil, errors.New("no PEM block: want PKCS#8, BEGIN PRIVATE KEY")
	case len(bytes.TrimSpace(rest)) != 0:
		return nil, errors.New("something follows the PEM block: want one key")
	case block.Headers["DEK-Info"] != "", block.Type == "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("the private key is encrypted: decrypt it first with \"openssl pkey\"")
	}
	switch block.Type {
	case "PRIVATE KEY":
		return fromPKCS8(block.Bytes)
	case "EC PRIVATE KEY":
		key, err := stdx509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			return nil, errors.New("PEM block holds no valid SEC1 key")
		}
		return FromSigner(key)
	case "OPENSSH PRIVATE KEY":
		return fromOpenSSH(data)
	case "PUBLIC KEY":
		return nil, errors.New("this is the public half of a key, want the private one")
	}
	return nil, fmt.Errorf("PEM block is a %.40q, want PRIVATE KEY (PKCS#8, not encrypted)", block.Type)
}

func fromPKCS8(der []byte) (*PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if bytes.Contains(der, mldsa65) {
			return nil, errors.New("no valid ML-DSA key: want the seed alone, as \"openssl pkey -provparam ml-dsa.output_formats=seed-only\" writes it")
		}
		return nil, errors.New("no valid PKCS#8 key")
	}
	return fromAny(key)
}

// mldsa65 is the object identifier of ML-DSA-65: RFC 9881, section 2.
var mldsa65 = []byte{0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12}

func fromOpenSSH(text []byte) (*PrivateKey, error) {
	key, err := ssh.ParseRawPrivateKey(text)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		return nil, errors.New("the OpenSSH private key is encrypted: remove the passphrase of a copy with \"ssh-keygen -p\"")
	}
	if err != nil {
		return nil, errors.New("PEM block holds no valid OpenSSH key")
	}
	if key, ok := key.(*ed25519.PrivateKey); ok {
		return fromAny(*key)
	}
	return fromAny(key)
}

func fromAny(key any) (*PrivateKey, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w, not %T", dsse.ErrKeyType, key)
	}
	return FromSigner(signer)
}
