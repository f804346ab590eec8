package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"assize.dev/shared/bus"
	"assize.dev/shared/config"
)

type provisionCmd struct {
	DryRun  bool          `help:"Only show what differs; exit code 1 if something does."`
	Timeout time.Duration `help:"How long to wait for the server." default:"1m"`
}

func (provisionCmd) Help() string {
	return `The server is the one of the ASSIZE_NATS_ variables. Provisioning may be
repeated and never deletes anything.

Examples:
  assize provision
  assize provision --dry-run --json`
}

// difference is how --json prints a bus.Drift.
type difference struct {
	Object  string `json:"object"`
	Field   string `json:"field,omitempty"` // "" where the object is missing
	Have    string `json:"have,omitempty"`
	Want    string `json:"want,omitempty"`
	Applied bool   `json:"applied"`
}

func (c *provisionCmd) Run(ctx context.Context, g *globals) error {
	var cfg bus.Config
	if err := config.Load(ctx, nil, &cfg); err != nil {
		return err
	}
	cfg.Wait = true
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	b, err := bus.Connect(ctx, cfg, "assize provision")
	if err != nil {
		return err
	}
	defer b.Close()
	drift, err := b.Provision(ctx, bus.ProvisionOptions{Replicas: cfg.Replicas, MaxBytes: cfg.MaxBytes, Apply: !c.DryRun})
	left := 0
	for _, d := range drift {
		if !d.Applied {
			left++
		}
		if g.JSON {
			if err := json.NewEncoder(g.stdout).Encode(difference{d.Object, d.Field, d.Have, d.Want, d.Applied}); err != nil {
				return err
			}
			continue
		}
		mark := "differs"
		if d.Applied {
			mark = "done"
		}
		fmt.Fprintf(g.stdout, "%-8s %s\n", mark, d)
	}
	if err != nil {
		return err
	}
	if !g.JSON {
		fmt.Fprintf(g.stdout, "%d differences, %d left\n", len(drift), left)
	}
	if left > 0 {
		return status(exitFail)
	}
	return nil
}
