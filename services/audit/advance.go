package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"assize.dev/services/audit/internal/checkpoint"
	"assize.dev/services/audit/internal/tree"
	"assize.dev/shared/blob"
)

// advance grows the tree to the end of the log, by way of what is published.
func (p *Publisher) advance(ctx context.Context) error {
	if err := p.look(ctx); err != nil {
		return err
	}
	if p.tree == nil {
		if err := p.load(ctx); err != nil {
			return err
		}
	}
	for {
		if p.last != nil && p.tree.Size() == p.last.Size {
			if p.tree.Root() != p.last.Root {
				return fmt.Errorf("%w: the first %d entries are not those that were signed", ErrDamaged, p.last.Size)
			}
			p.pending = nil // who signed has stored them
		}
		before := p.tree.Size()
		more, err := p.segment(ctx)
		if err != nil {
			return err
		}
		if before < p.size() && p.size() < p.tree.Size() {
			return fmt.Errorf("%w: %s goes over the end of the %d entries that were signed", ErrDamaged, segmentKey(before), p.size())
		}
		if !more {
			break
		}
	}
	if p.tree.Size() < p.size() {
		return fmt.Errorf("%w: it has %d entries, but %d were signed", ErrDamaged, p.tree.Size(), p.last.Size)
	}
	return nil
}

// look reads the checkpoint.
func (p *Publisher) look(ctx context.Context) error {
	raw, err := p.fetch(ctx, "checkpoint", checkpoint.MaxSigned)
	if errors.Is(err, fs.ErrNotExist) {
		if p.last != nil {
			return fmt.Errorf("%w: the checkpoint of %d entries is gone", ErrDamaged, p.last.Size)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if p.last != nil && bytes.Equal(raw, p.last.raw) {
		return nil
	}
	s, err := p.policy.Open(raw)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, checkpointKey, err)
	}
	if p.last != nil && s.Size < p.last.Size {
		return fmt.Errorf("%w: the checkpoint went back from %d entries to %d", ErrDamaged, p.last.Size, s.Size)
	}
	p.last = &published{Signed: s, raw: raw, at: time.Now()}
	if p.tree != nil && p.tree.Size() > s.Size {
		p.tree = nil // to be compared with what was signed meanwhile
	}
	return nil
}

func (p *Publisher) fetch(ctx context.Context, path string, limit int64) ([]byte, error) {
	return fetch(ctx, p.store, path, limit)
}

// fetch reads what is published, as a tree.Fetch does.
func fetch(ctx context.Context, store blob.Store, path string, limit int64) ([]byte, error) {
	o, err := store.Open(ctx, publicPrefix+path)
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrKey) {
		return nil, fmt.Errorf("%s%s: %w", publicPrefix, path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	defer o.Close()
	b, err := io.ReadAll(io.LimitReader(o, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%w: %s%s: more than %d bytes", ErrDamaged, publicPrefix, path, limit)
	}
	return b, err
}

// load is the tree as it was published.
func (p *Publisher) load(ctx context.Context) (err error) {
	p.pending, p.garbage = nil, nil
	p.proofs.forget()
	if p.last == nil {
		p.tree = new(tree.Tree)
		return nil
	}
	t, err := tree.Load(ctx, p.fetch, p.last.Size)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err != nil {
		return err
	}
	if t.Root() != p.last.Root {
		return fmt.Errorf("%w: the tiles of its first %d entries are not those that were signed", ErrDamaged, p.last.Size)
	}
	if err := p.proofs.resume(ctx, p.store, p.last.Size); err != nil {
		return err
	}
	if err := p.tie(ctx); err != nil {
		return err
	}
	p.tree, p.garbage = t, t.Before(lookBack)
	return nil
}

// lookBack is how many full tiles before the edge are looked at for what a
// killed process has left beside them: each kill leaves one at most.
const lookBack = 32

// tie checks that the segments go as far as what was signed and end with the
// same line there, which by its hash chain stands for all before it.
func (p *Publisher) tie(ctx context.Context) error {
	size := p.last.Size
	after := ""
	if size > maxSegment {
		after = segmentKey(size - maxSegment - 1)
	}
	holds := ""
	for info, err := range p.store.List(ctx, segmentPrefix, after) {
		if err != nil {
			return err
		}
		if info.Key >= segmentKey(size) {
			break
		}
		holds = info.Key
	}
	first, ok := parseSegmentKey(holds)
	if !ok {
		return fmt.Errorf("%w: %d entries were signed, and it has not as many", ErrDamaged, size)
	}
	var last []byte
	for line, err := range lines(ctx, p.store, holds) {
		if err != nil {
			return err
		}
		first, last = first+1, append(last[:0], line...)
	}
	if first != size {
		return fmt.Errorf("%w: %s ends with entry %d, but %d entries were signed", ErrDamaged, holds, first-1, size)
	}
	entries, err := tree.Bundle(ctx, p.fetch, (size-1)/tree.Width, int((size-1)%tree.Width+1))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if !bytes.Equal(last, entries[len(entries)-1]) {
		return fmt.Errorf("%w: entry %d is not the one that was signed", ErrDamaged, size-1)
	}
	return nil
}

// segment adds the segment that follows, if there is one.
func (p *Publisher) segment(ctx context.Context) (more bool, err error) {
	for line, err := range lines(ctx, p.store, segmentKey(p.tree.Size())) {
		if errors.Is(err, blob.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		p.proofs.see(p.tree.Size(), line)
		if err := p.tree.Add(line); err != nil {
			return false, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	full := p.tree.Full()
	p.pending = append(p.pending, full...)
	for _, o := range full {
		p.garbage = append(p.garbage, tree.Object{Path: o.Path})
	}
	return true, nil
}
