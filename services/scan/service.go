package scan

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/evidence"
)

// Service examines what ingest announces.
type Service struct {
	runner     evidence.Runner
	advisories string
	byBytes    []evidence.Analyser
	loaded     atomic.Bool
}

// New makes the service. Without advisories, evidence of kind
// vulnerabilities fails.
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
	return &Service{
		runner:     evidence.Runner{Service: "scan", Bus: b, Store: store, Workers: c.Workers, Log: log},
		advisories: c.Advisories,
		byBytes:    []evidence.Analyser{secrets, NewContent()},
	}, nil
}

// Run examines until ctx ends. What reads the artifact itself starts at
// once; vulnerabilities wait until the advisories are loaded. Advisories that
// cannot be read at all end the service: there is no going on without.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.runner.Run(ctx, s.byBytes...) })
	group.Go(func() error {
		var database *Database
		if s.advisories != "" {
			var err error
			if database, err = LoadAdvisories(ctx, s.advisories); err != nil {
				return err
			}
			s.runner.Log.InfoContext(ctx, "advisories", "dir", s.advisories, "generation", database.Generation())
		}
		s.loaded.Store(true)
		return s.runner.Run(ctx, NewVulnerabilities(func() *Database { return database }))
	})
	return group.Wait()
}

// Ready reports that the advisories are still being loaded.
func (s *Service) Ready(context.Context) error {
	if !s.loaded.Load() {
		return errors.New("the advisories are still being loaded")
	}
	return nil
}
