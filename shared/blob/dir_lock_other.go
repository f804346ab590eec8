//go:build !unix

package blob

import "sync"

var swapping sync.Mutex

// lock excludes other calls of this process only: here a directory has one.
func (d *Dir) lock() (unlock func(), err error) {
	swapping.Lock()
	return swapping.Unlock, nil
}
