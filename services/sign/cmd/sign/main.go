// Command sign runs the sign service; "sign env" lists its settings.
package main

import (
	"context"
	"log/slog"

	"assize.dev/services/sign"
	"assize.dev/shared/backend"
	"assize.dev/shared/run"
)

func main() {
	var c struct {
		Backend backend.Config
		Service sign.Config
	}
	run.Main("sign", []any{&c}, func(ctx context.Context) ([]run.Part, error) {
		b, err := backend.Open(ctx, c.Backend, "sign")
		if err != nil {
			return nil, err
		}
		s, err := sign.New(c.Service, run.BuildVersion(), b.Bus, b.Store, slog.Default())
		if err != nil {
			b.Bus.Close()
			return nil, err
		}
		return []run.Part{b.Part(), {Name: "sign", Run: s.Run}}, nil
	})
}
