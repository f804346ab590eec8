// Package conformance checks that a store keeps the promises of blob.Store.
// The tests of both drivers run it, and "assize doctor s3" runs it against a
// customer's server before anything relies on it.
package conformance

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/config"
)

// A check of one promise, with keys of its own below bench.at.
type check struct {
	name string
	run  func(context.Context, *bench) error
}

var checks = []check{
	{"an object is read back as it was created", roundTrip},
	{"an empty object is an object", empty},
	{"a large object is read back as it was created", large},
	{"a body that can be read only once is stored", oneWay},
	{"ranges are read", ranges},
	{"a body of the wrong size is refused and leaves nothing", wrongSize},
	{"an object is created once", createdOnce},
	{"of 16 creators at once exactly one succeeds", race},
	{"what is replaced is seen at once", replaced},
	{"a swap happens only if nothing came between", swapped},
	{"content-addressed objects are not replaced", contentNotReplaced},
	{"what is missing is not found", missing},
	{"deleting is idempotent", deleted},
	{"keys are listed in order, page by page", listed},
	{"a listing longer than a page is complete", longListing},
	{"malformed keys are refused", malformedKeys},
	{"a blob is stored once and verified when fetched", blobs},
	{"a document is stored and verified", documents},
}

// Run checks every promise and reports each by name, with nil or what is
// wrong. It works below one fresh prefix, apart from a few random blobs and
// documents, and deletes what it made; failure to do so is reported too.
func Run(ctx context.Context, store blob.Store, report func(name string, err error)) {
	b := &bench{store: store, prefix: "conformance/" + rand.Text() + "/"}
	for i, c := range checks {
		b.at = fmt.Sprintf("%s%02d/", b.prefix, i)
		report(c.name, c.run(ctx, b))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
	defer cancel()
	report("everything is cleaned up", b.clean(ctx))
}

// RunS3 is Run for the bucket of c, and checks that the server asks for
// the right secret.
func RunS3(ctx context.Context, c blob.S3Config, report func(name string, err error)) {
	store, err := blob.OpenS3(ctx, c)
	report("the bucket can be opened", err)
	if err != nil {
		return
	}
	report("a wrong secret is refused", wrongSecret(ctx, c))
	Run(ctx, store, report)
}

func wrongSecret(ctx context.Context, c blob.S3Config) error {
	c.SecretKey = config.Secret(rand.Text())
	c.EnsureBucket = false
	if _, err := blob.OpenS3(ctx, c); err == nil {
		return errors.New("the server answers requests signed with another secret")
	}
	return nil
}

// bench is what checks work with.
type bench struct {
	store  blob.Store
	prefix string
	at     string   // the prefix of the check at work
	extra  []string // content-addressed keys made on the way
}

func (b *bench) create(ctx context.Context, key string, content []byte) error {
	return b.store.Create(ctx, key, bytes.NewReader(content), int64(len(content)))
}

// holds checks that content is what is stored under key, by every way to look.
func (b *bench) holds(ctx context.Context, key string, content []byte) error {
	info, err := b.store.Stat(ctx, key)
	if err != nil {
		return err
	}
	if want := (blob.Info{Key: key, Size: int64(len(content))}); info != want {
		return fmt.Errorf("stat says %+v, want %+v", info, want)
	}
	object, err := b.store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer object.Close()
	if object.Size() != int64(len(content)) {
		return fmt.Errorf("open says %d bytes, want %d", object.Size(), len(content))
	}
	got, err := io.ReadAll(object)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, content) {
		return fmt.Errorf("%s holds %d other bytes than the %d that were stored", key, len(got), len(content))
	}
	return nil
}

// lacks checks that there is nothing under key.
func (b *bench) lacks(ctx context.Context, key string) error {
	if _, err := b.store.Stat(ctx, key); !errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("stat of %s: %w", key, wanted(err, blob.ErrNotFound))
	}
	object, err := b.store.Open(ctx, key)
	if err == nil {
		err = object.Close()
	}
	if !errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("open of %s: %w", key, wanted(err, blob.ErrNotFound))
	}
	return nil
}

func (b *bench) clean(ctx context.Context) error {
	keys := b.extra
	for info, err := range b.store.List(ctx, b.prefix, "") {
		if err != nil {
			return err
		}
		keys = append(keys, info.Key)
	}
	if err := forEach(keys, func(key string) error { return b.store.Delete(ctx, key) }); err != nil {
		return err
	}
	for info, err := range b.store.List(ctx, b.prefix, "") {
		if err != nil {
			return err
		}
		return fmt.Errorf("%s is still listed after it was deleted", info.Key)
	}
	return nil
}

// forEach calls f for every key, some at a time.
func forEach(keys []string, f func(key string) error) error {
	work := make(chan int)
	errs := make([]error, len(keys))
	var done sync.WaitGroup
	for range 16 {
		done.Go(func() {
			for i := range work {
				errs[i] = f(keys[i])
			}
		})
	}
	for i := range keys {
		work <- i
	}
	close(work)
	done.Wait()
	return errors.Join(errs...)
}

// wanted says which error was expected instead of err.
func wanted(err, want error) error {
	if err == nil {
		return fmt.Errorf("succeeded, want %q", want)
	}
	return fmt.Errorf("%w, want %q", err, want)
}

// noise is n random bytes.
func noise(n int) []byte {
	content := make([]byte, n)
	_, _ = rand.Read(content) // never fails, by its documentation
	return content
}
