package scan

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/services/scan/internal/inventory"
	"assize.dev/services/scan/internal/reevaluate"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/evidence"
)

// Service examines what ingest announces.
type Service struct {
	runner     evidence.Runner
	config     Config
	advisories *Advisories
	byBytes    []evidence.Analyser
	loaded     atomic.Bool // the advisories there are
}

// New makes the service. Without advisories, evidence of kind
// vulnerabilities fails. VEX statements that cannot be read are an error:
// going on without them would judge by less than was said.
func New(c Config, b *bus.Bus, store blob.Store, log *slog.Logger) (*Service, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	key := []byte(c.SecretsKey.Reveal())
	if len(key) == 0 {
		log.Warn("ASSIZE_SECRETS_KEY is not set: fingerprints of secrets change with every start")
		key = []byte(rand.Text())
	}
	secrets, err := NewSecrets(key)
	if err != nil {
		return nil, err
	}
	advisories := new(Advisories)
	if err := advisories.LoadVEX(c.VEX...); err != nil {
		return nil, err
	}
	return &Service{
		runner:     evidence.Runner{Service: "scan", Bus: b, Store: store, Workers: c.Workers, Log: log},
		config:     c,
		advisories: advisories,
		byBytes:    []evidence.Analyser{secrets, NewContent()},
	}, nil
}

// Run examines until ctx ends. What reads the artifact itself starts at
// once; vulnerabilities wait until the advisories are loaded. A directory of
// advisories that cannot be read at all ends the service: there is no going on
// without. A source that fails later leaves what there is.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.runner.Run(ctx, s.byBytes...) })
	group.Go(func() error {
		k, err := newKeeper(s)
		if err != nil {
			return err
		}
		defer k.close()
		if err := k.start(ctx); err != nil {
			return err
		}
		s.loaded.Store(true)
		inner, ctx := errgroup.WithContext(ctx)
		inner.Go(func() error { return s.runner.Run(ctx, NewVulnerabilities(s.advisories)) })
		inner.Go(func() error { return k.keep(ctx) })
		inner.Go(func() error { return s.reevaluate(ctx) })
		return inner.Wait()
	})
	return group.Wait()
}

// reevaluate judges artifacts again as the advisories change, if this replica
// is the one with the inventory. While another process has it, it stands by.
func (s *Service) reevaluate(ctx context.Context) error {
	if s.config.Inventory == "" {
		return nil
	}
	for {
		v, err := inventory.Open(s.config.Inventory)
		if err == nil {
			defer v.Close()
			r := &reevaluate.Reevaluator{
				Inventory: v, Knowledge: &s.advisories.knowledge, Runner: &s.runner, InFlight: s.config.InFlight, Log: s.runner.Log,
			}
			return r.Run(ctx)
		}
		if !errors.Is(err, inventory.ErrInUse) {
			return err
		}
		s.runner.Log.InfoContext(ctx, "standing by: another process judges again", "inventory", s.config.Inventory)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Second):
		}
	}
}

// Ready reports that the advisories are still being loaded.
func (s *Service) Ready(context.Context) error {
	if !s.loaded.Load() {
		return errors.New("the advisories are still being loaded")
	}
	return nil
}
