package keys

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"filippo.io/mldsa"
	"filippo.io/mldsa/x509"

	"assize.dev/services/sign/internal/dsse"
)

// PrivateKey signs verdicts: Ed25519, ECDSA P-256 for those who must, or
// ML-DSA-65 against quantum computers. It is a crypto.Signer and prints as its
// key id only.
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

// GenerateMLDSA makes a new ML-DSA-65 key (FIPS 204).
func GenerateMLDSA() (*PrivateKey, error) {
	key, err := mldsa.GenerateKey(mldsa.MLDSA65())
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

// FromSigner takes a key that is held in memory: Ed25519, ECDSA P-256 or
// ML-DSA-65.
func FromSigner(signer crypto.Signer) (*PrivateKey, error) {
	if key, ok := signer.(ed25519.PrivateKey); ok {
		if err := checkEd25519(key); err != nil {
			return nil, err
		}
	}
	id, err := dsse.KeyID(signer.Public())
	if err != nil {
		return nil, err
	}
	return &PrivateKey{signer, id}, nil
}

// checkEd25519 refuses a key whose halves do not belong together: two
// signatures of one message, made with the right and a wrong public half, give
// the private half away.
func checkEd25519(key ed25519.PrivateKey) error {
	if len(key) != ed25519.PrivateKeySize {
		return fmt.Errorf("Ed25519 private key of %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	if !key.Equal(ed25519.NewKeyFromSeed(key.Seed())) {
		return errors.New("the public half of the Ed25519 key is not that of its private half")
	}
	if [ed25519.SeedSize]byte(key.Seed()) == ([ed25519.SeedSize]byte{}) {
		return errors.New("the private key is all zeros, as a crash may leave a file")
	}
	return nil
}

// Public implements crypto.Signer.
func (k *PrivateKey) Public() crypto.PublicKey { return k.signer.Public() }

// Sign implements crypto.Signer. For Ed25519 and ML-DSA digest is the message
// itself and opts is crypto.Hash(0). If random is nil, the same key and digest
// give the same signature: ECDSA as RFC 6979 says, ML-DSA as the deterministic
// variant of FIPS 204.
func (k *PrivateKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if key, ok := k.signer.(*mldsa.PrivateKey); ok && random == nil {
		return key.SignDeterministic(digest, opts)
	}
	return k.signer.Sign(random, digest, opts)
}

// KeyID names the key in verdicts, see dsse.KeyID.
func (k *PrivateKey) KeyID() string { return k.id }

// Format prints the key id, whatever the verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "private key "+k.id) }

// LogValue implements slog.LogValuer.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue("private key " + k.id) }

// WriteFiles writes the private key to one file (PKCS#8 PEM, mode 0600; of
// ML-DSA the seed) and the public key to another (SPKI PEM, mode 0644, after a
// line "# Name: …" unless name is empty). Neither file may exist; if one cannot
// be written, neither is left behind.
func (k *PrivateKey) WriteFiles(privatePath, publicPath, name string) error {
	return k.WriteEncrypted(privatePath, publicPath, name, func(pem []byte) ([]byte, error) { return pem, nil })
}

// WriteEncrypted is WriteFiles, with the private key's PEM replaced by what
// encrypt makes of it. The PEM itself is written nowhere.
func (k *PrivateKey) WriteEncrypted(privatePath, publicPath, name string, encrypt func(pem []byte) ([]byte, error)) error {
	if strings.ContainsAny(name, "\r\n") {
		return fmt.Errorf("name of key %.80q: want one line", name)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return fmt.Errorf("encoding private key: %w", err)
	}
	private, err := encrypt(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		return err
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
	if err := writeNew(privatePath, private, 0o600); err != nil {
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
