package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// A directory's entries survive a power failure once the directory is synced,
// and the directory itself once the one above it is. Waiting for the disk is
// most of what a small object costs, so nobody waits twice: directories are
// synced side by side, and those who want the same one share a sync.

// maxDurable bounds Dir.durable; forgetting only costs syncs.
const maxDurable = 4096

// settle makes dir if need be, and makes sure that it and what is in it would
// survive a power failure, whoever put it there.
func (d *Dir) settle(dir string) error {
	fresh, err := d.makeDir(dir)
	if err != nil {
		return err
	}
	above := d.persist(fresh)
	err = d.sync(dir)
	if err = errors.Join(<-above, err); err == nil {
		d.remember(fresh)
	}
	return err
}

// makeDir makes a directory and those above it. It returns those of them that
// are not known to survive a power failure, which persist sees to. One that
// exists may have been made a moment ago by a process that has not synced yet,
// so it counts as fresh until we have.
func (d *Dir) makeDir(name string) (fresh []string, err error) {
	d.mu.Lock()
	known := d.durable[name]
	d.mu.Unlock()
	if known {
		return nil, nil
	}
	if fresh, err = d.makeDir(path.Dir(name)); err != nil {
		return nil, err
	}
	err = d.root.Mkdir(name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		_, err = d.plain(name, fs.ModeDir)
	}
	if err != nil {
		return nil, err
	}
	return append(fresh, name), nil
}

// persist syncs the directories above those that are fresh. It returns at
// once; the channel tells, once, when that is done, and the caller must wait
// for it. Only remember makes them known, as an object that could not be
// linked shows that somebody has tidied them away.
func (d *Dir) persist(fresh []string) <-chan error {
	done := make(chan error, 1)
	if len(fresh) == 0 {
		done <- nil
		return done
	}
	var above errgroup.Group
	for _, name := range fresh {
		above.Go(func() error { return d.sync(path.Dir(name)) })
	}
	go func() { done <- above.Wait() }()
	return done
}

func (d *Dir) remember(fresh []string) {
	if len(fresh) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.durable)+len(fresh) > maxDurable {
		d.durable = map[string]bool{".": true}
	}
	for _, name := range fresh {
		d.durable[name] = true
	}
}

func (d *Dir) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.durable = map[string]bool{".": true}
}

// flush is one sync of a directory, and all who wait for it.
type flush struct {
	begun bool // too late to join; Dir.mu guards it
	done  chan struct{}
	err   error // once done
}

// sync returns once all that dir holds now would survive a power failure. It
// joins a sync that has not begun; behind one that has, it begins the next.
func (d *Dir) sync(dir string) error {
	d.mu.Lock()
	before := d.syncs[dir]
	if before != nil && !before.begun {
		d.mu.Unlock()
		<-before.done
		return before.err
	}
	f := &flush{done: make(chan struct{})}
	d.syncs[dir] = f
	d.mu.Unlock()
	if before != nil {
		<-before.done // meanwhile others join
	}
	d.mu.Lock()
	f.begun = true
	d.mu.Unlock()

	f.err = d.syncNow(dir)

	d.mu.Lock()
	if d.syncs[dir] == f {
		delete(d.syncs, dir)
	}
	d.mu.Unlock()
	close(f.done)
	return f.err
}

func (d *Dir) syncNow(dir string) error {
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// makeRoot makes the store's own directory, which has no root yet, and those
// above it durably.
func makeRoot(name string) error {
	info, err := os.Stat(name)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a directory", name)
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(name)
	if err := makeRoot(parent); err != nil {
		return err
	}
	if err := os.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
