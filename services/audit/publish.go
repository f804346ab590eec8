package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"assize.dev/services/audit/internal/checkpoint"
	"assize.dev/services/audit/internal/tree"
	"assize.dev/shared/blob"
)

// What is published lies below audit/, which may be served as it is: the
// checkpoint, every checkpoint there was, by size, and the tiles and bundles
// of c2sp.org/tlog-tiles.
const (
	publicPrefix  = "audit/"
	checkpointKey = publicPrefix + "checkpoint"
	historyPrefix = publicPrefix + "checkpoints/"
)

func historyKey(size uint64) string { return fmt.Sprintf("%s%020d", historyPrefix, size) }

// Publisher grows the Merkle tree over the segments of the log, and signs it.
// Any number of replicas may publish: what they write follows from the log, so
// all write the same, and the checkpoint only ever moves on.
type Publisher struct {
	store     blob.Store
	signers   checkpoint.Signers
	policy    *checkpoint.Policy    // by which the own checkpoints are accepted
	witnesses *checkpoint.Collector // nil without
	refresh   time.Duration         // of cosignatures while nothing happens
	log       *slog.Logger

	tree    *tree.Tree    // nil: to be loaded
	pending []tree.Object // full, and perhaps not stored yet
	garbage []tree.Object // full, and perhaps with partial forms beside them
	last    *published    // nil before the first
	proofs  proofs
	crash   func(point string) // for tests
}

// NewPublisher makes one; c.Keys must be set.
func NewPublisher(c Config, store blob.Store, log *slog.Logger) (*Publisher, error) {
	p := &Publisher{store: store, refresh: c.Refresh, log: log}
	var err error
	if p.signers, err = checkpoint.NewSigners(c.Keys.Reveal()); err != nil {
		return nil, fmt.Errorf("ASSIZE_AUDIT_KEY: %w", err)
	}
	if c.Witnesses == "" {
		vkeys, err := checkpoint.KeysOf(c.Keys.Reveal())
		if err == nil {
			p.policy, err = checkpoint.KeyPolicy(vkeys...)
		}
		if err != nil {
			return nil, fmt.Errorf("ASSIZE_AUDIT_KEY: %w", err)
		}
		return p, nil
	}
	text, err := os.ReadFile(c.Witnesses)
	if err == nil {
		p.policy, err = checkpoint.ParsePolicy(text)
	}
	if err == nil && !p.policy.Knows(p.signers.Origin()) {
		err = fmt.Errorf("it has no key of the log %q", p.signers.Origin())
	}
	if err != nil {
		return nil, fmt.Errorf("ASSIZE_AUDIT_WITNESSES: %w", err)
	}
	p.witnesses = &checkpoint.Collector{
		Policy: p.policy, Client: &http.Client{}, Timeout: max(time.Second, c.Patience), Prove: p.consistency,
	}
	return p, nil
}

// published is a checkpoint as the store has it.
type published struct {
	*checkpoint.Signed
	raw  []byte
	at   time.Time // when it was seen first
	mine bool      // signed by this replica, which also proves
}

// Publish brings the checkpoint to the end of the log. ErrDamaged and
// ErrRolledBack are for a person to look at.
func (p *Publisher) Publish(ctx context.Context) error {
	err := p.advance(ctx)
	if err != nil {
		p.tree = nil // it may have stopped halfway
		return err
	}
	size := p.size()
	fresh := p.witnesses == nil || p.last == nil || time.Since(p.last.at) < p.refresh
	if p.tree.Size() > size || p.tree.Size() > 0 && !fresh {
		if err := p.seal(ctx); err != nil {
			return err
		}
	}
	if p.tree != nil && p.tree.Size() == p.size() {
		if err := p.collect(ctx); err != nil {
			return err
		}
	}
	return p.prove(ctx)
}

func (p *Publisher) size() uint64 {
	if p.last == nil {
		return 0
	}
	return p.last.Size
}

const parallelWrites = 8

// seal stores the tiles, signs, and moves the checkpoint. When another was
// quicker nothing is lost: the next call goes on from there.
func (p *Publisher) seal(ctx context.Context) error {
	full := p.pending
	group, writing := errgroup.WithContext(ctx)
	group.SetLimit(parallelWrites)
	for _, o := range append(full[:len(full):len(full)], p.tree.Partial()...) {
		group.Go(func() error {
			p.at("tile")
			return p.put(writing, o)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	p.pending = nil
	p.at("tiles stored")
	signed, err := p.signers.Sign(checkpoint.Checkpoint{Size: p.tree.Size(), Root: p.tree.Root()})
	if err != nil {
		return err
	}
	if p.witnesses != nil {
		if signed, err = p.witnesses.Collect(ctx, signed); err != nil {
			p.log.WarnContext(ctx, "not all witnesses have cosigned", "entries", p.tree.Size(), "error", err)
		}
	}
	s, err := p.policy.Open(signed)
	if err != nil {
		return fmt.Errorf("publish %d entries: %w", p.tree.Size(), err)
	}
	if err := p.remember(ctx, s, signed); err != nil {
		return err
	}
	p.at("history stored")
	var old []byte
	if p.last != nil {
		old = p.last.raw
	}
	err = p.store.Swap(ctx, checkpointKey, old, signed)
	if errors.Is(err, blob.ErrChanged) {
		return p.look(ctx) // another came first, with as much or more
	}
	if err != nil {
		return err
	}
	p.at("checkpoint moved")
	p.last = &published{s, signed, time.Now(), true}
	return nil
}

func (p *Publisher) at(point string) {
	if p.crash != nil {
		p.crash(point)
	}
}

// put stores an object that follows from the log. If it is there and other, two
// logs were written to this place.
func (p *Publisher) put(ctx context.Context, o tree.Object) error {
	err := p.store.Create(ctx, publicPrefix+o.Path, bytes.NewReader(o.Content), int64(len(o.Content)))
	if !errors.Is(err, blob.ErrExists) {
		return err
	}
	there, err := p.fetch(ctx, o.Path, int64(len(o.Content)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a partial one that is not needed any more
	}
	if err == nil && !bytes.Equal(there, o.Content) {
		err = fmt.Errorf("%w: %s%s is not what follows from the log", ErrDamaged, publicPrefix, o.Path)
	}
	return err
}

// remember keeps the checkpoint among those there were.
func (p *Publisher) remember(ctx context.Context, s *checkpoint.Signed, signed []byte) error {
	key := historyKey(s.Size)
	err := p.store.Create(ctx, key, bytes.NewReader(signed), int64(len(signed)))
	if !errors.Is(err, blob.ErrExists) {
		return err
	}
	there, err := p.fetch(ctx, key[len(publicPrefix):], checkpoint.MaxSigned)
	if err != nil {
		return err
	}
	before, err := checkpoint.Unverified(there)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, key, err)
	}
	if before.Root != s.Root {
		return fmt.Errorf("%w: %d entries were signed with another root before: %s", ErrDamaged, s.Size, key)
	}
	return nil
}

// collect deletes the partial forms of what is full now.
func (p *Publisher) collect(ctx context.Context) error {
	for ; len(p.garbage) > 0; p.garbage = p.garbage[1:] {
		o := p.garbage[0]
		for info, err := range p.store.List(ctx, publicPrefix+o.Path+".p/", "") {
			if err != nil {
				return err
			}
			if err := p.store.Delete(ctx, info.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// consistency proves that a log of one size continues one of another.
func (p *Publisher) consistency(ctx context.Context, from, to uint64) (tlog.TreeProof, error) {
	return tlog.ProveTree(int64(to), int64(from), tree.Hashes(ctx, p.fetch, to, p.tree.Root()))
}
