package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

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
	Key      string `help:"Public key (PEM); a verdict it did not sign, or that differs from what it signed, ends the watch." placeholder:"FILE" type:"existingfile"`
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
	var key crypto.PublicKey
	if c.Key != "" {
		keys, err := sign.LoadPublicKeys(c.Key) // of a file there is one
		if err != nil {
			return err
		}
		key = keys[0].Key
	}
	unheard := time.AfterFunc(2*time.Second, func() {
		g.complain(errors.New("the NATS server does not answer; waiting for it (--nats or ASSIZE_NATS_URL says where it is)"))
	})
	b, err := bus.Connect(ctx, cfg, "assize watch")
	unheard.Stop()
	if err == nil {
		defer b.Close()
		err = c.follow(ctx, g, b, key)
	}
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return nil // interrupted, as one ends a watch
	}
	return err
}

func (c *watchCmd) follow(ctx context.Context, g *globals, b *bus.Bus, key crypto.PublicKey) error {
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
	return b.Follow(ctx, bus.Verdicts, from, []string{filter}, func(m *bus.Message) error {
		var v event.Verdict
		if m.Event == nil {
			return fmt.Errorf("message %d of %s is not an event", m.Sequence, m.Stream)
		}
		if err := event.Decode(m.Event, &v); err != nil {
			return err
		}
		if key != nil {
			if err := signedWords(key, &v); err != nil {
				return fmt.Errorf("verdict of run %s: %w", v.Run, err)
			}
		}
		return p.print(resultOf(v.Name, &v, func(key string) string { return key }))
	})
}

// signedWords checks that key signed the verdict and that the event around
// it says the same, and leaves in v only what is signed and the documents.
func signedWords(key crypto.PublicKey, v *event.Verdict) error {
	statement, err := sign.VerifyEnvelope(key, v.Envelope)
	if err != nil {
		return err
	}
	signed, err := statement.Verdict()
	if err != nil {
		return err
	}
	switch {
	case !statement.About(v.Artifact):
		return errors.New("what is signed is about another artifact")
	case signed.Run != v.Run || signed.Registry != v.Registry:
		return fmt.Errorf("what is signed is run %.80q of registry %.80q", signed.Run, signed.Registry)
	case signed.Decision != v.Decision || signed.Grade != v.Grade:
		return fmt.Errorf("what is signed is %.80q, grade %.80q; the event says %s, grade %s", signed.Decision, signed.Grade, v.Decision, v.Grade)
	}
	v.Reasons, v.Name, v.Version = signed.Reasons, signed.Artifact.Name, signed.Artifact.Version
	v.PURL, v.Format = signed.Artifact.PURL, signed.Artifact.Format
	return nil
}
