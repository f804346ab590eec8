package sbom

import (
	"context"
	"log/slog"

	"assize.dev/shared/archive"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/evidence"
)

// Service catalogues what ingest announces.
type Service struct {
	runner   evidence.Runner
	analyser *Analyser
}

// New makes the service.
func New(c Config, b *bus.Bus, store blob.Store, log *slog.Logger) (*Service, error) {
	return &Service{
		runner:   evidence.Runner{Service: "sbom", Bus: b, Store: store, Workers: c.Workers, Log: log},
		analyser: NewAnalyser(archive.Limits{}, c),
	}, nil
}

// Run catalogues until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	defer s.analyser.Close()
	return s.runner.Run(ctx, s.analyser)
}
