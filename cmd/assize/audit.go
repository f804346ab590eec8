package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"assize.dev/services/audit"
	"assize.dev/shared/blob"
	"assize.dev/shared/config"
)

type auditCmd struct {
	Log    auditLogCmd    `cmd:"" help:"Print entries."`
	Verify auditVerifyCmd `cmd:"" help:"Check every line, the hash chain, and that nothing is missing."`
}

// openStore opens the store of --data, or the one ASSIZE_STORE names.
func (g *globals) openStore(ctx context.Context) (blob.Store, error) {
	var cfg blob.Config
	if err := config.Load(ctx, nil, &cfg); err != nil {
		return nil, err
	}
	if g.Data != "" || cfg.Store == "" {
		data, err := g.where()
		if err != nil {
			return nil, err
		}
		// A directory made on the spot would hold an empty log, and that one
		// is always whole.
		if _, err := os.Stat(data.store()); err != nil {
			return nil, fmt.Errorf("no audit log: %w: give the directory that check or up worked in with --data DIR", err)
		}
		cfg.Store = "dir:" + data.store()
	}
	return blob.Open(ctx, cfg)
}

type auditLogCmd struct {
	Last  int           `short:"n" help:"Only the last N entries; 0 is all." default:"0"`
	Type  string        `help:"Only events of this type, as in dev.assize.verdict.v1."`
	OfRun string        `name:"run" help:"Only events of this run."`
	Since time.Duration `help:"Only events younger than this." placeholder:"1h"`
}

func (auditLogCmd) Help() string {
	return `The store is that of --data, or the one ASSIZE_STORE names.

Examples:
  assize audit log -n 20
  assize audit log --json --type dev.assize.verdict.v1 | jq .data.decision
  assize audit log --run 0193...`
}

func (c *auditLogCmd) Run(ctx context.Context, g *globals) error {
	store, err := g.openStore(ctx)
	if err != nil {
		return err
	}
	var kept []*audit.Entry
	for e, err := range audit.Entries(ctx, store) {
		if err != nil {
			return fmt.Errorf("%w: run assize audit verify", err)
		}
		if !c.wants(e) {
			continue
		}
		if c.Last == 0 {
			if err := c.print(g, e); err != nil {
				return err
			}
			continue
		}
		if kept = append(kept, e); len(kept) > c.Last {
			kept = kept[1:]
		}
	}
	for _, e := range kept {
		if err := c.print(g, e); err != nil {
			return err
		}
	}
	return nil
}

func (c *auditLogCmd) wants(e *audit.Entry) bool {
	return (c.Type == "" || e.Type == c.Type) && (c.OfRun == "" || strings.HasSuffix(e.Subject, "."+c.OfRun)) &&
		(c.Since == 0 || time.Since(e.Time) <= c.Since)
}

func (c *auditLogCmd) print(g *globals, e *audit.Entry) error {
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(e)
	}
	_, err := fmt.Fprintf(g.stdout, "%8d  %s  %-26s %s\n", e.Index, e.Time.Format(time.RFC3339), printable(e.Type), printable(e.Subject))
	return err
}

type auditVerifyCmd struct{}

func (auditVerifyCmd) Help() string {
	return `Exit code 0: the log is whole. 1: it is not, and the entry is named.

Example:
  assize audit verify --data /var/lib/assize`
}

func (c *auditVerifyCmd) Run(ctx context.Context, g *globals) error {
	store, err := g.openStore(ctx)
	if err != nil {
		return err
	}
	r, err := audit.Verify(ctx, store, audit.Options{})
	if err != nil {
		return err
	}
	if g.JSON {
		err = json.NewEncoder(g.stdout).Encode(struct {
			OK bool `json:"ok"`
			*audit.Report
		}{r.OK(), r})
	} else {
		err = c.tell(g, r)
	}
	if err == nil && !r.OK() {
		return status(exitFail)
	}
	return err
}

func (c *auditVerifyCmd) tell(g *globals, r *audit.Report) error {
	for _, p := range r.Problems {
		if _, err := fmt.Fprintf(g.stdout, "✗ entry %d: %s\n  in %s\n", p.Entry, printable(p.Reason), printable(p.Segment)); err != nil {
			return err
		}
	}
	if !r.OK() {
		_, err := fmt.Fprintf(g.stdout, "The log does not hold: %d problems.\n", len(r.Problems))
		return err
	}
	_, err := fmt.Fprintf(g.stdout, "✓ %d entries in %d segments, every line and the whole chain hold.\n  last line %s\n", r.Entries, r.Segments, r.Chain)
	return err
}
