// Command audit runs the audit service; "audit env" lists its settings.
package main

import (
	"context"
	"log/slog"

	"assize.dev/services/audit"
	"assize.dev/shared/backend"
	"assize.dev/shared/run"
)

func main() {
	var c struct {
		Backend backend.Config
		Service audit.Config
	}
	run.Main("audit", []any{&c}, func(ctx context.Context) ([]run.Part, error) {
		b, err := backend.Open(ctx, c.Backend, "audit")
		if err != nil {
			return nil, err
		}
		s, err := audit.New(c.Service, b.Bus, b.Store, slog.Default())
		if err != nil {
			return nil, err
		}
		return append([]run.Part{b.Part()}, s.Parts()...), nil
	})
}
