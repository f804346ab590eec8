package keyset

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is what a change of the files consists of, so that tests can let it
// end after any step.
type disk interface {
	create(path string, data []byte, mode fs.FileMode) error // a new file, synced
	link(from, to string) error                              // fails if to exists
	rename(from, to string) error
	remove(path string) error
	syncDir(path string) error
}

// writeNew makes a file that must not exist: all of it or nothing, durable on
// return.
func writeNew(d disk, path string, data []byte, mode fs.FileMode) error {
	temporary := beside(path)
	if err := d.create(temporary, data, mode); err != nil {
		return err
	}
	err := d.link(temporary, path)
	return errors.Join(err, d.remove(temporary), d.syncDir(filepath.Dir(path)))
}

// replace makes path hold data: the old or the new, durable on return.
func replace(d disk, path string, data []byte, mode fs.FileMode) error {
	temporary := beside(path)
	if err := d.create(temporary, data, mode); err != nil {
		return err
	}
	if err := d.rename(temporary, path); err != nil {
		return errors.Join(err, d.remove(temporary))
	}
	return d.syncDir(filepath.Dir(path))
}

// beside is a name in the same directory that no reader looks at.
func beside(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()[:8])
}

type osDisk struct{}

func (osDisk) create(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func (osDisk) link(from, to string) error   { return os.Link(from, to) }
func (osDisk) rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) remove(path string) error     { return os.Remove(path) }

func (osDisk) syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
