// Package signature holds what all kinds of signatures have in common: the
// bytes that they are about, and what can be said of one. Each kind has a
// package of its own beside this one.
package signature

import (
	"context"
	"crypto"
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
// reading, never of a signature. It is not for concurrent use.
type Content struct {
	ctx  context.Context
	r    io.ReaderAt
	size int64
	sums map[crypto.Hash][]byte
}

// NewContent is the first size bytes of r; reading them ends with ctx.
func NewContent(ctx context.Context, r io.ReaderAt, size int64) *Content {
	return &Content{ctx: ctx, r: r, size: size, sums: map[crypto.Hash][]byte{}}
}

// Size is the number of bytes.
func (c *Content) Size() int64 { return c.size }

// Context is what reading ends with.
func (c *Content) Context() context.Context { return c.ctx }

// ReaderAt gives access to any place.
func (c *Content) ReaderAt() io.ReaderAt { return c.r }

// Reader reads all bytes from the start. Fewer than Size are an error.
func (c *Content) Reader() io.Reader { return &reader{c: c} }

type reader struct {
	c  *Content
	at int64
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.c.ctx.Err(); err != nil {
		return 0, err
	}
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

// Sums computes several digests in one pass over the bytes.
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
	if _, err := io.Copy(io.MultiWriter(all...), c.Reader()); err != nil {
		return err
	}
	for h, computed := range missing {
		c.sums[h] = computed.Sum(nil)
	}
	return nil
}
