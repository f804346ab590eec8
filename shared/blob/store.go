// Package blob is the object store: packages, documents and verdict records
// by key. Every service uses it; the driver behind a Store is a directory
// (Dir) or an S3-compatible server (S3).
package blob

import (
	"context"
	"errors"
	"io"
	"iter"
)

// A Store keeps immutable objects, and a few small ones that change.
// Its methods may be called concurrently, also from several processes that
// share the same directory or bucket. A malformed key is ErrKey everywhere.
type Store interface {
	// Create stores body, exactly size bytes, under key. When it returns nil
	// the object is durable and complete; nobody ever sees part of it.
	//
	// ErrExists: the key is taken. The object there is durable, complete and
	// untouched, and body may not have been read to its end. It may be the
	// caller's own: an earlier process that died before it heard the answer.
	// So after ErrExists, compare before calling it a conflict.
	//
	// ErrWrongSize: body is shorter or longer than size; nothing was stored.
	// After any other error the object may or may not be there; Create again
	// tells.
	//
	// A body that is also an io.ReaderAt and an io.Seeker is sent again after
	// a passing network failure; any other is sent once.
	Create(ctx context.Context, key string, body io.Reader, size int64) error

	// Replace stores body under key whether or not there is something, for
	// the few small objects that change. It is atomic and durable like Create.
	// ErrTooLarge above MaxReplace; ErrKey for a content-addressed key.
	Replace(ctx context.Context, key string, body []byte) error

	// Swap replaces the object under key by body if it is old, byte for byte;
	// old nil stands for no object. Otherwise ErrChanged, and nothing
	// happens. Of several callers that give the same old one succeeds, as
	// long as their bodies differ: after an answer that was lost, one's own is
	// told from another's by its bytes. It has the limits of Replace; after
	// another error body may be stored or not.
	Swap(ctx context.Context, key string, old, body []byte) error

	// Open returns the object under key, or ErrNotFound. The caller closes it.
	Open(ctx context.Context, key string) (Object, error)

	// Stat describes the object under key, or returns ErrNotFound.
	Stat(ctx context.Context, key string) (Info, error)

	// List yields the objects whose keys start with prefix and come after
	// after ("" is from the beginning), in lexical order of their bytes.
	// An error is yielded once, last. Objects created or deleted meanwhile
	// may or may not appear.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]

	// Delete removes the object under key; it is no error if there is none.
	Delete(ctx context.Context, key string) error
}

// An Object is one stored object open for reading. Read and ReadAt are
// independent of each other; Read has one user at a time.
//
// Read of a content-addressed key verifies the digest as it goes: if the bytes
// are not the ones the key names, the last of them are withheld and Read
// returns ErrCorrupt. ReadAt cannot know; who reads ranges uses Fetch.
type Object interface {
	io.ReadCloser
	io.ReaderAt
	Size() int64
}

// Info describes an object; Size is in bytes.
type Info struct {
	Key  string
	Size int64
}

// MaxReplace is the size of the largest object that may be replaced, in bytes.
const MaxReplace = 1 << 20

// What callers tell apart; all are wrapped with the key and the reason.
var (
	ErrExists    = errors.New("object exists")
	ErrChanged   = errors.New("object is not the one that was to be replaced")
	ErrNotFound  = errors.New("object not found")
	ErrCorrupt   = errors.New("stored bytes are not the ones that were named")
	ErrTooLarge  = errors.New("too large")
	ErrWrongSize = errors.New("body is not of the announced size")
	ErrKey       = errors.New("malformed key")
)
