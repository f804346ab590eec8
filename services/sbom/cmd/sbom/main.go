// Command sbom runs the sbom service; "sbom env" lists its settings.
package main

import (
	"context"
	"log/slog"

	"assize.dev/services/sbom"
	"assize.dev/shared/backend"
	"assize.dev/shared/run"
)

func main() {
	var c struct {
		Backend backend.Config
		Service sbom.Config
	}
	run.Main("sbom", []any{&c}, func(ctx context.Context) ([]run.Part, error) {
		b, err := backend.Open(ctx, c.Backend, "sbom")
		if err != nil {
			return nil, err
		}
		s, err := sbom.New(c.Service, b.Bus, b.Store, slog.Default())
		if err != nil {
			b.Bus.Close()
			return nil, err
		}
		return []run.Part{b.Part(), {Name: "sbom", Run: s.Run}}, nil
	})
}
