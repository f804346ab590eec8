package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"assize.dev/services/sign"
	"assize.dev/services/verdict"
	"assize.dev/shared/bus"
	"assize.dev/shared/config"
	"assize.dev/shared/event"
)

// anotherExamination is what orders of one are given.
type anotherExamination struct {
	whichVerdict
	NATS string `name:"nats" help:"NATS server." default:"nats://127.0.0.1:4222" env:"ASSIZE_NATS_URL" placeholder:"URL"`
}

type verdictAskCmd struct {
	anotherExamination
	Reason string `help:"Why, for the record." default:"somebody asked" placeholder:"TEXT"`
}

func (verdictAskCmd) Help() string {
	return `Has an upload examined once more, whole, as when an analyser was down the first
time. What was decided by hand still counts. The verdict that comes of it replaces the one that is named; "assize
watch" shows it. Prints the new run.

Examples:
  assize verdict ask sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  assize verdict ask 01a218e0-1004-78e4-bb24-f6248a39af12 --reason key-server-is-back`
}

func (c *verdictAskCmd) Run(ctx context.Context, g *globals) error {
	return c.order(ctx, g, c.Reason, nil, nil)
}

type verdictDecideCmd struct {
	anotherExamination
	Decision string `help:"allow lets pass what is held, not what is denied; deny denies; withdraw takes an earlier decision back." enum:"allow,deny,withdraw" required:""`
	Reason   string `help:"Why; it is in the verdict." required:"" placeholder:"TEXT"`
	By       string `help:"Your name, as the policy's deciders have it." required:"" placeholder:"NAME"`
	Key      string `help:"Your Ed25519 key: a file, or what ASSIZE_SIGN_KEYS may name." default:"assize.key" placeholder:"FILE"`
	Expires  string `help:"First day on which it does not count any more; 90 days from now by default." placeholder:"YYYY-MM-DD"`
}

func (verdictDecideCmd) Help() string {
	return `Decides by hand about an upload, on the evidence there is. The policy has to list
you under deciders, with the public half of the key. The decision is signed,
logged, and part of the verdict that replaces the one that is named.

Examples:
  assize verdict decide sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --decision allow --by ann --key ann.key --reason reviewed
  assize verdict decide 01a218e0-1004-78e4-bb24-f6248a39af12 --decision deny --by ann --key ann.key --reason incident-42`
}

func (c *verdictDecideCmd) Run(ctx context.Context, g *globals) error {
	signer, err := openSigner(ctx, c.Key)
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	d := &verdict.ManualDecision{Decision: event.Outcome(c.Decision), Reason: c.Reason, By: c.By, Time: now, Expires: c.Expires}
	if d.Expires == "" {
		d.Expires = now.AddDate(0, 0, 90).Format(time.DateOnly)
	}
	if d.Expires <= now.Format(time.DateOnly) {
		return fmt.Errorf("--expires %s is not a day to come", d.Expires)
	}
	cause := fmt.Sprintf("%s decided by hand: %s", c.By, c.Decision)
	return c.order(ctx, g, cause, d, func(message []byte) ([]byte, error) {
		signature, _, err := sign.DetachEd25519(ctx, signer, message)
		return signature, err
	})
}

// order has the upload that is named examined once more.
func (w *anotherExamination) order(ctx context.Context, g *globals, cause string, d *verdict.ManualDecision, sign func([]byte) ([]byte, error)) error {
	store, found, err := w.find(ctx, g)
	if err != nil {
		return err
	}
	last, err := verdict.Last(found)
	if err != nil {
		return err
	}
	order, err := verdict.Again(ctx, store, last, cause, d, sign)
	if err != nil {
		return err
	}
	var cfg bus.Config
	if err := config.Load(ctx, nil, &cfg); err != nil {
		return err
	}
	cfg.URL = w.NATS
	b, err := bus.Connect(ctx, cfg, "assize verdict")
	if err != nil {
		return err
	}
	defer b.Close()
	e, err := event.New("assize/cli", time.Now(), order)
	if err != nil {
		return err
	}
	// The run is new, so one that exists is ours: the answer to a first try was lost.
	if _, err := b.Publish(ctx, e, bus.Once()); err != nil && !errors.Is(err, bus.ErrExists) {
		return errors.Join(err, errors.New("nothing was ordered; try again"))
	}
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(map[string]string{"run": order.Run, "supersedes": order.Supersedes})
	}
	_, err = fmt.Fprintf(g.stdout, "%s in place of %s\n", order.Run, order.Supersedes)
	return err
}
