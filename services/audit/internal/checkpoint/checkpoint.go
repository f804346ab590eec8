// Package checkpoint states how far a log goes, in signed notes
// (c2sp.org/tlog-checkpoint), and proves what is in it to those who have
// nothing but the log's key (c2sp.org/tlog-proof, c2sp.org/tlog-policy).
package checkpoint

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a tree with its name.
type Checkpoint struct {
	Origin string // the log: also the name of its key
	Size   uint64
	Root   tlog.Hash
}

// MaxSigned bounds a signed checkpoint, in bytes: sixteen signatures and more.
const MaxSigned = 64 << 10

// Text is what is signed.
func (c *Checkpoint) Text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

// ErrMalformed is wrapped by errors about texts that are no checkpoints, proofs
// or policies.
var ErrMalformed = errors.New("malformed")

// Parse reads what was signed. Lines after the third are extensions, which mean
// nothing here.
func Parse(text string) (*Checkpoint, error) {
	origin, rest, _ := strings.Cut(text, "\n")
	size, rest, _ := strings.Cut(rest, "\n")
	root, rest, ok := strings.Cut(rest, "\n")
	if !ok || origin == "" || rest != "" && !strings.HasSuffix(rest, "\n") {
		return nil, fmt.Errorf("%w checkpoint: want three lines: origin, size, root", ErrMalformed)
	}
	n, err := strconv.ParseInt(size, 10, 64) // 63 bits, as tlog counts
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != size {
		return nil, fmt.Errorf("%w checkpoint: size %.40q", ErrMalformed, size)
	}
	c := &Checkpoint{Origin: origin, Size: uint64(n)}
	hash, err := unbase64(root)
	if err != nil || len(hash) != len(c.Root) {
		return nil, fmt.Errorf("%w checkpoint: root %.80q: want %d bytes in base64", ErrMalformed, root, len(c.Root))
	}
	copy(c.Root[:], hash)
	return c, nil
}

// Unverified reads a signed checkpoint and believes it.
func Unverified(signed []byte) (*Checkpoint, error) {
	if len(signed) > MaxSigned {
		return nil, fmt.Errorf("%w checkpoint: %d bytes, at most %d", ErrMalformed, len(signed), MaxSigned)
	}
	end := strings.LastIndex(string(signed), "\n\n")
	if end < 0 {
		return nil, fmt.Errorf("%w checkpoint: it is not signed", ErrMalformed)
	}
	return Parse(string(signed[:end+1]))
}

// Signers sign checkpoints as one log: all have its name.
type Signers []note.Signer

// NewSigners reads keys in the form that note.GenerateKey writes, one a line:
// the one in use first, and those that are still signed with for readers who
// do not know it yet.
func NewSigners(text string) (Signers, error) {
	var all Signers
	for _, key := range strings.Fields(text) {
		s, err := note.NewSigner(key)
		if err != nil {
			return nil, fmt.Errorf("key %d of the log: %w", len(all)+1, err) // which does not quote it
		}
		if len(all) > 0 && s.Name() != all[0].Name() {
			return nil, fmt.Errorf("keys of the log: names %q and %q, want one", all[0].Name(), s.Name())
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, errors.New("keys of the log: there is none")
	}
	return all, nil
}

// Origin is the log's name.
func (s Signers) Origin() string { return s[0].Name() }

// Sign signs c, which gets the signers' name.
func (s Signers) Sign(c Checkpoint) ([]byte, error) {
	c.Origin = s.Origin()
	return note.Sign(&note.Note{Text: c.Text()}, s...)
}

// KeysOf are the public keys (vkeys) of signers, in the same order.
func KeysOf(text string) (vkeys []string, err error) {
	for _, key := range strings.Fields(text) {
		name, rest, _ := strings.Cut(strings.TrimPrefix(key, "PRIVATE+KEY+"), "+")
		_, encoded, _ := strings.Cut(rest, "+")
		seed, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(seed) != 1+ed25519.SeedSize {
			return nil, fmt.Errorf("key %d of the log: %w", len(vkeys)+1, ErrMalformed)
		}
		public := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
		vkey, err := note.NewEd25519VerifierKey(name, public)
		if err != nil {
			return nil, fmt.Errorf("key %d of the log: %w", len(vkeys)+1, err)
		}
		vkeys = append(vkeys, vkey)
	}
	return vkeys, nil
}

// unbase64 decodes the one spelling that encoding gives: base64.Strict alone
// passes over line breaks.
func unbase64(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("a line break inside base64")
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}
