//go:build !unix

package feed

import (
	"errors"
	"io/fs"
	"os"
)

// lockFile makes a file that must not exist; a process that is killed leaves
// it for a person to remove.
func lockFile(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, ErrBusy
	}
	if err != nil {
		return nil, err
	}
	return func() { f.Close(); os.Remove(path) }, nil
}
