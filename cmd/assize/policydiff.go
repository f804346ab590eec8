package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/services/verdict"
	"assize.dev/shared/blob"
	"assize.dev/shared/event"
)

type policyDiffCmd struct {
	New  string        `arg:"" help:"The policy to try: a YAML file with settings, a Rego module, or a directory of modules." type:"path" placeholder:"FILE"`
	Over time.Duration `help:"Only verdicts that are not older; 0 is all." default:"720h" placeholder:"TIME"`
}

func (policyDiffCmd) Help() string {
	return `Decides anew on the stored evidence of the newest verdict about each upload,
without any effect, and prints those whose decision or grade would be another.
The store is that of --data, or the one ASSIZE_STORE names.

Exit codes: 0 nothing would change, 1 something would, 2 nothing of what could
be read, but some records could not, 3 error.

Examples:
  assize policy diff stricter.yaml
  assize policy diff stricter.yaml --over 2160h --json | jq -r 'select(.to=="deny").filename'`
}

// differing is a verdict that would be another.
type differing struct {
	Run      string        `json:"run"`
	Artifact string        `json:"artifact"`
	Registry string        `json:"registry"`
	Filename string        `json:"filename"`
	From     event.Outcome `json:"from"`
	To       event.Outcome `json:"to"`
	Was      event.Grade   `json:"wasGrade"`
	Is       event.Grade   `json:"isGrade"`
	Because  event.Reason  `json:"because"`
}

func (c *policyDiffCmd) Run(ctx context.Context, g *globals) error {
	p, err := verdict.LoadPolicy(ctx, c.New)
	if err != nil {
		return err
	}
	store, err := g.openStore(ctx)
	if err != nil {
		return err
	}
	shown := newScanned(g.stderr)
	defer shown.clear()
	var (
		mu                       sync.Mutex
		looked, changed, missing int
	)
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for one, err := range verdict.Newest(ctx, store, "") {
		if errors.Is(err, verdict.ErrCannotReplay) {
			mu.Lock()
			looked, missing = looked+1, missing+1
			mu.Unlock()
			shown.clear()
			g.complain(err)
			continue
		}
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		if c.Over != 0 && time.Since(one.Time) > c.Over {
			continue
		}
		group.Go(func() error {
			d, err := c.differs(working, store, p, one)
			mu.Lock()
			defer mu.Unlock()
			looked++
			switch {
			case errors.Is(err, verdict.ErrCannotReplay):
				missing++
				shown.clear()
				g.complain(fmt.Errorf("run %s: %w", one.Run, err))
				return nil
			case err != nil || d == nil:
				if looked%100 == 0 {
					shown.say(fmt.Sprintf("%d verdicts", looked))
				}
				return err
			}
			changed++
			shown.clear()
			return d.print(g)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	shown.clear()
	if !g.JSON {
		if _, err := fmt.Fprintf(g.stdout, "%d of %d verdicts would be others\n", changed, looked); err != nil {
			return err
		}
	}
	switch {
	case changed > 0:
		return status(exitFail)
	case missing > 0:
		return status(exitUndetermined)
	}
	return nil
}

// differs is nil if the policy says the same.
func (c *policyDiffCmd) differs(ctx context.Context, store blob.Store, p *verdict.Policy, one verdict.Concluded) (*differing, error) {
	record, err := verdict.RecordOf(ctx, store, one.Record.Key, one.Record.Digest)
	if err != nil {
		return nil, err
	}
	d, err := record.Decide(ctx, store, p)
	if err != nil {
		return nil, err
	}
	if d.Decision == one.Decision && d.Grade == one.Grade {
		return nil, nil
	}
	return &differing{
		Run: one.Run, Artifact: string(one.Artifact), Registry: one.Registry, Filename: one.Filename,
		From: one.Decision, To: d.Decision, Was: one.Grade, Is: d.Grade, Because: d.Reasons[0],
	}, nil
}

func (d *differing) print(g *globals) error {
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(d)
	}
	_, err := fmt.Fprintf(g.stdout, "%s (%s) → %s (%s)  %s %s, run %s\n    %s: %s\n", d.From, d.Was, d.To, d.Is,
		printable(d.Registry), printable(d.Filename), d.Run, printable(d.Because.Rule), printable(d.Because.Message))
	return err
}
