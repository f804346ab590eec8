package verdict

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/services/verdict/internal/join"
	"assize.dev/services/verdict/internal/policy"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/event"
)

// rejudger has verdicts judged again that would be others by this policy today:
// after the policy was changed, and when a waiver has expired. Nothing is
// scanned again, unless it is too old: the order to examine says which evidence
// is reused.
//
// The work is done in shards, by the first digit of the artifacts' digests.
// What is done is marked in the store, so that a process that is killed goes on
// where it was, and replicas, which take the shards in random order, share
// them. Two of one shard do no harm: the name of the new run follows from what
// is judged again and why.
type rejudger struct {
	policy *Policy
	store  blob.Store
	bus    *bus.Bus
	now    func() time.Time
}

// Rejudged counts what became of a round.
type Rejudged struct {
	Looked  int64 // verdicts that were held against the policy
	Ordered int64 // that would be others
	Skipped int64 // whose evidence is not there any more
}

// Rejudge orders, once, that every stored verdict that would be another by p is
// judged again.
func Rejudge(ctx context.Context, p *Policy, b *bus.Bus, store blob.Store) (Rejudged, error) {
	r := &rejudger{policy: p, store: store, bus: b, now: time.Now}
	return r.round(ctx, r.why())
}

const shards = "0123456789abcdef"

// why names what a round is for: the policy, and the newest waiver that has
// expired.
func (r *rejudger) why() string {
	since := ""
	for _, day := range r.expired() {
		since = max(since, day)
	}
	return r.policy.Name().Digest.Hex() + "@" + since
}

// marker is the object that says for what a shard was last done. Back under a
// former policy, all is done again.
func marker(shard byte) string { return fmt.Sprintf("rejudged/%c", shard) }

// settled is said of a shard that was done when no replica of an older policy
// can have been there any more, whose last verdicts the round at the start did
// not see.
const settled = " settled"

// isDone tells whether a shard was done for what target says, or for more.
func (r *rejudger) isDone(ctx context.Context, shard byte, target string) (bool, error) {
	text, err := object(ctx, r.store, marker(shard), 1<<10)
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	return string(text) == target || string(text) == target+settled, err
}

// expired are the days on which waivers have ended.
func (r *rejudger) expired() (days []string) {
	today := r.now().UTC().Format(time.DateOnly)
	for _, day := range r.policy.Expiries() {
		if day <= today {
			days = append(days, day)
		}
	}
	return days
}

// round goes through all shards that are not done for a target: why, or that it
// is settled.
func (r *rejudger) round(ctx context.Context, target string) (all Rejudged, err error) {
	for _, i := range rand.Perm(len(shards)) {
		if done, err := r.isDone(ctx, shards[i], target); err != nil {
			return all, err
		} else if done {
			continue
		}
		one, err := r.shard(ctx, string(shards[i]))
		all.Looked, all.Ordered, all.Skipped = all.Looked+one.Looked, all.Ordered+one.Ordered, all.Skipped+one.Skipped
		if err != nil {
			return all, err
		}
		if err := r.store.Replace(ctx, marker(shards[i]), []byte(target)); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (r *rejudger) shard(ctx context.Context, prefix string) (Rejudged, error) {
	var looked, ordered, skipped atomic.Int64
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for one, err := range Newest(working, r.store, prefix) {
		if errors.Is(err, ErrCannotReplay) {
			skipped.Add(1)
			continue
		}
		if err != nil {
			return Rejudged{}, errors.Join(err, group.Wait())
		}
		group.Go(func() error {
			order, err := r.order(working, one)
			switch {
			case errors.Is(err, ErrCannotReplay):
				skipped.Add(1)
				return nil
			case err != nil:
				return err
			}
			looked.Add(1)
			if order == nil {
				return nil
			}
			ordered.Add(1)
			e, err := event.New("assize/verdict", r.now(), order)
			if err != nil {
				return err
			}
			if _, err := r.bus.Publish(working, e, bus.Once()); err != nil && !errors.Is(err, bus.ErrExists) {
				return err
			}
			return nil
		})
	}
	err := group.Wait()
	return Rejudged{looked.Load(), ordered.Load(), skipped.Load()}, err
}

// order is what has a verdict judged again; nil if it would be the same.
func (r *rejudger) order(ctx context.Context, one Concluded) (*event.Artifact, error) {
	if one.Policy == r.policy.Name().Digest && len(r.expired()) == 0 {
		return nil, nil
	}
	record, err := RecordOf(ctx, r.store, one.Record.Key, one.Record.Digest)
	if err != nil {
		return nil, err
	}
	c, err := record.Case()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCannotReplay, err)
	}
	if err := AddComponents(ctx, r.store, r.policy, &c); err != nil {
		return nil, err
	}
	c.Time = r.now()
	d, _, err := Decide(ctx, r.policy, c)
	if err != nil || d.Decision == one.Decision && d.Grade == one.Grade {
		return nil, err
	}
	if len(d.Reasons) == 1 && d.Reasons[0].Rule == policy.RuleError {
		// A policy that fails here says nothing of the artifact; verdicts that
		// stand are not taken back for it.
		return nil, nil
	}
	a := c.Artifact
	// Signatures stay: who has it examined whole later finds them in this run.
	a.Run, a.Lane, a.Supersedes = r.runName(one), event.LaneAgain, one.Run
	a.Policy = r.policy.Name().Digest
	a.Cause = fmt.Sprintf("by policy %s it would be %s (%s)", r.policy.Name().Name, d.Decision, d.Grade)
	if one.Policy == r.policy.Name().Digest {
		a.Cause = fmt.Sprintf("a waiver has expired: it would be %s (%s)", d.Decision, d.Grade)
	}
	a.Reuse = reusable(r.policy, &c, &d)
	return &a, nil
}

// reusable is the evidence that need not be gathered again: what is there, and
// not too old.
func reusable(p *Policy, c *Case, d *event.Decision) (kinds []event.Kind) {
	for _, kind := range p.Settings().RequiredEvidence {
		there := slices.ContainsFunc(c.Evidence, func(p join.Piece) bool { return p.Kind == kind && len(p.Data) > 0 })
		old := slices.ContainsFunc(d.Reasons, func(r event.Reason) bool {
			return r.Evidence == kind && strings.HasSuffix(r.Rule, "/old")
		})
		if there && !old {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// runName follows from the verdict that is replaced and why. Its time is that of
// what is newer, the verdict or the expiry, for those that sort by name.
func (r *rejudger) runName(one Concluded) string {
	at := one.Time
	if days := r.expired(); len(days) > 0 {
		if t, err := time.Parse(time.DateOnly, days[len(days)-1]); err == nil && t.After(at) {
			at = t
		}
	}
	return event.NamedRun(at, one.Run, one.Registry, one.Filename, r.why())
}

// rejudge goes through stored verdicts at the start, once more when replicas of
// an older policy are gone, and whenever a waiver expires.
func (s *Service) rejudge(ctx context.Context) error {
	r := &rejudger{policy: s.policy, store: s.store, bus: s.bus, now: time.Now}
	started, done := time.Now(), ""
	for wait := time.Duration(0); ; wait = time.Minute {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		target := r.why()
		if time.Since(started) >= rollout {
			target += settled
		}
		if target == done {
			continue
		}
		if err := s.keepPolicy(ctx); err != nil {
			s.log.WarnContext(ctx, "verdicts are not judged again yet", "error", err)
			continue
		}
		all, err := r.round(ctx, target)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			s.log.WarnContext(ctx, "verdicts are judged again, and not all of them could be looked at yet", "error", err)
			continue
		}
		done = target
		if all != (Rejudged{}) {
			s.log.InfoContext(ctx, "verdicts were held against the policy", "looked", all.Looked, "again", all.Ordered, "skipped", all.Skipped)
		}
	}
}
