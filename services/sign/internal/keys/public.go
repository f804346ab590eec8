// Package keys reads and writes key files: the public keys of publishers and
// of verdicts, and the private ones that sign, in every container people keep
// Ed25519 and ECDSA P-256 keys in.
package keys

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/eddsa"
)

// PublicKey is a publisher's key, Ed25519, or a verdict's, Ed25519 or ECDSA
// P-256.
type PublicKey struct {
	// Name is for people: the file's "# Name:" line, an OpenSSH key's
	// comment, or else the file's name.
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

// KeyID is how keys are named in verdicts: the OpenSSH fingerprint,
// "SHA256:…".
func (k PublicKey) KeyID() string {
	id, _ := dsse.KeyID(k.Key) // of a type that was checked when it was parsed
	return id
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

// ParsePublicKey reads one public key: SPKI in PEM, maybe after a line
// "# Name: …", Ed25519 or ECDSA P-256; or an Ed25519 key as an OpenSSH line "ssh-ed25519 …"; 64 hexadecimal digits;
// or the 32 raw bytes. Private keys are refused in every form that can be
// told apart: they do not belong among keys to trust.
func ParsePublicKey(data []byte) (PublicKey, error) {
	if len(data) == ed25519.PublicKeySize {
		return strong("", bytes.Clone(data))
	}
	text := bytes.TrimSpace(data)
	name, text := nameLine(text)
	switch {
	case bytes.HasPrefix(text, []byte("-----BEGIN ")):
		key, err := parseSPKI(text)
		if err != nil {
			return PublicKey{}, err
		}
		if public, ok := key.(ed25519.PublicKey); ok {
			return strong(name, public)
		}
		_, err = dsse.KeyID(key)
		return PublicKey{name, key}, err
	case bytes.HasPrefix(text, []byte("ssh-")):
		return parseOpenSSH(name, text)
	case len(text) == 2*ed25519.PublicKeySize:
		if raw, err := hex.DecodeString(string(text)); err == nil {
			return strong(name, raw)
		}
	}
	if len(data) == ed25519.PrivateKeySize || bytes.HasPrefix(data, []byte("\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70")) {
		return PublicKey{}, errPrivate
	}
	return PublicKey{}, fmt.Errorf("%d bytes are no Ed25519 public key: want SPKI PEM, an ssh-ed25519 line, 64 hexadecimal digits or 32 raw bytes", len(data))
}

var errPrivate = errors.New("this is a private key: publish and trust its public half, and keep it elsewhere")

// namePrefix begins the line that gives a key a name for people.
const namePrefix = "# Name:"

func nameLine(text []byte) (name string, rest []byte) {
	if after, ok := bytes.CutPrefix(text, []byte(namePrefix)); ok {
		line, rest, _ := bytes.Cut(after, []byte("\n"))
		return string(bytes.TrimSpace(line)), bytes.TrimSpace(rest)
	}
	return "", text
}

func parseSPKI(text []byte) (crypto.PublicKey, error) {
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, errors.New("PEM block is malformed")
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return nil, errPrivate
	case block.Type != "PUBLIC KEY":
		return nil, fmt.Errorf("PEM block is a %.40q, want PUBLIC KEY (SPKI)", block.Type)
	case len(bytes.TrimSpace(rest)) != 0:
		return nil, errors.New("more than one PEM block: want one key per file")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("PEM block: %w", err)
	}
	return key, nil
}

func parseOpenSSH(name string, text []byte) (PublicKey, error) {
	parsed, comment, options, rest, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return PublicKey{}, fmt.Errorf("OpenSSH key: %w", err)
	}
	if len(rest) != 0 || len(options) != 0 {
		return PublicKey{}, errors.New("OpenSSH key: want one line without options")
	}
	wrapped, ok := parsed.(ssh.CryptoPublicKey)
	if !ok {
		return PublicKey{}, fmt.Errorf("OpenSSH key is %s, want ssh-ed25519", parsed.Type())
	}
	public, ok := wrapped.CryptoPublicKey().(ed25519.PublicKey)
	if !ok || parsed.Type() != ssh.KeyAlgoED25519 {
		return PublicKey{}, fmt.Errorf("OpenSSH key is %s, want ssh-ed25519", parsed.Type())
	}
	if name == "" {
		name = comment
	}
	return strong(name, public)
}

// strong refuses keys that nobody or anybody can sign for.
func strong(name string, key ed25519.PublicKey) (PublicKey, error) {
	if err := eddsa.CheckKey(key); err != nil {
		return PublicKey{}, err
	}
	return PublicKey{name, key}, nil
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
