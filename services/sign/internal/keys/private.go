package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"assize.dev/services/sign/internal/dsse"
)

// PrivateKey signs verdicts: Ed25519, or ECDSA P-256 for those who must. It
// is a crypto.Signer and prints as its key id only.
type PrivateKey struct {
	signer crypto.Signer
	id     string
}

// GenerateKey makes a new Ed25519 key.
func GenerateKey() (*PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating key: %w", err)
	}
	return FromSigner(key)
}

// KeyFromSeed derives an Ed25519 key from a passphrase as FlavorPack does:
// its private seed is the SHA-256 of the text. The key is as hard to guess as
// the text.
func KeyFromSeed(seed string) (*PrivateKey, error) {
	if seed == "" {
		return nil, errors.New("deriving key: the seed is empty")
	}
	sum := sha256.Sum256([]byte(seed))
	return FromSigner(ed25519.NewKeyFromSeed(sum[:]))
}

// ReadPrivateKey reads a file with a PKCS#8 key in PEM, Ed25519 or ECDSA
// P-256. Errors never quote the file's content.
func ReadPrivateKey(path string) (*PrivateKey, error) {
	data, err := ReadSmall(path)
	if err != nil {
		return nil, fmt.Errorf("reading private key: %w", err)
	}
	key, err := ParsePrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("reading private key: %s: %w", path, err)
	}
	return key, nil
}

// ParsePrivateKey reads a PKCS#8 key in PEM, as in ReadPrivateKey.
func ParsePrivateKey(data []byte) (*PrivateKey, error) {
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return nil, errors.New("no PEM block: want PKCS#8, BEGIN PRIVATE KEY")
	case block.Type != "PRIVATE KEY":
		return nil, fmt.Errorf("PEM block is a %.40q, want PRIVATE KEY (PKCS#8, not encrypted)", block.Type)
	case len(bytes.TrimSpace(rest)) != 0:
		return nil, errors.New("something follows the PEM block: want one key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("PEM block holds no valid PKCS#8 key")
	}
	switch key := key.(type) {
	case ed25519.PrivateKey:
		return FromSigner(key)
	case *ecdsa.PrivateKey:
		return FromSigner(key)
	}
	return nil, fmt.Errorf("%w, not %T", dsse.ErrKeyType, key)
}

// FromSigner takes a key that is held in memory.
func FromSigner(signer crypto.Signer) (*PrivateKey, error) {
	id, err := dsse.KeyID(signer.Public())
	if err != nil {
		return nil, err
	}
	return &PrivateKey{signer, id}, nil
}

// Public implements crypto.Signer.
func (k *PrivateKey) Public() crypto.PublicKey { return k.signer.Public() }

// Sign implements crypto.Signer. For Ed25519 digest is the message itself and
// opts is crypto.Hash(0).
func (k *PrivateKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.signer.Sign(random, digest, opts)
}

// KeyID is the OpenSSH fingerprint, "SHA256:…", that names the key in
// verdicts.
func (k *PrivateKey) KeyID() string { return k.id }

// Format prints the key id, whatever the verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "private key "+k.id) }

// LogValue implements slog.LogValuer.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue("private key " + k.id) }

// WriteFiles writes the private key to one file (PKCS#8 PEM, mode 0600) and
// the public key to another (SPKI PEM, mode 0644, after a line "# Name: …"
// unless name is empty). Neither file may exist; if one cannot be written,
// neither is left behind.
func (k *PrivateKey) WriteFiles(privatePath, publicPath, name string) error {
	if strings.ContainsAny(name, "\r\n") {
		return fmt.Errorf("name of key %.80q: want one line", name)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return fmt.Errorf("encoding private key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(k.signer.Public())
	if err != nil {
		return fmt.Errorf("encoding public key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	if name != "" {
		text = append([]byte(namePrefix+" "+name+"\n"), text...)
	}
	if err := writeNew(publicPath, text, 0o644); err != nil {
		return fmt.Errorf("writing public key: %w", err)
	}
	if err := writeNew(privatePath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return errors.Join(fmt.Errorf("writing private key: %w", err), os.Remove(publicPath))
	}
	return nil
}

// writeNew writes a file that must not exist, durably, or leaves none.
func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
