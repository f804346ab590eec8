package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
)

func createdOnce(ctx context.Context, b *bench) error {
	first := noise(1000)
	if err := b.create(ctx, b.at+"once", first); err != nil {
		return err
	}
	for _, second := range [][]byte{first, noise(1000), noise(2 << 20), nil} {
		if err := b.create(ctx, b.at+"once", second); !errors.Is(err, blob.ErrExists) {
			return wanted(err, blob.ErrExists)
		}
		if err := b.holds(ctx, b.at+"once", first); err != nil {
			return err
		}
	}
	// In the middle of a stream that cannot be read again.
	if err := b.store.Create(ctx, b.at+"once", io.MultiReader(bytes.NewReader(noise(3<<20))), 3<<20); !errors.Is(err, blob.ErrExists) {
		return wanted(err, blob.ErrExists)
	}
	return b.holds(ctx, b.at+"once", first)
}

func race(ctx context.Context, b *bench) error {
	const creators = 16
	for round := range 3 {
		key := fmt.Sprintf("%srace/%d/object", b.at, round)
		var contents [creators][]byte
		var errs [creators]error
		var done sync.WaitGroup
		for i := range creators {
			contents[i] = noise(10_000)
			done.Go(func() { errs[i] = b.create(ctx, key, contents[i]) })
		}
		done.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				return fmt.Errorf("creators %d and %d both succeeded", winner, i)
			case err == nil:
				winner = i
			case !errors.Is(err, blob.ErrExists):
				return wanted(err, blob.ErrExists)
			}
		}
		if winner < 0 {
			return errors.New("nobody succeeded")
		}
		if err := b.holds(ctx, key, contents[winner]); err != nil {
			return err
		}
	}
	return nil
}

func replaced(ctx context.Context, b *bench) error {
	key := b.at + "replaced/object"
	for _, content := range [][]byte{noise(1000), noise(10), nil, noise(blob.MaxReplace)} {
		if err := b.store.Replace(ctx, key, content); err != nil {
			return err
		}
		if err := b.holds(ctx, key, content); err != nil {
			return err
		}
	}
	if err := b.create(ctx, key, nil); !errors.Is(err, blob.ErrExists) {
		return wanted(err, blob.ErrExists)
	}
	if err := b.store.Replace(ctx, key, noise(blob.MaxReplace+1)); !errors.Is(err, blob.ErrTooLarge) {
		return wanted(err, blob.ErrTooLarge)
	}
	return nil
}

func swapped(ctx context.Context, b *bench) error {
	key := b.at + "swapped/object"
	first, second := noise(1000), noise(10)
	steps := []struct {
		old, body []byte
		want      error
	}{
		{first, second, blob.ErrChanged}, // there is nothing
		{nil, first, nil},
		{nil, second, blob.ErrChanged},
		{second, second, blob.ErrChanged},
		{first, second, nil},
		{second, []byte{}, nil},
		{nil, first, blob.ErrChanged}, // an empty object is one
		{[]byte{}, first, nil},
	}
	for i, s := range steps {
		if err := b.store.Swap(ctx, key, s.old, s.body); !errors.Is(err, s.want) {
			return fmt.Errorf("step %d: %w", i, wanted(err, s.want))
		}
	}
	if err := b.holds(ctx, key, first); err != nil {
		return err
	}
	// Each of many adds a letter of its own, as long as nobody else did.
	count := b.at + "swapped/count"
	const workers, each = 8, 5
	var done sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		done.Go(func() {
			for added := 0; added < each && errs[w] == nil; {
				old, err := b.content(ctx, count)
				if err == nil {
					err = b.store.Swap(ctx, count, old, append(bytes.Clone(old), 'a'+byte(w)))
				}
				switch {
				case err == nil:
					added++
				case !errors.Is(err, blob.ErrChanged):
					errs[w] = err
				}
			}
		})
	}
	done.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if all, err := b.content(ctx, count); err != nil || len(all) != workers*each {
		return fmt.Errorf("%d of %d swaps are there (%v): some were lost", len(all), workers*each, err)
	}
	return nil
}

// size of an object, 0 if there is none.
// content is nil where there is no object.
func (b *bench) content(ctx context.Context, key string) ([]byte, error) {
	o, err := b.store.Open(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return io.ReadAll(o)
}

func contentNotReplaced(ctx context.Context, b *bench) error {
	d := digest.Of(noise(32))
	for _, key := range []string{blob.BlobKey(d), blob.DocumentKey(d)} {
		if err := b.store.Replace(ctx, key, nil); !errors.Is(err, blob.ErrKey) {
			return wanted(err, blob.ErrKey)
		}
		if err := b.lacks(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func listed(ctx context.Context, b *bench) error {
	// What sorts before and after the slash tells an order of directories
	// from one of keys.
	want := []string{"a+b", "a-b", "a.b", "a/b", "a/b-c", "a/c/d", "a0", "aa", "b/c", "b:c", "c"}
	for i, key := range slices.Backward(want) {
		if err := b.create(ctx, b.at+key, noise(i)); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		prefix, after string
		want          []string
	}{
		{"", "", want},
		{"a", "", want[:8]}, {"a/", "", want[3:6]}, {"a/b", "", want[3:5]}, {"a/c", "", want[5:6]}, {"b", "", want[8:10]},
		{"", "a.b", want[3:]}, {"", "a", want}, {"", "a/", want[3:]}, {"", "a/b", want[4:]}, {"", "a/bb", want[5:]},
		{"a/", "a/b", want[4:6]}, {"a/", "a", want[3:6]}, {"a", "a0", want[7:8]}, {"a/", "b", nil},
		{"", "c", nil}, {"d", "", nil},
	} {
		after := c.after
		if after != "" {
			after = b.at + after
		}
		var got []string
		for info, err := range b.store.List(ctx, b.at+c.prefix, after) {
			if err != nil {
				return err
			}
			key := strings.TrimPrefix(info.Key, b.at)
			if size := slices.Index(want, key); info.Size != int64(size) {
				return fmt.Errorf("%s is listed with %d bytes, want %d", key, info.Size, size)
			}
			got = append(got, key)
		}
		if !slices.Equal(got, c.want) {
			return fmt.Errorf("prefix %q after %q: got %q, want %q", c.prefix, c.after, got, c.want)
		}
	}
	// A listing that is given up can be taken up where it ended.
	var got []string
	for len(got) < len(want) {
		after := ""
		if len(got) > 0 {
			after = b.at + got[len(got)-1]
		}
		before := len(got)
		for info, err := range b.store.List(ctx, b.at, after) {
			if err != nil {
				return err
			}
			got = append(got, strings.TrimPrefix(info.Key, b.at))
			break
		}
		if len(got) == before {
			break
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("key by key: got %q, want %q", got, want)
	}
	return nil
}

func longListing(ctx context.Context, b *bench) error {
	keys := make([]string, 1010) // S3 lists at most 1000 in an answer
	for i := range keys {
		keys[i] = fmt.Sprintf("%s%04d", b.at, i)
	}
	if err := forEach(keys, func(key string) error { return b.create(ctx, key, nil) }); err != nil {
		return err
	}
	var got []string
	for info, err := range b.store.List(ctx, b.at, "") {
		if err != nil {
			return err
		}
		got = append(got, info.Key)
	}
	if !slices.Equal(got, keys) {
		return fmt.Errorf("%d keys are listed, not the %d that were created", len(got), len(keys))
	}
	return nil
}

func malformedKeys(ctx context.Context, b *bench) error {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/../b", "a/./b", "tmp", "tmp/a",
		"a b", "a\x00b", "a\nb", `a\b`, "ä", "日本", "a\xffb", "a%2fb", "a?b", "a#b", "a*", "a~",
		strings.Repeat("a", 513), "a/" + strings.Repeat("b", 256),
	} {
		object, opened := b.store.Open(ctx, key)
		if opened == nil {
			opened = object.Close()
		}
		_, examined := b.store.Stat(ctx, key)
		for call, err := range map[string]error{
			"Create":  b.create(ctx, key, nil),
			"Replace": b.store.Replace(ctx, key, nil),
			"Open":    opened,
			"Stat":    examined,
			"Delete":  b.store.Delete(ctx, key),
		} {
			if !errors.Is(err, blob.ErrKey) {
				return fmt.Errorf("%s of %q: %w", call, key, wanted(err, blob.ErrKey))
			}
		}
	}
	for _, prefix := range []string{"../", "a/../", "/", "a//b", "ä", "tmp/"} {
		var last error
		for _, last = range b.store.List(ctx, prefix, "") {
		}
		if !errors.Is(last, blob.ErrKey) {
			return fmt.Errorf("listing %q: %w", prefix, wanted(last, blob.ErrKey))
		}
	}
	longest := b.at + strings.Repeat("a", 255) + "/"
	longest += strings.Repeat("b", 512-len(longest))
	if err := b.create(ctx, longest, noise(10)); err != nil {
		return err
	}
	_, err := b.store.Stat(ctx, longest)
	return err
}
