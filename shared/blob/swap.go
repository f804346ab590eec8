package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Swap is Store.Swap. A lock on the scratch directory keeps others from
// swapping meanwhile, in this process or another; it ends with its process.
func (d *Dir) Swap(ctx context.Context, key string, old, body []byte) error {
	if err := checkReplaceable(key, len(body)); err != nil {
		return err
	}
	unlock, err := d.lock()
	if err != nil {
		return fmt.Errorf("swapping %s: %w", key, err)
	}
	defer unlock()
	present, err := content(ctx, d, key)
	if err == nil && !same(present, old) {
		err = ErrChanged
	}
	if err == nil {
		err = d.write(ctx, key, bytes.NewReader(body), int64(len(body)), d.root.Rename)
	}
	if err != nil {
		return fmt.Errorf("swapping %s: %w", key, err)
	}
	return nil
}

// Swap is Store.Swap, by the condition If-Match of a PUT.
func (s *S3) Swap(ctx context.Context, key string, old, body []byte) error {
	if err := checkReplaceable(key, len(body)); err != nil {
		return err
	}
	sent := false
	err := attempts(ctx, callTimeout, maxAttempts, func(ctx context.Context, _ int) error {
		present, tag, err := s.tagged(ctx, key)
		switch {
		case err != nil:
			return err
		case sent && same(present, body):
			return nil // an earlier attempt whose answer was lost
		case !same(present, old):
			return ErrChanged
		}
		options := putOptions()
		if old == nil {
			options.SetMatchETagExcept("*")
		} else {
			options.SetMatchETag(tag)
		}
		sent = true
		_, err = s.client.PutObject(ctx, s.bucket, s.prefix+key, bytes.NewReader(body), int64(len(body)), options)
		if err = storeError(err); errors.Is(err, ErrExists) || errors.Is(err, ErrNotFound) {
			return fmt.Errorf("%w: another came first", errSwap) // or this very body: the next attempt tells
		}
		return err
	})
	if errors.Is(err, errSwap) {
		err = ErrChanged
	}
	if err != nil {
		return fmt.Errorf("swapping %s: %w", key, err)
	}
	return nil
}

// errSwap is one attempt's view; the next looks again.
var errSwap = errors.New("the condition failed")

// tagged is the present content of key, nil if there is none, and its tag.
func (s *S3) tagged(ctx context.Context, key string) (present []byte, tag string, err error) {
	object := &s3Object{store: s, key: key, ctx: ctx}
	if err := object.start(ctx, 1); err != nil {
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return nil, "", err
	}
	defer object.Close()
	present, err = io.ReadAll(io.LimitReader(object, MaxReplace+1))
	if present == nil {
		present = []byte{}
	}
	return present, object.etag, err
}

// content is that of a small object, nil if there is none.
func content(ctx context.Context, s Store, key string) ([]byte, error) {
	o, err := s.Open(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer o.Close()
	b, err := io.ReadAll(io.LimitReader(o, MaxReplace+1))
	if b == nil {
		b = []byte{}
	}
	return b, err
}

// same tells no object from an empty one.
func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }
