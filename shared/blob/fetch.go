package blob

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"

	"assize.dev/shared/digest"
)

// Fetch copies the object under key to a private temporary file and returns it
// if its bytes have the digest want; otherwise ErrCorrupt, with the key and
// both digests. The caller closes the file.
func Fetch(ctx context.Context, store Store, key string, want digest.Digest) (*File, error) {
	object, err := store.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer object.Close()
	f, err := scratchFile("")
	if err != nil {
		return nil, err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), contextReader{ctx, object})
	if err == nil {
		err = compare(key, want, sum)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("fetching %s: %w", key, err), f.Close())
	}
	file := newFile(f, n)
	return &file, nil
}

// GetDocument returns the document with digest d, at most max bytes long
// (ErrTooLarge), verified (ErrCorrupt).
func GetDocument(ctx context.Context, store Store, d digest.Digest, max int64) ([]byte, error) {
	key := DocumentKey(d)
	object, err := store.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer object.Close()
	max = min(max, math.MaxInt64-1)
	document, err := io.ReadAll(io.LimitReader(contextReader{ctx, object}, max+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	if int64(len(document)) > max {
		return nil, fmt.Errorf("reading %s: %w: %d bytes, want at most %d", key, ErrTooLarge, object.Size(), max)
	}
	if got := digest.Of(document); got != d {
		return nil, corrupt(key, d, got)
	}
	return document, nil
}

// verified checks the digest of what is read from the object it wraps.
type verified struct {
	Object
	key  string
	want digest.Digest
	sum  hash.Hash
	read int64
	err  error // sticky, what Read said last
}

// verifying wraps object if its key says which digest it must have.
func verifying(key string, object Object) Object {
	want, ok := namedDigest(key)
	if !ok {
		return object
	}
	return &verified{Object: object, key: key, want: want, sum: sha256.New()}
}

// Read withholds the bytes that complete the object until they are proven, so
// that a reader who knows the size and stops there is warned as well.
func (v *verified) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.Object.Read(p)
	v.sum.Write(p[:n])
	v.read += int64(n)
	if v.read >= v.Size() || err == io.EOF {
		if mismatch := compare(v.key, v.want, v.sum); mismatch != nil {
			n, err = 0, mismatch
		}
	}
	v.err = err
	return n, err
}

func compare(key string, want digest.Digest, sum hash.Hash) error {
	if got := digest.FromSum(sum.Sum(nil)); got != want {
		return corrupt(key, want, got)
	}
	return nil
}

func corrupt(key string, want, got digest.Digest) error {
	return fmt.Errorf("%w: %s: want %s, got %s", ErrCorrupt, key, want, got)
}
