package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// record is what a small event takes on the disk.
var record = make([]byte, 1024)

// appendSynced is the disk's own speed for what a stream does: append to a
// file and wait until it is safe.
func appendSynced(ctx context.Context, dir string, n int) (s Sample, err error) {
	f, err := os.Create(filepath.Join(dir, "appended"))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return measure(ctx, n, 1, func(context.Context, int) error {
		if _, err := f.Write(record); err != nil {
			return err
		}
		return f.Sync()
	})
}

// createSynced is its speed for what a store does: make a file and wait until
// its bytes and its name are safe.
func createSynced(ctx context.Context, dir string, n int) (Sample, error) {
	folder := filepath.Join(dir, "created")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return Sample{}, err
	}
	return measure(ctx, n, 1, func(_ context.Context, i int) error {
		f, err := os.Create(filepath.Join(folder, strconv.Itoa(i)))
		if err != nil {
			return err
		}
		_, err = f.Write(record)
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
		parent, err := os.Open(folder)
		if err != nil {
			return err
		}
		return errors.Join(parent.Sync(), parent.Close())
	})
}
