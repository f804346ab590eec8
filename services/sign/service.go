// Package sign verifies what publishers signed and signs what was decided.
// It is the only service that holds a private key.
package sign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/services/sign/internal/attest"
	"assize.dev/services/sign/internal/signer"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
	"assize.dev/shared/notice"
)

// Service answers artifacts with evidence of kind signature, and decisions
// with signed verdicts.
type Service struct {
	verifier evidence.Analyser
	signing  *signing
	bus      *bus.Bus
	store    blob.Store
	workers  int
	log      *slog.Logger
}

// New loads the keys and makes the service; version is what signs, as verdicts
// state it. A key that cannot be read is an error, whichever it is.
func New(c Config, version string, b *bus.Bus, store blob.Store, log *slog.Logger) (*Service, error) {
	trust, err := c.trust()
	if err != nil {
		return nil, err
	}
	verifier, err := NewVerifier(trust, VerifierOptions{Level: c.Level})
	if err != nil {
		return nil, fmt.Errorf("ASSIZE_VERIFY_LEVEL: %w", err)
	}
	keys := &signing{
		config: c, verifier: attest.Verifier{ID: c.VerifierID, Version: version}, open: signer.Open, log: log,
	}
	if err := keys.verifier.Check(); err != nil {
		return nil, fmt.Errorf("ASSIZE_VERIFIER_ID: %w", err)
	}
	if err := keys.load(context.Background()); err != nil {
		return nil, err
	}
	for _, skipped := range trust.Skipped() {
		log.Warn("a certificate is of no use: what it signed is refused", "certificate", skipped)
	}
	log.Info("verification", "verifier", c.VerifierID, "publishers", trust.Size(), "trust", trust.Digest())
	return &Service{verifier, keys, b, store, max(1, c.Workers), log}, nil
}

// Run verifies and attests until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.Verify(ctx) })
	group.Go(func() error { return s.Attest(ctx) })
	group.Go(func() error { return s.announce(ctx) })
	return group.Wait()
}

// announce tells the record with which keys verdicts are signed, now and when a
// key set changes that.
func (s *Service) announce(ctx context.Context) error {
	board := notice.Board{Bus: s.bus, Store: s.store, Service: "sign", Log: s.log}
	said := ""
	for {
		if keys := strings.Join(s.signing.keyIDs(), " "); keys != said {
			board.Keep(ctx, event.KeyRotated, "verdicts", keys)
			said = keys
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Second):
		}
	}
}

// Verify answers artifacts with evidence, and nothing else, until ctx ends.
func (s *Service) Verify(ctx context.Context) error {
	runner := evidence.Runner{Service: "sign", Bus: s.bus, Store: s.store, Workers: s.workers, Log: s.log}
	return runner.Run(ctx, s.verifier)
}

// Attest answers decisions with verdicts, and nothing else, until ctx ends.
func (s *Service) Attest(ctx context.Context) error {
	return s.bus.Consume(ctx, bus.Consumer{
		Service: "sign", Stream: bus.Events, Durable: bus.DurableAttest, Workers: s.workers, Handle: s.attest,
	})
}

// attest signs one decision: the files are durable before the verdict that
// refers to them is said, once. While a key is out of reach decisions wait.
func (s *Service) attest(ctx context.Context, m *bus.Message) error {
	d, ok := m.Payload.(*event.Decision)
	if !ok {
		return bus.Permanent(fmt.Errorf("%w: %s on %s, want a decision", event.ErrInvalid, m.Event.Type, m.Subject))
	}
	attestor, err := s.signing.forDecision(ctx, d.Time)
	if errors.Is(err, errTooOld) {
		return bus.Permanent(err)
	}
	if err != nil {
		return bus.Unavailable(err)
	}
	verdict, files, err := attestor.Attest(ctx, *d)
	if errors.Is(err, event.ErrInvalid) {
		return bus.Permanent(err)
	}
	if err != nil {
		return bus.Unavailable(err)
	}
	// Side by side: to wait for the disk, or the network, is most of the work.
	storing, storeCtx := errgroup.WithContext(ctx)
	for i, f := range files {
		storing.Go(func() error { return s.keep(storeCtx, &verdict.Documents[i], f.Data) })
	}
	if err := storing.Wait(); err != nil {
		return bus.Unavailable(err)
	}
	e, err := event.New("assize/sign", time.Now(), verdict)
	if err != nil {
		return bus.Permanent(err)
	}
	_, err = s.bus.Publish(ctx, e, bus.Once())
	switch {
	case errors.Is(err, bus.ErrExists):
		return nil
	case err != nil:
		return err
	}
	s.log.InfoContext(ctx, "verdict", "run", d.Run, "registry", d.Artifact.Registry, "name", d.Artifact.Name,
		"decision", d.Decision, "grade", d.Grade)
	return nil
}

// keep stores a file where the document says, or beside what an earlier one
// of us, with another key or version, left there before it fell.
func (s *Service) keep(ctx context.Context, doc *event.Document, data []byte) (err error) {
	doc.Key, err = blob.Keep(ctx, s.store, doc.Key, data)
	return err
}
