// Package minisign verifies detached signatures by minisign and by OpenBSD's
// signify, which share the form of keys and signatures: a comment that nobody
// signs, and a line of base64. See
// https://jedisct1.github.io/minisign/#signature-format and signify(1).
//
// minisign adds a trusted comment, and a global signature over the signature
// and that comment. Without these two lines a minisign signature looks like
// one of signify, and what the comment says, such as a version, is lost. So a
// key that minisign made counts for signatures with both lines only. Which
// program made a key, only the comment above it tells: leave it as it is.
//
// What tells a signature over the content from one over its BLAKE2b-512 is
// itself not signed. So a signature over content is refused if the content
// has 64 bytes: it could be the digest of other content, which was signed.
package minisign

import (
	"crypto"
	"crypto/ed25519"
	"errors"

	"golang.org/x/crypto/blake2b" // makes crypto.BLAKE2b_512 available

	"assize.dev/services/sign/internal/eddsa"
	"assize.dev/services/sign/internal/signature"
)

const (
	kindMinisign = "minisign"
	kindSignify  = "signify"
)

// Verify tells whether a signature over the content is by one of the keys.
// The result's Kind is minisign or signify, its Signer the key id that the
// signature names, as minisign prints it: the eight bytes as a little-endian
// number in hexadecimal, upper case, without leading zeros. An id is no
// fingerprint, since whoever makes a key chooses it: where two keys share one,
// neither counts. Time is that of the trusted comment, if it has one, and the
// signer's word. An error is that of reading the content.
func Verify(c *signature.Content, sig []byte, keys []PublicKey) (signature.Result, error) {
	s, err := parse(sig)
	result := signature.Result{Kind: s.kind, Signer: s.signer}
	if err != nil {
		result.Reason = err.Error()
		return result, nil
	}
	known, ok := find(keys, s.signer)
	if !ok {
		return signature.Stranger(s.kind, s.signer, "no key with id %s is among the known ones", s.signer), nil
	}
	if result.Reason = s.unfit(known, c.Size()); result.Reason != "" {
		return result, nil
	}
	result.Valid, err = s.holds(known[0].key, c)
	if errors.Is(err, signature.ErrBudget) {
		result.Reason = err.Error()
		return result, nil
	}
	if err != nil {
		return signature.Result{}, err
	}
	if !result.Valid {
		result.Reason = "the signature does not hold over these bytes: they were changed after signing, or the signature was"
		return result, nil
	}
	result.Time, result.Key = s.time, signature.KeyFingerprint(known[0].key)
	return result, nil
}

// find returns the keys with an id.
func find(keys []PublicKey, id string) (known []PublicKey, ok bool) {
	for _, k := range keys {
		if k.signer == id {
			known = append(known, k)
		}
	}
	return known, len(known) > 0
}

// unfit tells what is wrong with a signature by a known key, before the
// content is looked at.
func (s *parsed) unfit(known []PublicKey, size int64) string {
	key := known[0].key
	byMinisign := false
	for _, k := range known {
		if !key.Equal(k.key) {
			return "two of the known keys have the id " + s.signer + ": remove the one that does not belong there"
		}
		byMinisign = byMinisign || k.minisign
	}
	switch {
	case s.kind == kindSignify && byMinisign:
		return "minisign made the key, so the signature lacks its trusted comment: its last two lines were cut off"
	case s.kind == kindMinisign && !ed25519.Verify(key, s.global(), s.globalSignature):
		return "the signature of the trusted comment does not hold: the comment was changed after signing, or the signature was"
	case !s.prehashed && size == blake2b.Size:
		return "content of 64 bytes needs a prehashed signature: it may be the digest of other content"
	}
	return ""
}

// holds tells whether the key signed the content.
func (s *parsed) holds(key ed25519.PublicKey, c *signature.Content) (bool, error) {
	if !s.prehashed {
		return eddsa.Holds(c, s.signature, key)
	}
	sum, err := c.Sum(crypto.BLAKE2b_512)
	return err == nil && ed25519.Verify(key, sum, s.signature), err
}
