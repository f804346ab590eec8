package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"assize.dev/services/audit/internal/checkpoint"
	"assize.dev/services/audit/internal/tree"
	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// ProofName is the name of the proof in a verdict's record: a
// c2sp.org/tlog-proof whose extra data is the entry itself.
const ProofName = "tlog-proof"

// provenKey says up to which entry all verdicts have their proofs. It may be
// behind: what is proven again is the same.
const provenKey = publicPrefix + "proven.json"

// proofs are those that verdicts still wait for.
type proofs struct {
	proven  uint64 // as stored
	waiting []waiting
}

// waiting is a verdict's entry.
type waiting struct {
	index    uint64
	artifact digest.Digest
	run      string
	line     []byte
	since    time.Time
}

func (p *proofs) forget() { *p = proofs{} }

// verdictEnd is the last member of the line of a verdict.
var verdictEnd = []byte(`"type":"` + string(event.TypeVerdict) + `"}`)

// see notes an entry that is a verdict.
func (p *proofs) see(index uint64, line []byte) {
	if index < p.proven || !bytes.HasSuffix(line, verdictEnd) {
		return
	}
	e, err := ParseLine(line)
	if err != nil || e.Envelope == "" || e.Artifact == "" {
		return // verify says what is wrong
	}
	run := e.Subject[strings.LastIndexByte(e.Subject, '.')+1:]
	if blob.CheckKey(blob.VerdictKey(e.Artifact, run, ProofName)) != nil {
		return
	}
	p.waiting = append(p.waiting, waiting{index, e.Artifact, run, bytes.Clone(line), time.Now()})
}

type provenNote struct {
	Size uint64 `json:"size"`
}

func readProven(ctx context.Context, store blob.Store) (uint64, error) {
	b, err := fetch(ctx, store, provenKey[len(publicPrefix):], blob.MaxReplace)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	var n provenNote
	if err == nil && json.Unmarshal(b, &n) != nil {
		return 0, nil // a note to save work, no more
	}
	return n.Size, err
}

// resume collects the verdicts of published entries that may lack their proofs.
func (p *proofs) resume(ctx context.Context, store blob.Store, size uint64) (err error) {
	if p.proven, err = readProven(ctx, store); err != nil {
		return err
	}
	read := func(ctx context.Context, path string, limit int64) ([]byte, error) {
		return fetch(ctx, store, path, limit)
	}
	for at := p.proven / tree.Width * tree.Width; at < size; at += tree.Width {
		entries, err := tree.Bundle(ctx, read, at/tree.Width, int(min(tree.Width, size-at)))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		for i, line := range entries {
			p.see(at+uint64(i), line)
		}
	}
	return nil
}

// below counts those before an index.
func (p *proofs) below(index uint64) int {
	return sort.Search(len(p.waiting), func(i int) bool { return p.waiting[i].index >= index })
}

// another replica has this long to prove what it has published.
const patience = 10 * time.Second

// prove writes the proofs of published verdicts, unless another does.
func (p *Publisher) prove(ctx context.Context) error {
	w := &p.proofs
	size := p.size()
	if w.below(size) == 0 {
		return nil
	}
	if !p.last.mine {
		proven, err := readProven(ctx, p.store)
		if err != nil {
			return err
		}
		w.proven = max(w.proven, proven)
		w.waiting = slices.Delete(w.waiting, 0, w.below(proven))
		if w.below(size) == 0 || time.Since(w.waiting[0].since) < patience {
			return nil
		}
	}
	n := w.below(size)
	hashes := tree.Hashes(ctx, p.fetch, size, p.last.Root)
	group, writing := errgroup.WithContext(ctx)
	group.SetLimit(parallelWrites)
	for _, v := range w.waiting[:n] {
		path, err := tlog.ProveRecord(int64(size), int64(v.index), hashes)
		if err != nil {
			return errors.Join(fmt.Errorf("prove entry %d: %w", v.index, err), group.Wait())
		}
		proof := checkpoint.Proof{Index: v.index, Entry: v.line, Path: path, Checkpoint: p.last.raw}
		group.Go(func() error {
			p.at("proof")
			b := proof.Marshal()
			err := p.store.Create(writing, blob.VerdictKey(v.artifact, v.run, ProofName), bytes.NewReader(b), int64(len(b)))
			if errors.Is(err, blob.ErrExists) {
				return nil // by an earlier checkpoint
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	w.waiting = slices.Delete(w.waiting, 0, n)
	w.proven = size
	note, err := json.Marshal(provenNote{size})
	if err != nil {
		return err
	}
	return p.store.Replace(ctx, provenKey, note)
}
