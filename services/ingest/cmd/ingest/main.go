// Command ingest runs the ingest service; "ingest env" lists its settings.
package main

import (
	"context"
	"errors"
	"log/slog"

	"assize.dev/services/ingest"
	"assize.dev/shared/backend"
	"assize.dev/shared/run"
)

func main() {
	var c struct {
		Backend backend.Config
		Service ingest.Config
	}
	run.Main("ingest", []any{&c}, func(ctx context.Context) ([]run.Part, error) {
		b, err := backend.Open(ctx, c.Backend, "ingest")
		if err != nil {
			return nil, err
		}
		s, err := ingest.New(c.Service, c.Backend.Store.S3, b.Bus, b.Store, slog.Default())
		if err != nil {
			return nil, errors.Join(err, b.Part().Close(ctx))
		}
		return []run.Part{b.Part(), {Name: "ingest", Run: s.Run, Pattern: ingest.Pattern, Handler: s.Handler()}}, nil
	})
}
