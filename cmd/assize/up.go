package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"assize.dev/shared/run"
)

type upCmd struct {
	pipelineFlags
	HTTP string `help:"Address for uploads, health and metrics." default:"127.0.0.1:8080" env:"ASSIZE_HTTP"`
	NATS string `help:"Address where other processes reach the embedded NATS server; empty keeps it inside." default:"127.0.0.1:4222" env:"ASSIZE_NATS_LISTEN"`
}

func (upCmd) Help() string {
	return `Runs all services in one process on one data directory. Registries PUT to
/v1/artifacts/<registry>/<name>/<version> or publish on assize.upload.<registry>.

Examples:
  assize up --data /var/lib/assize --advisories /var/lib/osv
  assize submit pkg.tgz          # in another terminal
  assize watch --decision deny   # in a third`
}

func (c *upCmd) Run(ctx context.Context, g *globals) error {
	data, err := g.dir()
	if err != nil {
		return err
	}
	c.stays = true
	n, err := startNode(ctx, data, c.pipelineFlags, c.NATS, slog.Default())
	if err != nil {
		return err
	}
	defer n.close()
	return run.Serve(ctx, run.Options{
		Name: "assize", HTTP: c.HTTP, Metrics: g.metrics,
		OnListen: func(addr net.Addr) {
			fmt.Fprintf(g.stderr, "Uploads go to http://%s/v1/artifacts/", addr)
			if url := n.server.ClientURL(); url != "" {
				fmt.Fprintf(g.stderr, ", verdicts come from %s", url)
			}
			fmt.Fprintf(g.stderr, ". Public key: %s\n", data.publicKey())
		},
	}, n.parts...)
}
