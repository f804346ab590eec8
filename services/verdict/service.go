package verdict

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/services/verdict/internal/join"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/event"
	"assize.dev/shared/notice"
)

// Service decides every run all of whose required evidence has arrived.
type Service struct {
	policy      *Policy
	bus         *bus.Bus
	store       blob.Store
	workers     int
	log         *slog.Logger
	gauges      *gauges
	again       bool        // have stored verdicts judged again
	policyKnown atomic.Bool // the policy's bundle is in the store
}

// New loads the policy and makes the service. A policy that cannot be loaded
// whole is an error.
func New(ctx context.Context, c Config, b *bus.Bus, store blob.Store, log *slog.Logger) (*Service, error) {
	load := LoadPolicy
	if c.Key != "" {
		load = func(ctx context.Context, path string) (*Policy, error) { return LoadSignedPolicy(ctx, path, c.Key) }
	}
	p, err := load(ctx, c.Policy)
	if err != nil {
		return nil, err
	}
	log.InfoContext(ctx, "policy", "name", p.Name().Name, "digest", p.Name().Digest)
	return &Service{policy: p, bus: b, store: store, workers: max(1, c.Workers), again: c.Again, log: log, gauges: newGauges()}, nil
}

// Run decides until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.decide(ctx, bus.DurableVerdict) })
	group.Go(func() error { return s.decide(ctx, bus.DurableRejudge) })
	group.Go(func() error { return s.decideOverdue(ctx) })
	if s.again {
		group.Go(func() error { return s.rejudge(ctx) })
	}
	group.Go(func() error {
		board := notice.Board{Bus: s.bus, Store: s.store, Service: "verdict", Log: s.log}
		board.Keep(ctx, event.PolicyChanged, "", string(s.policy.Name().Digest))
		return nil
	})
	return group.Wait()
}

func (s *Service) decide(ctx context.Context, durable string) error {
	return s.bus.Consume(ctx, bus.Consumer{
		Service: "verdict", Stream: bus.Events, Durable: durable,
		Workers: s.workers, Handle: s.handle,
		// Evidence that breaks the contract is evidence all the same: if it
		// is the newest of its run, this is when the run is decided.
		GaveUp: func(ctx context.Context, m *bus.Message, _ error) error {
			if m.Payload != nil {
				return nil
			}
			if err := s.handle(ctx, m); !errors.Is(err, bus.ErrPermanent) && !errors.Is(err, event.ErrInvalid) {
				return err
			}
			return nil
		},
	})
}

// handle decides the run of one piece of evidence, if it is the last one, or of
// an order to judge again what was gathered before, if nothing else is to come.
// Whatever fails here is an outage, which is waited out, or a broken contract,
// which the bus makes a dead letter.
func (s *Service) handle(ctx context.Context, m *bus.Message) error {
	if a, ok := m.Payload.(*event.Artifact); ok {
		required := s.policy.Settings().RequiredEvidence
		if slices.ContainsFunc(required, func(k event.Kind) bool { return !a.Reuses(k) }) {
			return nil // whoever brings the evidence decides
		}
		return s.judge(ctx, join.Address{Registry: a.Registry, Run: a.Run}, m.Sequence)
	}
	address, err := join.ParseAddress(m.Subject)
	if err != nil {
		return bus.Permanent(err)
	}
	if e, ok := m.Payload.(*event.Evidence); ok {
		address.Upload = e.Lane == event.LaneNew
	}
	return s.judge(ctx, address, m.Sequence)
}

// judge decides a run if the fact with this sequence is its newest.
func (s *Service) judge(ctx context.Context, address join.Address, sequence uint64) error {
	result, err := join.Read(ctx, stream{s.bus}, past{s.bus, s.store}, address, sequence, s.policy.Settings().RequiredEvidence)
	if err != nil {
		return err
	}
	if result.State != join.Ready {
		s.log.DebugContext(ctx, "not decided yet", "run", address.Run, "kind", address.Kind, "state", result.State, "fact", result.Subject)
		return nil
	}
	if wanted := result.Case.Artifact.Policy; wanted != "" && wanted != s.policy.Name().Digest && time.Since(result.Case.Time) < rollout {
		return bus.Unavailable(fmt.Errorf("run %s is to be judged by policy %s, which another replica has", address.Run, wanted))
	}
	return s.conclude(ctx, result.Case)
}

// conclude decides a case, stores what it was decided on, and says so.
func (s *Service) conclude(ctx context.Context, c Case) error {
	if err := AddComponents(ctx, s.store, s.policy, &c); err != nil {
		return bus.Unavailable(err)
	}
	decision, record, err := Decide(ctx, s.policy, c)
	if err != nil {
		return err
	}
	if err := s.keepPolicy(ctx); err != nil {
		return bus.Unavailable(err)
	}
	if err := s.keepRecord(ctx, &decision, record); err != nil {
		return bus.Unavailable(err)
	}
	return s.publish(ctx, &decision, c)
}

// rollout is how long replicas of an older policy leave to those of a newer one
// what these want judged again. After that the policy has changed once more.
const rollout = 10 * time.Minute

// publish says the decision once. If another replica was faster, its word
// stands; after the same case it is the same word.
func (s *Service) publish(ctx context.Context, d *event.Decision, c Case) error {
	e, err := event.New("assize/verdict", time.Now(), d)
	if err != nil {
		return bus.Permanent(err)
	}
	_, err = s.bus.Publish(ctx, e, bus.Once())
	switch {
	case errors.Is(err, bus.ErrExists):
		return s.late(ctx, &c)
	case err != nil:
		return err
	}
	s.gauges.decided(ctx, d, c)
	s.log.InfoContext(ctx, "decision", "run", d.Run, "registry", d.Artifact.Registry, "name", d.Artifact.Name,
		"decision", d.Decision, "grade", d.Grade, "reasons", len(d.Reasons))
	return nil
}

// keepPolicy stores the rules under their digest before the first decision
// that names it.
func (s *Service) keepPolicy(ctx context.Context) error {
	if s.policyKnown.Load() {
		return nil
	}
	if _, err := blob.PutDocument(ctx, s.store, s.policy.Bundle()); err != nil {
		return fmt.Errorf("store policy %s: %w", s.policy.Name().Digest, err)
	}
	s.policyKnown.Store(true)
	return nil
}

// keepRecord stores the record where the decision says, or beside the one of
// a replica with another policy, which perhaps fell before it could publish.
func (s *Service) keepRecord(ctx context.Context, d *event.Decision, record []byte) (err error) {
	d.Record.Key, err = blob.Keep(ctx, s.store, d.Record.Key, record)
	return err
}

// stream reads facts from the leader of the event stream.
type stream struct{ bus *bus.Bus }

// Last implements join.Facts.
func (s stream) Last(ctx context.Context, subject string) (*join.Fact, error) {
	m, err := s.bus.Last(ctx, subject)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, join.ErrNotFound
	}
	if err != nil {
		return nil, bus.Unavailable(err)
	}
	return &join.Fact{Event: m.Event, Data: m.Data, Sequence: m.Sequence, Time: m.Time}, nil
}
