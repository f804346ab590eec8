// Command scan runs the scan service; "scan env" lists its settings.
package main

import (
	"context"
	"log/slog"

	"assize.dev/services/scan"
	"assize.dev/shared/backend"
	"assize.dev/shared/run"
)

func main() {
	var c struct {
		Backend backend.Config
		Service scan.Config
	}
	run.Main("scan", []any{&c}, func(ctx context.Context) ([]run.Part, error) {
		b, err := backend.Open(ctx, c.Backend, "scan")
		if err != nil {
			return nil, err
		}
		s, err := scan.New(c.Service, b.Bus, b.Store, slog.Default())
		if err != nil {
			b.Bus.Close()
			return nil, err
		}
		return []run.Part{b.Part(), {Name: "scan", Run: s.Run, Ready: s.Ready}}, nil
	})
}
