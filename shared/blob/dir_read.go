package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// Open is Store.Open.
func (d *Dir) Open(ctx context.Context, key string) (Object, error) {
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	f, info, err := d.open(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", key, notFound(err))
	}
	return verifying(key, &dirObject{f, info.Size()}), nil
}

func (d *Dir) open(ctx context.Context, key string) (*os.File, fs.FileInfo, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	if _, err := d.plain(key, 0); err != nil {
		return nil, nil, err
	}
	f, err := d.root.Open(key)
	if err != nil {
		return nil, nil, err
	}
	opened, err := f.Stat()
	if err == nil && !opened.Mode().IsRegular() {
		err = errForeign // exchanged since plain looked
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, opened, nil
}

// dirObject hides the file's other methods: who reads cannot write.
type dirObject struct {
	f    *os.File
	size int64
}

func (o *dirObject) Read(p []byte) (int, error)              { return o.f.Read(p) }
func (o *dirObject) ReadAt(p []byte, off int64) (int, error) { return o.f.ReadAt(p, off) }
func (o *dirObject) Size() int64                             { return o.size }
func (o *dirObject) Close() error                            { return o.f.Close() }

// Stat is Store.Stat.
func (d *Dir) Stat(ctx context.Context, key string) (Info, error) {
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	if err := context.Cause(ctx); err != nil {
		return Info{}, err
	}
	info, err := d.plain(key, 0)
	if err != nil {
		return Info{}, fmt.Errorf("examining %s: %w", key, notFound(err))
	}
	return Info{Key: key, Size: info.Size()}, nil
}

// Delete is Store.Delete. The directories above stay, as another process may
// be about to use them.
func (d *Dir) Delete(ctx context.Context, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	err := context.Cause(ctx)
	if err == nil {
		_, err = d.plain(key, 0)
	}
	if err == nil {
		err = d.root.Remove(key)
	}
	if errors.Is(notFound(err), ErrNotFound) {
		return nil
	}
	if err == nil {
		err = d.sync(path.Dir(key))
	}
	if err != nil {
		return fmt.Errorf("deleting %s: %w", key, err)
	}
	return nil
}

// notFound says ErrNotFound for the ways in which a file system can say it. A
// key that is a directory, or below a file, has no object either.
func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, errMisfiled) {
		return ErrNotFound
	}
	return err
}

// List is Store.List. What the store did not put there is an error: it is
// either damage or somebody's mistake. It holds one directory's names, and
// those of the directories above, in memory.
func (d *Dir) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		err := checkPrefix(prefix)
		dir := "."
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			dir = prefix[:i]
		}
		if err == nil && dir != "." {
			_, err = d.plain(dir, fs.ModeDir)
			if errors.Is(notFound(err), ErrNotFound) {
				return
			}
		}
		if err == nil {
			_, err = d.list(ctx, dir, prefix, after, yield)
		}
		if err != nil {
			yield(Info{}, fmt.Errorf("listing %q: %w", prefix, err))
		}
	}
}

// list yields what is below dir and matches. more is false once yield was.
func (d *Dir) list(ctx context.Context, dir, prefix, after string, yield func(Info, error) bool) (more bool, err error) {
	entries, err := d.entries(dir)
	if err != nil {
		return false, err
	}
	for _, key := range entries {
		if err := context.Cause(ctx); err != nil {
			return false, err
		}
		switch {
		case key == scratch+"/":
		case strings.HasSuffix(key, "/"):
			// Everything below key+"…" sorts before after, unless after is
			// itself below key or key sorts after it.
			if !strings.HasPrefix(key, prefix) && !strings.HasPrefix(prefix, key) || key < after && !strings.HasPrefix(after, key) {
				continue
			}
			more, err = d.list(ctx, strings.TrimSuffix(key, "/"), prefix, after, yield)
			if err != nil || !more {
				return false, err
			}
		case strings.HasPrefix(key, prefix) && key > after:
			info, err := d.Stat(ctx, key)
			if errors.Is(err, ErrNotFound) {
				continue // deleted meanwhile
			}
			if err != nil {
				return false, err
			}
			if !yield(info, nil) {
				return false, nil
			}
		}
	}
	return true, nil
}

// entries are the keys in dir, directories with a slash at their end, which
// puts them where the keys below them sort among the others.
func (d *Dir) entries(dir string) ([]string, error) {
	f, err := d.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	entries := make([]string, 0, len(found))
	for _, entry := range found {
		name := path.Join(dir, entry.Name())
		if entry.IsDir() {
			name += "/"
		}
		entries = append(entries, name)
	}
	slices.Sort(entries)
	return entries, nil
}
