package scan

import (
	"context"
	"crypto/rand"
	"log/slog"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/evidence"
)

// Service examines what ingest announces.
type Service struct {
	runner    evidence.Runner
	analysers []evidence.Analyser
}

// New loads the advisories and makes the service. Advisories that cannot be
// read at all are an error; without any, evidence of kind vulnerabilities
// fails.
func New(ctx context.Context, c Config, b *bus.Bus, store blob.Store, log *slog.Logger) (*Service, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	key := []byte(c.SecretsKey.Reveal())
	if len(key) == 0 {
		log.WarnContext(ctx, "ASSIZE_SECRETS_KEY is not set: fingerprints of secrets change with every start")
		key = []byte(rand.Text())
	}
	secrets, err := NewSecrets(key)
	if err != nil {
		return nil, err
	}
	var database *Database
	if c.Advisories != "" {
		if database, err = LoadAdvisories(ctx, c.Advisories); err != nil {
			return nil, err
		}
		log.InfoContext(ctx, "advisories", "dir", c.Advisories, "generation", database.Generation())
	}
	return &Service{
		runner:    evidence.Runner{Service: "scan", Bus: b, Store: store, Workers: c.Workers, Log: log},
		analysers: []evidence.Analyser{secrets, NewContent(), NewVulnerabilities(func() *Database { return database })},
	}, nil
}

// Run examines until ctx ends.
func (s *Service) Run(ctx context.Context) error { return s.runner.Run(ctx, s.analysers...) }
