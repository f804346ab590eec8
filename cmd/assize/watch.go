package main

import (
	"context"
	"errors"
	"fmt"

	"assize.dev/services/sign"
	"assize.dev/shared/bus"
	"assize.dev/shared/config"
	"assize.dev/shared/event"
)

type watchCmd struct {
	NATS     string `help:"NATS server; other settings come from the ASSIZE_NATS_ variables." env:"ASSIZE_NATS_URL" default:"nats://127.0.0.1:4222" placeholder:"URL"`
	Decision string `help:"Only this decision: allow, deny or hold." enum:"allow,deny,hold,*" default:"*"`
	Registry string `help:"Only this registry." default:"*"`
	Type     string `help:"Only this package type, as in package URLs." default:"*"`
	All      bool   `help:"Begin with the oldest verdict the feed still has."`
	Key      string `help:"Public key (PEM); a verdict it did not sign ends the watch." placeholder:"FILE" type:"existingfile"`
}

func (watchCmd) Help() string {
	return `Examples:
  assize watch
  assize watch --decision deny --registry npm-prod
  assize watch --json --all --key assize.pub | jq -r .sha256`
}

func (c *watchCmd) Run(ctx context.Context, g *globals) error {
	var cfg bus.Config
	if err := config.Load(ctx, nil, &cfg); err != nil {
		return err
	}
	cfg.URL, cfg.Wait = c.NATS, true
	var keys []sign.PublicKey
	if c.Key != "" {
		var err error
		if keys, err = sign.LoadPublicKeys(c.Key); err != nil {
			return err
		}
	}
	b, err := bus.Connect(ctx, cfg, "assize watch")
	if err != nil {
		return err
	}
	defer b.Close()
	from := uint64(1)
	if !c.All {
		_, last, err := b.Sequences(ctx, bus.Verdicts)
		if err != nil {
			return err
		}
		from = last + 1
	}
	filter := event.VerdictFilter(c.Decision, c.Registry, c.Type)
	p := g.printer()
	err = b.Follow(ctx, bus.Verdicts, from, []string{filter}, func(m *bus.Message) error {
		var v event.Verdict
		if m.Event == nil {
			return fmt.Errorf("message %d of %s is not an event", m.Sequence, m.Stream)
		}
		if err := event.Decode(m.Event, &v); err != nil {
			return err
		}
		for _, k := range keys {
			if _, err := sign.VerifyEnvelope(k.Key, v.Envelope); err != nil {
				return fmt.Errorf("verdict of run %s: %w", v.Run, err)
			}
		}
		return p.print(resultOf(v.Name, &v, func(key string) string { return key }))
	})
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil // interrupted, as one ends a watch
	}
	return err
}
