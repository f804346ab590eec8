package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

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
	for line, err := range tree.Entries(ctx, fetch, v.tree.size) {
		if err != nil {
			if ctx.Err() != nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrDamaged) && !errors.Is(err, tree.ErrBundle) {
				return err
			}
			return v.add("entries", v.head.Size, err.Error())
		}
		if err := v.line(ctx, "entries", line); err != nil {
			return err
		}
	}
	return nil
}
