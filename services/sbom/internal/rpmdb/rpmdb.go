// Package rpmdb reads the databases in which rpm notes what is installed:
// SQLite (rpmdb.sqlite), NDB (Packages.db) and Berkeley DB (Packages), all
// without locking or writing, from bytes that may be anybody's.
package rpmdb

import (
	"errors"
	"fmt"
	"io"
)

// Bounds of what is read.
const (
	maxBlob     = 16 << 20 // bytes of one package's header
	maxPackages = 100_000
)

// ErrUnknown means that the bytes are no database of a known kind.
var ErrUnknown = errors.New("neither SQLite, nor NDB, nor a Berkeley DB hash")

// Read tells the header of each installed package, as rpm stores it: counts,
// index and store, without a magic. An error ends it; what was found before
// has been told. An error of found is returned as it is.
func Read(r io.ReaderAt, size int64, found func(header []byte) error) error {
	head := make([]byte, 512)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	head = head[:n]
	packages := 0
	tell := func(header []byte) error {
		if packages++; packages > maxPackages {
			return fmt.Errorf("more than %d packages", maxPackages)
		}
		return found(header)
	}
	f := &file{r, size}
	switch {
	case isSQLite(head):
		return readSQLite(f, head, tell)
	case isNDB(head):
		return readNDB(f, head, tell)
	case isBerkeley(head):
		return readBerkeley(f, head, tell)
	}
	return ErrUnknown
}

// file is read in pieces whose places the file itself gives.
type file struct {
	r    io.ReaderAt
	size int64
}

// at reads n bytes at an offset. That they lie outside is damage.
func (f *file) at(offset, n int64) ([]byte, error) {
	if offset < 0 || n < 0 || n > maxBlob || offset > f.size-n {
		return nil, fmt.Errorf("%d bytes at offset %d lie outside the %d bytes of the database", n, offset, f.size)
	}
	data := make([]byte, n)
	if _, err := f.r.ReadAt(data, offset); err != nil && err != io.EOF {
		return nil, err
	}
	return data, nil
}
