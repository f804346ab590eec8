package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
)

func roundTrip(ctx context.Context, b *bench) error {
	content := noise(100_000)
	for _, key := range []string{
		"a", "deep/er/and/deep.er",
		"verdicts/pkg:npm/@scope/name@1.0.0+build=1-x_Y", // every kind of byte a key may have
	} {
		if err := b.create(ctx, b.at+key, content); err != nil {
			return err
		}
		if err := b.holds(ctx, b.at+key, content); err != nil {
			return err
		}
	}
	return nil
}

func empty(ctx context.Context, b *bench) error {
	if err := b.create(ctx, b.at+"empty", nil); err != nil {
		return err
	}
	if err := b.holds(ctx, b.at+"empty", nil); err != nil {
		return err
	}
	if err := b.create(ctx, b.at+"empty", nil); !errors.Is(err, blob.ErrExists) {
		return wanted(err, blob.ErrExists)
	}
	return nil
}

func large(ctx context.Context, b *bench) error {
	// Above the size from which S3 clients like to upload in parts.
	content := noise(20 << 20)
	if err := b.create(ctx, b.at+"large", content); err != nil {
		return err
	}
	return b.holds(ctx, b.at+"large", content)
}

func oneWay(ctx context.Context, b *bench) error {
	for _, size := range []int{0, 1, 3 << 20} {
		content, key := noise(size), fmt.Sprintf("%s%d", b.at, size)
		if err := b.store.Create(ctx, key, io.MultiReader(bytes.NewReader(content)), int64(size)); err != nil {
			return err
		}
		if err := b.holds(ctx, key, content); err != nil {
			return err
		}
	}
	return nil
}

func ranges(ctx context.Context, b *bench) error {
	content := noise(1000)
	if err := b.create(ctx, b.at+"ranges", content); err != nil {
		return err
	}
	object, err := b.store.Open(ctx, b.at+"ranges")
	if err != nil {
		return err
	}
	defer object.Close()
	for _, c := range []struct {
		off, n, want int
		err          error
	}{
		{0, 1, 1, nil}, {0, 1000, 1000, nil}, {1, 998, 998, nil}, {999, 1, 1, nil},
		{990, 20, 10, io.EOF}, {1000, 1, 0, io.EOF}, {5000, 1, 0, io.EOF}, {10, 0, 0, nil},
	} {
		p := make([]byte, c.n)
		n, err := object.ReadAt(p, int64(c.off))
		if n != c.want || (err != c.err && (c.err != nil || err != io.EOF)) {
			return fmt.Errorf("range of %d bytes from %d is %d, %v; want %d, %v", c.n, c.off, n, err, c.want, c.err)
		}
		if n > 0 && !bytes.Equal(p[:n], content[c.off:c.off+n]) {
			return fmt.Errorf("range of %d bytes from %d gives other bytes", c.n, c.off)
		}
	}
	// The stream is not moved by what was read in between.
	got, err := io.ReadAll(object)
	if err == nil && !bytes.Equal(got, content) {
		err = errors.New("reading after ranges gives other bytes")
	}
	return err
}

func wrongSize(ctx context.Context, b *bench) error {
	for _, actual := range []int{0, 10, 2 << 20} {
		content := noise(actual)
		for _, announced := range []int{actual - 1, actual + 1, actual + 5<<20} {
			for kind, body := range map[string]io.Reader{
				"seekable": bytes.NewReader(content),
				"one-way":  io.MultiReader(bytes.NewReader(content)),
			} {
				key := fmt.Sprintf("%s%s-%d-%d", b.at, kind, actual, announced+1)
				if err := b.store.Create(ctx, key, body, int64(announced)); !errors.Is(err, blob.ErrWrongSize) {
					return fmt.Errorf("%s body of %d bytes announced as %d: %w", kind, actual, announced, wanted(err, blob.ErrWrongSize))
				}
				if err := b.lacks(ctx, key); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func missing(ctx context.Context, b *bench) error {
	if err := b.create(ctx, b.at+"there/object", noise(10)); err != nil {
		return err
	}
	for _, key := range []string{"nothing", "nothing/below", "there", "there/objec", "there/object2", "there/other"} {
		if err := b.lacks(ctx, b.at+key); err != nil {
			return err
		}
	}
	for info, err := range b.store.List(ctx, b.at+"nothing/", "") {
		return fmt.Errorf("listing an empty prefix gives %+v, %v", info, err)
	}
	return nil
}

func deleted(ctx context.Context, b *bench) error {
	content := noise(10)
	for range 2 { // a deleted key can be created again
		if err := b.create(ctx, b.at+"deleted/object", content); err != nil {
			return err
		}
		for range 2 {
			if err := b.store.Delete(ctx, b.at+"deleted/object"); err != nil {
				return err
			}
			if err := b.lacks(ctx, b.at+"deleted/object"); err != nil {
				return err
			}
		}
	}
	if err := b.create(ctx, b.at+"other/object", content); err != nil {
		return err
	}
	if err := b.store.Delete(ctx, b.at+"other"); err != nil {
		return err
	}
	return b.holds(ctx, b.at+"other/object", content)
}

func blobs(ctx context.Context, b *bench) error {
	content := noise(300_000)
	spooled, err := blob.Spool(ctx, "", bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return err
	}
	defer spooled.Close()
	key := blob.BlobKey(spooled.Digest)
	b.extra = append(b.extra, key)
	for _, want := range []bool{true, false} {
		created, err := blob.PutBlob(ctx, b.store, spooled)
		if err != nil || created != want {
			return fmt.Errorf("putting a blob is %t, %v; want %t", created, err, want)
		}
	}
	if err := b.holds(ctx, key, content); err != nil {
		return err
	}
	file, err := blob.Fetch(ctx, b.store, key, spooled.Digest)
	if err != nil {
		return err
	}
	defer file.Close()
	got, err := io.ReadAll(file)
	if err == nil && !bytes.Equal(got, content) {
		err = errors.New("fetching gives other bytes")
	}
	if err != nil {
		return err
	}
	if _, err := blob.Fetch(ctx, b.store, key, digest.Of(nil)); !errors.Is(err, blob.ErrCorrupt) {
		return fmt.Errorf("fetching another digest: %w", wanted(err, blob.ErrCorrupt))
	}
	return nil
}

func documents(ctx context.Context, b *bench) error {
	content := noise(5000)
	for range 2 {
		d, err := blob.PutDocument(ctx, b.store, content)
		if err != nil {
			return err
		}
		if d != digest.Of(content) {
			return fmt.Errorf("putting a document says %s, want %s", d, digest.Of(content))
		}
		if len(b.extra) == 0 || b.extra[len(b.extra)-1] != blob.DocumentKey(d) {
			b.extra = append(b.extra, blob.DocumentKey(d))
		}
	}
	got, err := blob.GetDocument(ctx, b.store, digest.Of(content), int64(len(content)))
	if err == nil && !bytes.Equal(got, content) {
		err = errors.New("getting a document gives other bytes")
	}
	if err != nil {
		return err
	}
	if _, err := blob.GetDocument(ctx, b.store, digest.Of(content), int64(len(content))-1); !errors.Is(err, blob.ErrTooLarge) {
		return wanted(err, blob.ErrTooLarge)
	}
	return nil
}
