package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"assize.dev/shared/digest"
)

// Spooled is a stream copied to a private temporary file and hashed on the
// way. Read starts at the first byte. The file has no name any more, so a
// process that dies leaves nothing behind.
type Spooled struct {
	File
	Digest digest.Digest
	SHA512 string // lower-case hexadecimal, as npm, PyPI and others announce it
}

// Spool copies r, at most limit bytes of it, to a temporary file in dir
// ("" is the system's). ErrTooLarge if there is more. The caller closes the
// result, which releases the space.
func Spool(ctx context.Context, dir string, r io.Reader, limit int64) (*Spooled, error) {
	f, err := scratchFile(dir)
	if err != nil {
		return nil, err
	}
	limit = min(limit, math.MaxInt64-1)
	sum256, sum512 := sha256.New(), sha512.New()
	n, err := io.Copy(io.MultiWriter(f, sum256, sum512), &io.LimitedReader{R: contextReader{ctx, r}, N: limit + 1})
	if err == nil && n > limit {
		err = fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("spooling: %w", err), f.Close())
	}
	return &Spooled{
		File:   newFile(f, n),
		Digest: digest.FromSum(sum256.Sum(nil)),
		SHA512: hex.EncodeToString(sum512.Sum(nil)),
	}, nil
}

// PutBlob stores what was spooled under its BlobKey. created is false if it
// was there before: the same key means the same bytes, and a different size
// under it is ErrCorrupt.
func PutBlob(ctx context.Context, store Store, s *Spooled) (created bool, err error) {
	return putContent(ctx, store, BlobKey(s.Digest), io.NewSectionReader(s, 0, s.Size()), s.Size())
}

// PutDocument stores document under its DocumentKey, unless it is there, and
// returns its digest. Documents are marshalled in memory, so they are small.
func PutDocument(ctx context.Context, store Store, document []byte) (digest.Digest, error) {
	d := digest.Of(document)
	_, err := putContent(ctx, store, DocumentKey(d), bytes.NewReader(document), int64(len(document)))
	if err != nil {
		return "", err
	}
	return d, nil
}

func putContent(ctx context.Context, store Store, key string, body io.Reader, size int64) (created bool, err error) {
	err = store.Create(ctx, key, body, size)
	if !errors.Is(err, ErrExists) {
		return err == nil, err
	}
	info, err := store.Stat(ctx, key)
	if err != nil {
		return false, fmt.Errorf("comparing with the object that exists: %w", err)
	}
	if info.Size != size {
		return false, fmt.Errorf("%w: %s exists with %d bytes, want %d", ErrCorrupt, key, info.Size, size)
	}
	return false, nil
}

// File is a private copy of an object's bytes on local disk. Read and ReadAt
// are independent of each other; Read has one user at a time.
type File struct {
	*io.SectionReader
	f *os.File
}

// OS is the file itself, to be handed to another process. Its offset is not
// the one of Read.
func (f File) OS() *os.File { return f.f }

// Close releases the space the copy takes.
func (f File) Close() error { return f.f.Close() }

func newFile(f *os.File, size int64) File { return File{io.NewSectionReader(f, 0, size), f} }

// scratchFile is a temporary file that only its descriptor still names.
func scratchFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "assize-*")
	if err != nil {
		return nil, fmt.Errorf("making a spool file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("unlinking a spool file: %w", err), f.Close())
	}
	return f, nil
}

// contextReader stops a copy between two reads.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
