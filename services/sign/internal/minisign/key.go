package minisign

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"assize.dev/services/sign/internal/eddsa"
)

// PublicKey is a key of minisign or signify.
type PublicKey struct {
	key      ed25519.PublicKey
	signer   string // id
	comment  string
	minisign bool // minisign made it
}

// Key verifies.
func (k PublicKey) Key() ed25519.PublicKey { return k.key }

// Signer is the id that names the key in results, see Verify.
func (k PublicKey) Signer() string { return k.signer }

// Comment is what the file says of the key, empty if it has only the key.
func (k PublicKey) Comment() string { return k.comment }

// ErrSecretKey says that a file holds the secret half of a key.
var ErrSecretKey = errors.New("this is a secret key of minisign or signify, want the public one")

// Sizes of what the base64 of a key has.
const (
	publicSize          = 2 + idSize + ed25519.PublicKeySize
	secretMinisignSize  = 158
	secretSignifySize   = 104
	minisignKeyComments = "minisign public key" // how comments by minisign begin
)

// ParsePublicKey reads a public key file of minisign or signify, or the bare
// base64 that minisign prints, "RW…".
func ParsePublicKey(data []byte) (PublicKey, error) {
	if len(data) > maxFile {
		return PublicKey{}, fmt.Errorf("public key of %d bytes, at most %d", len(data), maxFile)
	}
	text := string(bytes.TrimRight(data, " \t\r\n"))
	k := PublicKey{minisign: true}
	if comment, ok := strings.CutPrefix(text, untrusted); ok {
		k.comment, text = cutLine(comment)
		k.minisign = strings.HasPrefix(k.comment, minisignKeyComments)
	}
	body, err := base64.StdEncoding.Strict().DecodeString(text)
	switch {
	case err != nil:
		return PublicKey{}, errors.New("no public key of minisign or signify: want a line of base64, maybe after a comment")
	case len(body) == secretMinisignSize, len(body) == secretSignifySize:
		return PublicKey{}, ErrSecretKey
	case len(body) != publicSize:
		return PublicKey{}, fmt.Errorf("public key of %d bytes, want %d", len(body), publicSize)
	case string(body[:2]) != "Ed":
		return PublicKey{}, fmt.Errorf("public key has algorithm %q, want Ed", body[:2])
	}
	k.signer, k.key = keyID(body[2:2+idSize]), body[2+idSize:]
	if err := eddsa.CheckKey(k.key); err != nil {
		return PublicKey{}, err
	}
	return k, nil
}
