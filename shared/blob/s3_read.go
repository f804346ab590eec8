package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"
)

// stallTimeout is how long a server may leave a reader without a byte.
const stallTimeout = time.Minute

// Open is Store.Open. It starts one GET, which Read consumes until ctx ends;
// each ReadAt is a GET of its own, and fails if the object has been replaced
// since Open.
func (s *S3) Open(ctx context.Context, key string) (Object, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	object, err := s.open(ctx, key)
	if err != nil {
		return nil, err
	}
	return verifying(key, object), nil
}

// OpenForeign opens an object that somebody else stored, under any key that
// S3 allows: 1 to 1024 bytes of UTF-8. What a key says of a digest means
// nothing there, so nothing is verified.
func (s *S3) OpenForeign(ctx context.Context, key string) (Object, error) {
	if key == "" || len(key) > 1024 || !utf8.ValidString(key) {
		return nil, fmt.Errorf("%w: %.80q: want 1 to 1024 bytes of UTF-8", ErrKey, key)
	}
	return s.open(ctx, key)
}

func (s *S3) open(ctx context.Context, key string) (Object, error) {
	object := &s3Object{store: s, key: key, ctx: ctx}
	if err := attempts(ctx, callTimeout, maxAttempts, object.start); err != nil {
		return nil, fmt.Errorf("opening %.200q: %w", key, err)
	}
	return object, nil
}

type s3Object struct {
	store *S3
	key   string
	ctx   context.Context // Open's: an Object is read within its caller's call
	size  int64
	etag  string

	body   io.ReadCloser // owned by Read
	cancel context.CancelFunc
	read   int64
}

// start sends the GET. The stream lives on after the attempt that opened it,
// so the attempt's deadline only counts until the answer begins.
func (o *s3Object) start(attempt context.Context, _ int) error {
	stream, cancel := context.WithCancel(o.ctx)
	stop := context.AfterFunc(attempt, cancel)
	body, info, _, err := o.core().GetObject(stream, o.store.bucket, o.store.prefix+o.key, minio.GetObjectOptions{})
	if err == nil && !stop() {
		err = errors.Join(context.Cause(attempt), body.Close())
	}
	if err != nil {
		cancel()
		return storeError(err)
	}
	o.body, o.cancel, o.size, o.etag = body, cancel, info.Size, info.ETag
	return nil
}

func (o *s3Object) core() minio.Core { return minio.Core{Client: o.store.client} }

func (o *s3Object) Size() int64 { return o.size }

// Read gives up on a server that stalls, and does not take the end of the
// stream for the end of the object.
func (o *s3Object) Read(p []byte) (int, error) {
	stalled := time.AfterFunc(stallTimeout, o.cancel)
	n, err := o.body.Read(p)
	if !stalled.Stop() && err != nil {
		err = fmt.Errorf("no byte in %s: %w", stallTimeout, err)
	}
	o.read += int64(n)
	switch {
	case err == io.EOF && o.read != o.size:
		err = io.ErrUnexpectedEOF
		fallthrough
	case err != nil && err != io.EOF:
		err = fmt.Errorf("reading %s after %d of %d bytes: %w", o.key, o.read, o.size, err)
	}
	return n, err
}

// Close ends the GET even if most of it has not arrived yet.
func (o *s3Object) Close() error {
	o.cancel()
	// Closing reports the cancellation, which is what was asked for.
	_ = o.body.Close()
	return nil
}

// ReadAt asks for the range p covers.
func (o *s3Object) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("reading %s: negative offset %d", o.key, off)
	}
	want := min(int64(len(p)), o.size-off)
	if want > 0 {
		err = attempts(o.ctx, callTimeout+time.Duration(want/slowest)*time.Second, maxAttempts,
			func(ctx context.Context, _ int) error {
				n, err = o.readRange(ctx, p[:want], off)
				return err
			})
	}
	if err != nil {
		return n, fmt.Errorf("reading %d bytes of %s from %d: %w", want, o.key, off, err)
	}
	if want < int64(len(p)) {
		return n, io.EOF
	}
	return n, nil
}

func (o *s3Object) readRange(ctx context.Context, p []byte, off int64) (int, error) {
	var options minio.GetObjectOptions
	if err := options.SetRange(off, off+int64(len(p))-1); err != nil {
		return 0, err
	}
	if err := options.SetMatchETag(o.etag); err != nil {
		return 0, err
	}
	body, _, header, err := o.core().GetObject(ctx, o.store.bucket, o.store.prefix+o.key, options)
	if err = storeError(err); errors.Is(err, ErrExists) { // 412
		return 0, errReplaced
	}
	if err != nil {
		return 0, err
	}
	defer body.Close()
	// Without this header the answer is the whole object: the range was ignored.
	if want := fmt.Sprintf("bytes %d-%d/%d", off, off+int64(len(p))-1, o.size); header.Get("Content-Range") != want {
		return 0, &answerError{http.StatusOK, "", fmt.Sprintf("server answered with the range %.80q, want %q", header.Get("Content-Range"), want)}
	}
	return io.ReadFull(body, p)
}

// errReplaced is final: the object that was opened is gone.
var errReplaced = &answerError{http.StatusPreconditionFailed, minio.PreconditionFailed, "the object has been replaced since it was opened"}

// Stat is Store.Stat.
func (s *S3) Stat(ctx context.Context, key string) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	info := Info{Key: key}
	err := attempts(ctx, callTimeout, maxAttempts, func(ctx context.Context, _ int) error {
		answer, err := s.client.StatObject(ctx, s.bucket, s.prefix+key, minio.StatObjectOptions{})
		info.Size = answer.Size
		return storeError(err)
	})
	if err != nil {
		return Info{}, fmt.Errorf("examining %s: %w", key, err)
	}
	return info, nil
}

// pageSize is how many keys List asks for, and holds, at once.
const pageSize = 1000

// List is Store.List. Each page is asked for by the last key of the one
// before, so a listing may take as long as its consumer needs.
func (s *S3) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		err := checkPrefix(prefix)
		for err == nil {
			var page []Info
			err = attempts(ctx, callTimeout, maxAttempts, func(ctx context.Context, _ int) (err error) {
				page, err = s.page(ctx, prefix, after)
				return err
			})
			for i := 0; err == nil && i < len(page); i++ {
				if page[i].Key <= after {
					err = fmt.Errorf("server lists %.80q after %.80q", page[i].Key, after)
					break
				}
				after = page[i].Key
				if !yield(page[i], nil) {
					return
				}
			}
			if err == nil && len(page) < pageSize {
				return
			}
		}
		yield(Info{}, fmt.Errorf("listing %q: %w", prefix, err))
	}
}

func (s *S3) page(ctx context.Context, prefix, after string) ([]Info, error) {
	options := minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true, MaxKeys: pageSize}
	if after != "" {
		options.StartAfter = s.prefix + after
	}
	page := make([]Info, 0, pageSize)
	for object := range s.client.ListObjectsIter(ctx, s.bucket, options) {
		if object.Err != nil {
			return nil, storeError(object.Err)
		}
		key, ok := strings.CutPrefix(object.Key, s.prefix)
		if !ok || !strings.HasPrefix(key, prefix) {
			return nil, &answerError{http.StatusOK, "", fmt.Sprintf("server lists %.80q under the prefix %q", object.Key, options.Prefix)}
		}
		if err := CheckKey(key); err != nil {
			return nil, fmt.Errorf("not put there by this store: %w", err)
		}
		page = append(page, Info{Key: key, Size: object.Size})
		if len(page) == pageSize {
			break
		}
	}
	// The iterator ends silently when the context does.
	return page, context.Cause(ctx)
}
