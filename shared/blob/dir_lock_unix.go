//go:build unix

package blob

import "golang.org/x/sys/unix"

// lock waits for the lock on the scratch directory. Each call opens the
// directory anew, so it also excludes other calls of this process.
func (d *Dir) lock() (unlock func(), err error) {
	f, err := d.root.Open(scratch)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
