package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"assize.dev/shared/digest"
)

// Keep stores data under key, unless it is there already, and returns the key
// it is under then. Where key holds something else, which an earlier process
// with other settings left, that stays, and data goes beside it, under the
// key with the beginning of its digest.
func Keep(ctx context.Context, store Store, key string, data []byte) (string, error) {
	beside := key + "." + digest.Of(data).Hex()[:16]
	for _, k := range []string{key, beside} {
		same, err := createSame(ctx, store, k, data)
		if err != nil || same {
			return k, err
		}
	}
	return "", fmt.Errorf("storing %s: %w with other bytes, and so does %s", key, ErrExists, beside)
}

// createSame reports whether data is what key holds afterwards.
func createSame(ctx context.Context, store Store, key string, data []byte) (bool, error) {
	err := store.Create(ctx, key, bytes.NewReader(data), int64(len(data)))
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, ErrExists) {
		return false, fmt.Errorf("storing %s: %w", key, err)
	}
	object, err := store.Open(ctx, key)
	if err != nil {
		return false, fmt.Errorf("comparing with what is stored: %w", err)
	}
	defer object.Close()
	stored, err := io.ReadAll(io.LimitReader(object, int64(len(data))+1))
	if err != nil {
		return false, fmt.Errorf("comparing with what is stored under %s: %w", key, err)
	}
	return bytes.Equal(stored, data), nil
}
