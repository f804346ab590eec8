package checkpoint

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// algCosignature is the signature type of timestamped Ed25519 witness
// cosignatures (c2sp.org/signed-note, c2sp.org/tlog-cosignature). Others, such
// as those with ML-DSA, are passed over like signatures by unknown keys.
const algCosignature = 4

// witnessKey verifies cosignatures. It is a note.Verifier.
type witnessKey struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

// newWitnessKey reads a vkey: name+hash+base64 of the type and the key.
func newWitnessKey(vkey string) (*witnessKey, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	hash, encoded, ok := strings.Cut(rest, "+")
	stated, err := strconv.ParseUint(hash, 16, 32)
	key, failed := unbase64(encoded)
	if !ok || name == "" || err != nil || len(hash) != 8 || failed != nil || len(key) == 0 {
		return nil, fmt.Errorf("%w key %.100q: want name+hash+key", ErrMalformed, vkey)
	}
	if key[0] != algCosignature || len(key) != 1+ed25519.PublicKeySize {
		return nil, fmt.Errorf("key of witness %.100q: type %d, %d bytes: want a key for cosignatures, type %d", name, key[0], len(key)-1, algCosignature)
	}
	w := &witnessKey{name: name, hash: keyHash(name, key), key: key[1:]}
	if w.hash != uint32(stated) {
		return nil, fmt.Errorf("key of witness %.100q: its hash is %08x, not %s", name, w.hash, hash)
	}
	return w, nil
}

// keyHash is the key ID of c2sp.org/signed-note.
func keyHash(name string, key []byte) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write(key)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

func (w *witnessKey) Name() string    { return w.name }
func (w *witnessKey) KeyHash() uint32 { return w.hash }

func (w *witnessKey) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	t := binary.BigEndian.Uint64(signature)
	return ed25519.Verify(w.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", t, text), signature[8:])
}

// signedAt is when a cosignature says that it was made.
func signedAt(s note.Signature) (time.Time, error) {
	b, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(b) < 4+8 {
		return time.Time{}, fmt.Errorf("%w cosignature of %.100q", ErrMalformed, s.Name)
	}
	seconds := binary.BigEndian.Uint64(b[4:])
	if seconds > 1<<40 {
		return time.Time{}, fmt.Errorf("%w cosignature of %.100q: time %d", ErrMalformed, s.Name, seconds)
	}
	return time.Unix(int64(seconds), 0).UTC(), nil
}
