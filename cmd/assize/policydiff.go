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

	"assize.dev/services/sign"
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

// past is what of a verdict is compared.
type past struct {
	stored   verdict.Stored
	registry string
	filename string
	decision event.Outcome
	grade    event.Grade
	time     time.Time
	record   func(ctx context.Context, store blob.Store) (*verdict.Record, error)
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
	for one, err := range c.newest(ctx, store) {
		if err != nil {
			return errors.Join(err, group.Wait())
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
				g.complain(fmt.Errorf("run %s: %w", one.stored.Run, err))
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

// newest gives, of each upload, the last verdict that is young enough. Verdicts
// come by artifact, so only those of one artifact are held at a time.
func (c *policyDiffCmd) newest(ctx context.Context, store blob.Store) func(yield func(past, error) bool) {
	return func(yield func(past, error) bool) {
		last := map[[2]string]past{} // by registry and file name
		flush := func() bool {
			for _, one := range last {
				if (c.Over == 0 || time.Since(one.time) <= c.Over) && !yield(one, nil) {
					return false
				}
			}
			clear(last)
			return true
		}
		artifact := ""
		for s, err := range verdict.All(ctx, store) {
			if err != nil {
				yield(past{}, err)
				return
			}
			if string(s.Artifact) != artifact && !flush() {
				return
			}
			artifact = string(s.Artifact)
			statement, _, err := sign.ReadVerdict(s.Envelope)
			if err != nil {
				yield(past{}, fmt.Errorf("run %s: %w", s.Run, err))
				return
			}
			v, err := statement.Verdict()
			if err != nil {
				yield(past{}, fmt.Errorf("run %s: %w", s.Run, err))
				return
			}
			last[[2]string{v.Registry, v.Artifact.Filename}] = past{
				stored: s, registry: v.Registry, filename: v.Artifact.Filename, decision: v.Decision, grade: v.Grade, time: v.Time,
				record: func(ctx context.Context, store blob.Store) (*verdict.Record, error) {
					return verdict.RecordOf(ctx, store, v.Record.Key, v.Record.Digest)
				},
			}
		}
		flush()
	}
}

// differs is nil if the policy says the same.
func (c *policyDiffCmd) differs(ctx context.Context, store blob.Store, p *verdict.Policy, one past) (*differing, error) {
	record, err := one.record(ctx, store)
	if err != nil {
		return nil, err
	}
	d, err := record.Decide(ctx, store, p)
	if err != nil {
		return nil, err
	}
	if d.Decision == one.decision && d.Grade == one.grade {
		return nil, nil
	}
	return &differing{
		Run: one.stored.Run, Artifact: string(one.stored.Artifact), Registry: one.registry, Filename: one.filename,
		From: one.decision, To: d.Decision, Was: one.grade, Is: d.Grade, Because: d.Reasons[0],
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
