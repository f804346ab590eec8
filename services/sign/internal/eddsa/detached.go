package eddsa

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"assize.dev/services/sign/internal/signature"
)

// ParseSignature reads a detached signature: the 64 raw bytes, or their
// base64 or hexadecimal, maybe between white space. It tells whether data is
// one.
func ParseSignature(data []byte) ([]byte, bool) {
	if len(data) == ed25519.SignatureSize {
		return data, true
	}
	if len(data) > maxText {
		return nil, false
	}
	text := string(bytes.Trim(data, " \t\r\n"))
	var raw []byte
	var err error
	switch len(text) {
	case base64.StdEncoding.EncodedLen(ed25519.SignatureSize):
		raw, err = base64.StdEncoding.Strict().DecodeString(text)
	case hex.EncodedLen(ed25519.SignatureSize):
		raw, err = hex.DecodeString(text)
	}
	if err != nil || len(raw) != ed25519.SignatureSize {
		return nil, false
	}
	return raw, true
}

// maxText is how long a signature in text may be: 128 hexadecimal digits, and
// as much white space.
const maxText = 256

// VerifyDetached tells which of the keys made a signature of 64 bytes over
// the content, and whether one did: a bare signature does not say whose it
// is. All keys are tried in one pass, and once for each content. An error is
// that of reading the content, signature.ErrBudget, or that a key or the
// signature is none; weak keys are refused, see CheckKey.
func VerifyDetached(c *signature.Content, sig []byte, public []ed25519.PublicKey) (index int, ok bool, err error) {
	if len(public) == 0 {
		return 0, false, nil
	}
	verifiers := make([]*Verifier, len(public))
	all := make([]io.Writer, len(public))
	for i, key := range public {
		if err := CheckKey(key); err != nil {
			return 0, false, fmt.Errorf("key %d of %d: %w", i+1, len(public), err)
		}
		if verifiers[i], err = NewVerifier(key, sig); err != nil {
			return 0, false, err
		}
		all[i] = verifiers[i]
	}
	index, err = signature.Once(c, asked{string(sig), sha256.Sum256(slices.Concat(public...))}, func() (int, error) {
		if _, err := io.Copy(io.MultiWriter(all...), c.Reader()); err != nil {
			return nobody, err
		}
		return slices.IndexFunc(verifiers, (*Verifier).Valid), nil
	})
	if err != nil || index == nobody {
		return 0, false, err
	}
	return index, true, nil
}

// asked is a question that was put to a content: which of the keys, all of
// 32 bytes, made the signature.
type asked struct {
	signature string
	keys      [sha256.Size]byte
}

const nobody = -1

// Holds tells whether a signature over the content is by the key, which is
// none of the weak ones. Its errors are those of reading the content and
// signature.ErrBudget: what is no signature, or no key, does not hold.
func Holds(c *signature.Content, sig []byte, public ed25519.PublicKey) (bool, error) {
	if len(sig) != ed25519.SignatureSize || CheckKey(public) != nil {
		return false, nil
	}
	_, ok, err := VerifyDetached(c, sig, []ed25519.PublicKey{public})
	return ok, err
}
