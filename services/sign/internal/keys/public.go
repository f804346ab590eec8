// Package keys reads and writes key files: the public keys of publishers and
// of verdicts, and the private ones that sign, in every container people keep
// Ed25519, ECDSA P-256 and ML-DSA-65 keys in.
package keys

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/mldsa/x509"

	"assize.dev/services/sign/internal/dsse"
)

// PublicKey is a publisher's key, Ed25519, or a verdict's: Ed25519, ECDSA
// P-256 or ML-DSA-65.
type PublicKey struct {
	// Name is for people: the file's "# Name:" line, what the container says
	// of the key, or else the file's name.
	Name string
	Key  crypto.PublicKey
}

// Fingerprint is how publishers' keys are trusted and denied: the hexadecimal
// SHA-256 of an Ed25519 key's raw 32 bytes, as FlavorPack counts keys, and of
// the SPKI form of any other.
func (k PublicKey) Fingerprint() string {
	raw, ok := k.Key.(ed25519.PublicKey)
	if !ok {
		raw, _ = x509.MarshalPKIXPublicKey(k.Key) // parsed from that form
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// KeyID is how keys are named in verdicts, see dsse.KeyID.
func (k PublicKey) KeyID() string {
	id, _ := dsse.KeyID(k.Key) // of a type that was checked when it was parsed
	return id
}

// Matches tells whether a name is one of the key's two, in any form that
// ParseFingerprint reads.
func (k PublicKey) Matches(name string) bool {
	name, err := ParseFingerprint(name)
	return err == nil && (name == k.Fingerprint() || name == k.KeyID())
}

// MaxFile is how many bytes a key file has at most.
const MaxFile = 64 << 10

const maxKeys = 4096

// Extensions are the names of files with one public key each.
var Extensions = []string{".pub", ".pem", ".hex"}

// LoadPublicKeys reads the key in a file, or those in the *.pub, *.pem and
// *.hex files of a directory, in the order of their names. See
// ParsePublicKey for the formats. The first file that cannot be read as a
// public key stops it: trusting fewer keys than were meant to be is as
// surprising as trusting more.
func LoadPublicKeys(path string) ([]PublicKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("loading public keys: %w", err)
	}
	if !info.IsDir() {
		k, err := readPublicKey(path)
		if err != nil {
			return nil, fmt.Errorf("loading public keys: %w", err)
		}
		return []PublicKey{k}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("loading public keys: %w", err)
	}
	var keys []PublicKey
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !slices.Contains(Extensions, filepath.Ext(e.Name())) {
			continue
		}
		k, err := readPublicKey(filepath.Join(path, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("loading public keys: %w", err)
		}
		if keys = append(keys, k); len(keys) > maxKeys {
			return nil, fmt.Errorf("loading public keys: more than %d in %s", maxKeys, path)
		}
	}
	return keys, nil
}

func readPublicKey(path string) (PublicKey, error) {
	data, err := ReadSmall(path)
	if err != nil {
		return PublicKey{}, err
	}
	k, err := ParsePublicKey(data)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%s: %w", path, err)
	}
	if k.Name == "" {
		k.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	return k, nil
}

// ReadSmall reads a file of at most MaxFile bytes.
func ReadSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%s: more than %d bytes", path, MaxFile)
	}
	return data, nil
}
