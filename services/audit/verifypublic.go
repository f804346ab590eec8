package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"assize.dev/services/audit/internal/tree"
)

// VerifyPublished is Verify for who has nothing but what is published: the
// checkpoint, tiles and bundles that fetch reads, with paths as in
// c2sp.org/tlog-tiles.
func VerifyPublished(ctx context.Context, fetch tree.Fetch, o Options) (*Report, error) {
	v := &verifier{head: emptyHead(), options: o, report: Report{Problems: []Problem{}}}
	var err error
	v.tree, err = v.openTree(ctx, fetch)
	if err == nil && v.report.Checkpoint == nil && len(v.report.Problems) == 0 {
		return nil, fmt.Errorf("there is no checkpoint: %w", fs.ErrNotExist)
	}
	if err == nil {
		err = v.published(ctx, fetch)
	}
	if err == nil {
		err = v.tree.end(ctx)
	}
	if err != nil && !errors.Is(err, errEnoughProblems) {
		return nil, err
	}
	v.report.Entries, v.report.Chain, v.report.Positions = v.head.Size, v.head.Chain, v.head.Positions
	return &v.report, nil
}

func (v *verifier) published(ctx context.Context, fetch tree.Fetch) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for some := range v.examineAll(ctx, fetch) {
		for _, x := range some.lines {
			if err := v.line(ctx, "entries", x); err != nil {
				return err
			}
		}
		if err := some.err; err != nil {
			if ctx.Err() != nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrDamaged) && !errors.Is(err, tree.ErrBundle) {
				return err
			}
			return v.add("entries", v.head.Size, err.Error())
		}
	}
	return ctx.Err()
}

// examinedSome are lines that follow each other, and what is wrong after them.
type examinedSome struct {
	lines []examined
	err   error
}

// examineAll reads ahead and examines on all processors, as most of verifying is
// about lines alone. The channel ends after the last, or with ctx.
func (v *verifier) examineAll(ctx context.Context, fetch tree.Fetch) <-chan examinedSome {
	const (
		bundles = 16 // examined at a time
		each    = 64 // lines, by one goroutine
	)
	out := make(chan examinedSome, 1)
	go func() {
		defer close(out)
		for at := uint64(0); at < v.tree.size; {
			var some examinedSome
			for n := 0; n < bundles && at < v.tree.size && some.err == nil; n++ {
				var lines [][]byte
				lines, some.err = tree.Bundle(ctx, fetch, at/tree.Width, int(min(tree.Width, v.tree.size-at)))
				for _, line := range lines {
					some.lines = append(some.lines, examined{line: line})
				}
				at += tree.Width
			}
			var working sync.WaitGroup
			for part := range slices.Chunk(some.lines, each) {
				working.Go(func() {
					for i := range part {
						part[i] = examine(part[i].line)
					}
				})
			}
			working.Wait()
			select {
			case out <- some:
			case <-ctx.Done():
				return
			}
			if some.err != nil {
				return
			}
		}
	}()
	return out
}
