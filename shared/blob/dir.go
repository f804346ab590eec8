package blob

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"
)

// Dir is a Store in a directory of a local file system that has hard links and
// honours fsync. An object is a file, mode 0400, named by its key; it is
// written under tmp/, synced, and linked to its name, which fails if the name
// is taken. Then every directory on the way is synced.
//
// Nothing a key says leaves the directory (os.Root), and symbolic links in it
// are not followed. Several processes of one user may share it.
type Dir struct {
	root *os.Root

	mu      sync.Mutex
	durable map[string]bool   // directories that would survive a power failure
	syncs   map[string]*flush // the newest of each directory, until it has ended
}

// staleAfter is the age from which an unfinished object in tmp/ is certainly
// nobody's work in progress: writing updates its time.
const staleAfter = 24 * time.Hour

// OpenDir opens the store in directory name, which is created if need be, and
// removes what processes that died long ago left unfinished.
func OpenDir(name string) (*Dir, error) {
	if name == "" {
		return nil, errors.New("opening the store: no directory given")
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	if err := makeRoot(absolute); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	root, err := os.OpenRoot(absolute)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	d := &Dir{root: root, syncs: map[string]*flush{}}
	d.forget()
	if err = d.settle(scratch); err == nil {
		err = d.removeStale(time.Now().Add(-staleAfter))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store: %w", err), root.Close())
	}
	return d, nil
}

// Close releases the directory; objects that are open stay readable.
func (d *Dir) Close() error { return d.root.Close() }

// Create is Store.Create.
func (d *Dir) Create(ctx context.Context, key string, body io.Reader, size int64) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if size < 0 {
		return fmt.Errorf("creating %s: %w: %d", key, ErrWrongSize, size)
	}
	err := d.create(ctx, key, body, size)
	if err != nil {
		return fmt.Errorf("creating %s: %w", key, err)
	}
	return nil
}

func (d *Dir) create(ctx context.Context, key string, body io.Reader, size int64) error {
	err := context.Cause(ctx)
	if err == nil {
		_, err = d.plain(key, 0)
	}
	switch {
	case err == nil: // spare the caller the writing
		err = ErrExists
		if failed := d.settle(path.Dir(key)); failed != nil {
			err = failed
		}
		return err
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return d.write(ctx, key, body, size, d.root.Link)
}

// Replace is Store.Replace.
func (d *Dir) Replace(ctx context.Context, key string, body []byte) error {
	if err := checkReplaceable(key, len(body)); err != nil {
		return err
	}
	err := d.write(ctx, key, bytes.NewReader(body), int64(len(body)), d.root.Rename)
	if err != nil {
		return fmt.Errorf("replacing %s: %w", key, err)
	}
	return nil
}

// write gives a finished, synced file its name by publish. Directories that
// are new become durable meanwhile.
func (d *Dir) write(ctx context.Context, key string, body io.Reader, size int64, publish func(from, to string) error) error {
	fresh, err := d.makeDir(path.Dir(key))
	if err != nil {
		return err
	}
	above := d.persist(fresh)
	err = d.place(ctx, key, body, size, publish)
	if failed := <-above; failed != nil {
		return failed
	}
	if err == nil {
		d.remember(fresh)
	}
	return err
}

func (d *Dir) place(ctx context.Context, key string, body io.Reader, size int64, publish func(from, to string) error) error {
	unfinished, err := d.finish(ctx, body, size)
	if err != nil {
		return err
	}
	err = publish(unfinished, key)
	switch {
	case errors.Is(err, fs.ErrNotExist): // someone tidied empty directories away
		d.forget()
	case errors.Is(err, fs.ErrExist):
		err = ErrExists
		if _, problem := d.plain(key, 0); errors.Is(problem, errForeign) || errors.Is(problem, errMisfiled) {
			err = problem
		}
	}
	if removal := d.root.Remove(unfinished); removal != nil && !errors.Is(removal, fs.ErrNotExist) {
		err = errors.Join(err, removal)
	}
	// Also when the name was taken: the winner may not have synced it yet.
	if failed := d.sync(path.Dir(key)); failed != nil {
		return failed
	}
	return err
}

// finish writes body to a new file in tmp/ and returns its name once the
// bytes, their number and the mode are safe.
func (d *Dir) finish(ctx context.Context, body io.Reader, size int64) (name string, err error) {
	unfinished := scratch + "/" + rand.Text()
	f, err := d.root.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	err = copyExactly(f, contextReader{ctx, body}, size)
	if err == nil {
		err = f.Chmod(0o400)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, d.root.Remove(unfinished))
	}
	return unfinished, nil
}

// copyExactly returns ErrWrongSize unless src ends after size bytes.
func copyExactly(dst io.Writer, src io.Reader, size int64) error {
	n, err := io.Copy(dst, io.LimitReader(src, size))
	if err != nil {
		return err
	}
	if n < size {
		return fmt.Errorf("%w: %d bytes, want %d", ErrWrongSize, n, size)
	}
	return expectEnd(src, size)
}

func expectEnd(src io.Reader, size int64) error {
	switch _, err := io.ReadFull(src, make([]byte, 1)); err {
	case io.EOF:
		return nil
	case nil:
		return fmt.Errorf("%w: more than %d bytes", ErrWrongSize, size)
	default:
		return err
	}
}

func (d *Dir) removeStale(before time.Time) error {
	f, err := d.root.Open(scratch)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(1024)
		for _, entry := range entries {
			info, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // another process finished it
			}
			if err != nil {
				return err
			}
			if !info.Mode().IsRegular() || info.ModTime().After(before) {
				continue
			}
			if err := d.root.Remove(scratch + "/" + entry.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// plain describes name without following a symbolic link, neither in name nor
// above it, provided it is of the wanted type (0 is a regular file).
func (d *Dir) plain(name string, want fs.FileMode) (fs.FileInfo, error) {
	for end := range len(name) {
		if name[end] != '/' {
			continue
		}
		if _, err := d.is(name[:end], fs.ModeDir); err != nil {
			return nil, err
		}
	}
	return d.is(name, want)
}

func (d *Dir) is(name string, want fs.FileMode) (fs.FileInfo, error) {
	info, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	switch got := info.Mode().Type(); got {
	case want:
		return info, nil
	case 0:
		return nil, fmt.Errorf("%w: %s is an object", errMisfiled, name)
	case fs.ModeDir:
		return nil, fmt.Errorf("%w: %s is a directory", errMisfiled, name)
	default:
		return nil, fmt.Errorf("%s has the file mode %s: %w", name, got, errForeign)
	}
}

var (
	errMisfiled = errors.New("a key is the directory of another")
	errForeign  = errors.New("not part of the store") // a link, a device, a socket
)
