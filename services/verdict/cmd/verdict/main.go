// Command verdict runs the verdict service; "verdict env" lists its settings.
package main

import (
	"context"
	"log/slog"

	"assize.dev/services/verdict"
	"assize.dev/shared/backend"
	"assize.dev/shared/run"
)

func main() {
	var c struct {
		Backend backend.Config
		Service verdict.Config
	}
	run.Main("verdict", []any{&c}, func(ctx context.Context) ([]run.Part, error) {
		b, err := backend.Open(ctx, c.Backend, "verdict")
		if err != nil {
			return nil, err
		}
		s, err := verdict.New(ctx, c.Service, b.Bus, b.Store, slog.Default())
		if err != nil {
			b.Bus.Close()
			return nil, err
		}
		return []run.Part{b.Part(), {Name: "verdict", Run: s.Run}}, nil
	})
}
