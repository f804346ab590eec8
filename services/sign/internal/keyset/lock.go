package keyset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// lockFile is there for good: one that was removed could be locked by two,
// under one name.
const lockFile = "lock"

// lockWait is how long to wait before the next try: a change takes a few
// times as long, most of it waiting for the disk.
const lockWait = 20 * time.Millisecond

var errLocked = errors.New("locked")

// Lock makes this process, and of it the caller alone, the only one to change
// the directory until unlock is called or the process ends, however it ends.
// While another one does it waits, until ctx ends. Readers need no lock.
func (d Dir) Lock(ctx context.Context) (unlock func(), err error) {
	path := d.Path(lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the key set: %w", err)
	}
	for {
		if err = lock(f); !errors.Is(err, errLocked) {
			break
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("locking the key set: somebody else is changing it: %w", ctx.Err())
		case <-time.After(lockWait):
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
