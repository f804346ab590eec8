package main

import (
	"context"
	"time"

	"assize.dev/shared/bus"
	"assize.dev/shared/config"
)

type natsCmd struct {
	Listen      string   `help:"Address for clients." default:"127.0.0.1:4222" env:"ASSIZE_NATS_LISTEN"`
	MaxStore    int64    `help:"Bytes the streams may take; 0 is 10 GiB, or what the disk allows." env:"ASSIZE_NATS_MAX_STORE"`
	NKey        []string `help:"Public user key that may connect; repeatable." env:"ASSIZE_NATS_NKEYS"`
	Cert        string   `help:"PEM certificate for TLS." env:"ASSIZE_NATS_SERVER_CERT" type:"path"`
	Key         string   `help:"PEM key of --cert." env:"ASSIZE_NATS_SERVER_KEY" type:"path"`
	CA          string   `name:"ca" help:"PEM authority; clients must show a certificate it signed." env:"ASSIZE_NATS_SERVER_CA" type:"path"`
	Healthcheck bool     `help:"Instead of serving, exit 0 if the server of the ASSIZE_NATS_ variables answers."`
	Config      string   `help:"NATS configuration file, for accounts, permissions and clusters." env:"ASSIZE_NATS_SERVER_CONFIG" type:"path"`
}

func (natsCmd) Help() string {
	return `JetStream under --data, with every acknowledged message on the disk. Clients
connect as user "assize" with the password ASSIZE_NATS_TOKEN or _FILE; without
one only this machine may connect.

Example:
  ASSIZE_NATS_TOKEN_FILE=/run/secrets/nats assize nats --data /data --listen 0.0.0.0:4222`
}

func (c *natsCmd) Run(ctx context.Context, g *globals) error {
	var env struct {
		Token config.Secret `env:"ASSIZE_NATS_TOKEN"`
	}
	if err := config.Load(ctx, nil, &env); err != nil {
		return err
	}
	if c.Healthcheck {
		return c.ask(ctx)
	}
	data, err := g.dir()
	if err != nil {
		return err
	}
	return bus.RunServer(ctx, bus.ServerOptions{
		Dir: data.nats(), Listen: c.Listen, MaxStore: c.MaxStore, Token: env.Token, NKeys: c.NKey,
		Cert: c.Cert, Key: c.Key, CA: c.CA, ConfigFile: c.Config,
	})
}

// ask is for containers, which have no other program to look with.
func (c *natsCmd) ask(ctx context.Context) error {
	var cfg bus.Config
	if err := config.Load(ctx, nil, &cfg); err != nil {
		return err
	}
	cfg.Wait = true
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	b, err := bus.Connect(ctx, cfg, "assize nats --healthcheck")
	if err != nil {
		return err
	}
	defer b.Close()
	return b.Ready(ctx)
}
