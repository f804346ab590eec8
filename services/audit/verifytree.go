package audit

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"assize.dev/services/audit/internal/checkpoint"
	"assize.dev/services/audit/internal/tree"
)

// treeCheck holds the tree that follows from the lines against what is
// published, as the lines come.
type treeCheck struct {
	v     *verifier
	fetch tree.Fetch
	tree  tree.Tree
	size  uint64 // that is published
	marks map[uint64][]mark
}

// mark is a root that was stated for a size.
type mark struct {
	root  tlog.Hash
	where string // by what
	kept  bool   // elsewhere
}

// openTree reads the checkpoint and those that were kept.
func (v *verifier) openTree(ctx context.Context, fetch tree.Fetch) (*treeCheck, error) {
	t := &treeCheck{v: v, fetch: fetch, marks: map[uint64][]mark{}}
	raw, err := fetch(ctx, "checkpoint", checkpoint.MaxSigned)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil && !errors.Is(err, ErrDamaged):
		return nil, err
	default:
		var c *CheckpointReport
		if err == nil {
			c, err = v.open(raw)
		}
		if err != nil {
			return t, v.add(checkpointKey, 0, err.Error())
		}
		t.size, v.report.Checkpoint = c.Size, c
		t.mark(c, checkpointKey, false)
	}
	return t, v.kept(t)
}

// kept takes the checkpoints to compare with.
func (v *verifier) kept(t *treeCheck) error {
	for _, raw := range v.options.Kept {
		c, err := v.open(raw)
		if err == nil && v.report.Checkpoint != nil && c.Origin != v.report.Checkpoint.Origin {
			err = fmt.Errorf("it is of the log %q, and this is %q", c.Origin, v.report.Checkpoint.Origin)
		}
		if err != nil {
			return fmt.Errorf("the checkpoint to compare with: %w", err)
		}
		t.mark(c, "the checkpoint to compare with", true)
		if v.report.Checkpoint != nil && c.Size > t.size {
			if err := v.add(checkpointKey, t.size, fmt.Sprintf("the log is published up to %d entries, but it was up to %d before: it was rolled back", t.size, c.Size)); err != nil {
				return err
			}
		}
	}
	return nil
}

// open is a signed checkpoint, verified if there is a policy.
func (v *verifier) open(raw []byte) (*CheckpointReport, error) {
	if v.options.Policy == nil {
		c, err := checkpoint.Unverified(raw)
		if err != nil {
			return nil, err
		}
		return &CheckpointReport{Origin: c.Origin, Size: c.Size, Root: c.Root[:], Signed: raw}, nil
	}
	s, err := v.options.Policy.Open(raw)
	if err != nil {
		return nil, err
	}
	return &CheckpointReport{Origin: s.Origin, Size: s.Size, Root: s.Root[:], Verified: true, Cosigned: s.Cosigned, Signed: raw}, nil
}

func (t *treeCheck) mark(c *CheckpointReport, where string, kept bool) {
	t.marks[c.Size] = append(t.marks[c.Size], mark{tlog.Hash(c.Root), where, kept})
}

// history takes all checkpoints there have been. One beyond the published one
// was signed by a process that did not get to publish it.
func (v *verifier) history(ctx context.Context) error {
	for info, err := range v.store.List(ctx, historyPrefix, "") {
		if err != nil {
			return err
		}
		raw, err := fetch(ctx, v.store, info.Key[len(publicPrefix):], checkpoint.MaxSigned)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
		var c *CheckpointReport
		if err == nil {
			// Witnesses may have been others then: only the log's key counts.
			c, err = (&verifier{options: Options{Policy: v.options.Policy.LogOnly()}}).open(raw)
		}
		size, named := strconv.ParseUint(strings.TrimPrefix(info.Key, historyPrefix), 10, 64)
		if err == nil && (named != nil || historyKey(size) != info.Key || c.Size != size) {
			err = fmt.Errorf("it is of %d entries", c.Size)
		}
		if err != nil {
			if err := v.add(info.Key, size, err.Error()); err != nil {
				return nil // and the report says enough
			}
			continue
		}
		v.tree.mark(c, info.Key, false)
	}
	return nil
}

// line adds a line that follows the last one.
func (t *treeCheck) line(ctx context.Context, x examined) error {
	if t.off() {
		return nil // damage to the lines is damage to the tree: it says no more
	}
	if err := t.tree.AddHashed(x.line, x.leaf); err != nil {
		return t.v.add("", t.tree.Size(), err.Error())
	}
	if t.tree.Size() <= t.size {
		for _, o := range t.tree.Full() {
			if err := t.compare(ctx, o); err != nil {
				return err
			}
		}
	}
	t.tree.Full()
	if t.tree.Size() == t.size {
		for _, o := range t.tree.Partial() {
			if err := t.compare(ctx, o); err != nil {
				return err
			}
		}
	}
	return t.marked(t.tree.Size())
}

func (t *treeCheck) off() bool { return len(t.v.report.Problems) > 0 }

// marked holds the root of this size against those that were stated for it.
func (t *treeCheck) marked(size uint64) error {
	marks := t.marks[size]
	if marks == nil {
		return nil
	}
	delete(t.marks, size)
	root := t.tree.Root()
	for _, m := range marks {
		if t.off() {
			return nil
		}
		if m.root != root {
			err := t.v.add(m.where, size, fmt.Sprintf("its root for %d entries is not the one that follows from them: the entries were rewritten, or there are two logs", size))
			if err != nil {
				return err
			}
			continue
		}
		if m.kept {
			t.v.report.Consistent = max(t.v.report.Consistent, size)
		}
	}
	return nil
}

// end is when there are no more lines.
func (t *treeCheck) end(ctx context.Context) error {
	if t.off() {
		return nil
	}
	if t.tree.Size() == 0 {
		if err := t.marked(0); err != nil {
			return err
		}
	}
	for _, size := range slices.Sorted(maps.Keys(t.marks)) {
		m := t.marks[size][0]
		if err := t.v.add(m.where, t.tree.Size(), fmt.Sprintf("the log ends after %d entries, but %d were signed: its tail is cut off", t.tree.Size(), size)); err != nil {
			return err
		}
	}
	return nil
}

// compare holds a tile or a bundle against the published one.
func (t *treeCheck) compare(ctx context.Context, o tree.Object) error {
	if t.off() || t.v.store == nil && strings.HasPrefix(o.Path, "tile/entries/") {
		return nil // strangers have the lines from there
	}
	there, err := t.fetch(ctx, o.Path, int64(len(o.Content)))
	full, _, partial := strings.Cut(o.Path, ".p/")
	if partial && errors.Is(err, fs.ErrNotExist) {
		// It has become full since the checkpoint was read.
		if whole, failed := t.fetch(ctx, full, maxObject); failed == nil && len(whole) >= len(o.Content) {
			there, err = whole[:len(o.Content)], nil
		}
	}
	first := t.tree.Size()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t.v.add(publicPrefix+o.Path, first, "it is missing")
	case errors.Is(err, ErrDamaged):
		return t.v.add(publicPrefix+o.Path, first, err.Error())
	case err != nil:
		return err
	case bytes.Equal(there, o.Content):
		return nil
	}
	entry, what := t.differs(o, there)
	return t.v.add(publicPrefix+o.Path, entry, what)
}

const maxObject = tree.Width * (2 + tree.MaxEntry)

// differs says which entry an object is wrong about.
func (t *treeCheck) differs(o tree.Object, there []byte) (entry uint64, what string) {
	level, number := o.Path[len("tile/"):], uint64(0)
	level, rest, _ := strings.Cut(level, "/")
	rest, _, _ = strings.Cut(rest, ".p/")
	for _, group := range strings.Split(rest, "/") {
		n, err := strconv.ParseUint(strings.TrimPrefix(group, "x"), 10, 64)
		if err != nil {
			return t.tree.Size(), "it is not what follows from the log"
		}
		number = number*1000 + n
	}
	at := 0 // of the first byte that differs
	for at < min(len(there), len(o.Content)) && there[at] == o.Content[at] {
		at++
	}
	if level == "entries" {
		entry = number * tree.Width
		for b := o.Content; len(b) >= 2 && at >= 2+int(binary.BigEndian.Uint16(b)); entry++ {
			n := 2 + int(binary.BigEndian.Uint16(b))
			at, b = at-n, b[n:]
		}
		return entry, fmt.Sprintf("entry %d: it is another in the published bundle", entry)
	}
	l, err := strconv.Atoi(level)
	if err != nil {
		return t.tree.Size(), "it is not what follows from the log"
	}
	each := uint64(1) << (8 * l)
	entry = (number*tree.Width + uint64(at/tlog.HashSize)) * each
	return entry, fmt.Sprintf("the hash of entries %d to %d is not the one that follows from them", entry, entry+each-1)
}
