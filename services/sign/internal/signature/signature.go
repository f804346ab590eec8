// Package signature holds what all kinds of signatures have in common: the
// bytes that they are about, and what can be said of one. Each kind has a
// package of its own beside this one.
package signature

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// Result is what became of one signature.
type Result struct {
	// Kind is the kind of signature: openpgp, x509, ssh, …
	Kind string
	// Valid says that the signature holds over the artifact's bytes, and that
	// it was made by Signer, one of those the caller named, while that key or
	// certificate was fit to sign.
	Valid bool
	// Stranger says of a signature that is not valid that nothing is wrong
	// with it as far as can be seen: its signer is not among those the caller
	// named, so that it cannot be checked or proves nothing.
	Stranger bool
	// Signer is the fingerprint or the identity, as trust lists name it;
	// empty where not even the signature says.
	Signer string
	// Key is the fingerprint of the public key that made a valid signature,
	// as keys.PublicKey.Fingerprint gives it, whatever the kind: one key may
	// sign in several ways. Empty for keys that are used once (keyless) and
	// for OpenPGP, where the certificate is what counts.
	Key string
	// Certificate is that of a valid signature's key, if it has an X.509 one.
	Certificate *x509.Certificate
	// Time is when the signature was made, zero if unknown.
	Time time.Time
	// TimeProven says that a third party vouches for Time (a timestamp
	// authority, a transparency log), not the signer alone.
	TimeProven bool
	// Reason is why the signature is not valid, or a remark on one that is,
	// for a person to act on. Never empty unless Valid.
	Reason string
}

// Invalid is a result with a reason.
func Invalid(kind, format string, args ...any) Result {
	return Result{Kind: kind, Reason: fmt.Sprintf(format, args...)}
}

// Stranger is the result for a signer that is not known.
func Stranger(kind, signer, format string, args ...any) Result {
	return Result{Kind: kind, Stranger: true, Signer: signer, Reason: fmt.Sprintf(format, args...)}
}

// Content is the bytes that signatures are about. Its errors are those of
// reading and ErrBudget, never of a signature. It is not for concurrent use.
//
// Some signatures are over the bytes themselves and not over a digest of
// them, so that each needs a pass over all bytes. Those who attach signatures
// get no more than maxPasses of them, see Reader, ReaderFor and Spend. Digests
// are free: each is computed once, whatever is attached.
type Content struct {
	ctx    context.Context
	r      io.ReaderAt
	size   int64
	passes int // that are left
	sums   map[crypto.Hash][]byte
	known  map[any]any // see Once
}

// maxPasses is one for each of the 24 files that may lie beside an artifact
// and one for a signature inside, and almost as many again: a file may hold
// several signatures. Honest files need few, as most signatures are over a
// digest; files made for it could hold hundreds.
const maxPasses = 32

// ErrBudget says that a signature was not checked. It makes that signature
// invalid, and is no failure of reading.
var ErrBudget = errors.New("more signatures than may be checked need the whole artifact read")

// NewContent is the first size bytes of r; reading them ends with ctx.
func NewContent(ctx context.Context, r io.ReaderAt, size int64) *Content {
	return &Content{ctx: ctx, r: r, size: size, passes: maxPasses, sums: map[crypto.Hash][]byte{}, known: map[any]any{}}
}

// Size is the number of bytes.
func (c *Content) Size() int64 { return c.size }

// Context is what reading ends with.
func (c *Content) Context() context.Context { return c.ctx }

// ReaderAt gives access to any place.
func (c *Content) ReaderAt() io.ReaderAt { return c.r }

// Reader reads all bytes from the start. Fewer than Size are an error. Its
// first Read spends a pass, and fails with ErrBudget if none is left.
func (c *Content) Reader() io.Reader { return c.ReaderFor(1) }

// ReaderFor is a Reader that spends several passes, for hashing the bytes more
// than once while reading them.
func (c *Content) ReaderFor(passes int) io.Reader { return &reader{c: c, cost: passes} }

// Spend takes passes from those that are left. Unless there are enough it
// takes none and fails with ErrBudget.
func (c *Content) Spend(passes int) error {
	if passes > c.passes {
		return ErrBudget
	}
	c.passes -= passes
	return nil
}

type reader struct {
	c    *Content
	at   int64
	cost int // passes, until they are spent
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.c.ctx.Err(); err != nil {
		return 0, err
	}
	if err := r.c.Spend(r.cost); err != nil {
		return 0, err
	}
	r.cost = 0
	left := r.c.size - r.at
	if left == 0 {
		return 0, io.EOF
	}
	n, err := r.c.r.ReadAt(p[:min(int64(len(p)), left)], r.at)
	r.at += int64(n)
	if n > 0 {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return 0, fmt.Errorf("reading artifact at byte %d of %d: %w", r.at, r.c.size, err)
}

// WriteTo copies everything with one large buffer; it lets io.Copy do so too.
func (r *reader) WriteTo(w io.Writer) (n int64, err error) {
	buf := make([]byte, min(r.c.size-r.at, 256<<10)+1)
	for {
		k, err := r.Read(buf)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if _, err := w.Write(buf[:k]); err != nil {
			return n, err
		}
		n += int64(k)
	}
}

// Know tells a digest that the caller already verified, so that it is not
// computed again.
func (c *Content) Know(h crypto.Hash, sum []byte) { c.sums[h] = sum }

// Sum is the digest of all bytes, computed at most once for each hash. The
// hash must be linked into the program.
func (c *Content) Sum(h crypto.Hash) ([]byte, error) {
	if err := c.Sums(h); err != nil {
		return nil, err
	}
	return c.sums[h], nil
}

// Sums computes several digests in one pass over the bytes, which is not
// counted.
func (c *Content) Sums(hashes ...crypto.Hash) error {
	missing := map[crypto.Hash]hash.Hash{}
	var all []io.Writer
	for _, h := range hashes {
		if c.sums[h] == nil && missing[h] == nil {
			missing[h] = h.New()
			all = append(all, missing[h])
		}
	}
	if len(all) == 0 {
		return nil
	}
	if _, err := io.Copy(io.MultiWriter(all...), c.ReaderFor(0)); err != nil {
		return err
	}
	for h, computed := range missing {
		c.sums[h] = computed.Sum(nil)
	}
	return nil
}

// Once computes what depends on the content and on key alone, and remembers
// it for as long as the content: the same signature is held against the
// anchors of each publisher. The type of key tells one computation from
// another. An error is not remembered.
func Once[V any](c *Content, key any, compute func() (V, error)) (V, error) {
	if known, ok := c.known[key]; ok {
		return known.(V), nil
	}
	v, err := compute()
	if err == nil {
		c.known[key] = v
	}
	return v, err
}
