package eddsa

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"

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
// is. All keys are tried in one pass. An error is that of reading the
// content, or a key or signature that is none; weak keys are refused, see
// CheckKey.
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
	if _, err := io.Copy(io.MultiWriter(all...), c.Reader()); err != nil {
		return 0, false, err
	}
	for i, v := range verifiers {
		if v.Valid() {
			return i, true, nil
		}
	}
	return 0, false, nil
}
