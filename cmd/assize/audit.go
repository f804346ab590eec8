package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"assize.dev/services/audit"
	"assize.dev/shared/blob"
	"assize.dev/shared/config"
	"assize.dev/shared/digest"
)

type auditCmd struct {
	Log    auditLogCmd    `cmd:"" help:"Print entries."`
	Verify auditVerifyCmd `cmd:"" help:"Check every line, the hash chain, the Merkle tree and its checkpoints."`
	Prove  auditProveCmd  `cmd:"" help:"Prove that an entry, or the newest verdict about an artifact, is in the log."`
	Export auditExportCmd `cmd:"" help:"Copy what is published, for others to verify without us."`
	Head   auditHeadCmd   `cmd:"" help:"Show how far the log is published, and who signed."`
	Keygen auditKeygenCmd `cmd:"" help:"Make the key of a log, for ASSIZE_AUDIT_KEY."`
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
	Last     int           `short:"n" help:"Only the last N entries; 0 is all." default:"0"`
	Follow   bool          `short:"f" help:"Go on with what is recorded from now on."`
	Type     string        `help:"Only events of this type, as in dev.assize.verdict.v1, or of this kind, as in verdict_issued."`
	Severity string        `help:"Only entries of this severity or a worse one: ${enum}." enum:"debug,info,warning,error,critical" default:"debug"`
	Artifact digest.Digest `help:"Only what is about this artifact." placeholder:"DIGEST"`
	OfRun    string        `name:"run" help:"Only events of this run."`
	Since    time.Duration `help:"Only events younger than this." placeholder:"1h"`
	From     time.Time     `help:"Only events from this moment on (RFC 3339)." placeholder:"TIME"`
	Until    time.Time     `help:"Only events before this moment (RFC 3339)." placeholder:"TIME"`
}

func (auditLogCmd) Help() string {
	return `The store is that of --data, or the one ASSIZE_STORE names.

Kinds of events: artifact_uploaded, artifact_stored, artifact_reexamined,
decided_by_hand, signature_verified, signature_failed, sbom_generated, vulnerability_detected,
secret_detected, unsafe_content_detected, security_audit, examination_failed,
policy_evaluated, policy_violation, verdict_issued, verdict_superseded,
event_abandoned, event_malformed, events_missing, and what services say of
themselves, as in service_started and advisories_updated.

Examples:
  assize audit log -n 20
  assize audit log --severity warning --since 24h
  assize audit log --json --type verdict_issued | jq .data.decision
  assize audit log -f --artifact sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
}

func (c *auditLogCmd) Run(ctx context.Context, g *globals) error {
	store, err := g.openStore(ctx)
	if err != nil {
		return err
	}
	if c.Since > 0 && !c.From.IsZero() {
		return errors.New("--since and --from exclude each other")
	}
	if c.Since > 0 {
		c.From = time.Now().Add(-c.Since)
	}
	var kept []*audit.Entry
	next, err := c.each(ctx, store, 0, func(e *audit.Entry) error {
		if c.Last == 0 {
			return c.print(g, e)
		}
		if kept = append(kept, e); len(kept) > c.Last {
			kept = kept[1:]
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, e := range kept {
		if err := c.print(g, e); err != nil {
			return err
		}
	}
	for c.Follow {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(500 * time.Millisecond):
		}
		if next, err = c.each(ctx, store, next, func(e *audit.Entry) error { return c.print(g, e) }); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// each calls f with what is asked for, from an entry on, and says which follows.
func (c *auditLogCmd) each(ctx context.Context, store blob.Store, from uint64, f func(*audit.Entry) error) (next uint64, err error) {
	for e, err := range audit.Entries(ctx, store, from) {
		if err != nil {
			return from, fmt.Errorf("%w: run assize audit verify", err)
		}
		from = e.Index + 1
		if c.wants(e) {
			if err := f(e); err != nil {
				return from, err
			}
		}
	}
	return from, nil
}

func (c *auditLogCmd) wants(e *audit.Entry) bool {
	return (c.Type == "" || e.Type == c.Type || string(e.Event) == c.Type) &&
		e.Severity.Rank() >= audit.Severity(c.Severity).Rank() &&
		(c.Artifact == "" || e.Artifact == c.Artifact) &&
		(c.OfRun == "" || strings.HasSuffix(e.Subject, "."+c.OfRun)) &&
		!e.Time.Before(c.From) && (c.Until.IsZero() || e.Time.Before(c.Until))
}

// shownEntry is an entry for people and programs: with its data as JSON, if it
// is that. The line of the log itself is what export writes.
type shownEntry struct {
	Index    uint64          `json:"index"`
	Time     time.Time       `json:"time"`
	Event    audit.EventKind `json:"event"`
	Severity audit.Severity  `json:"severity"`
	Actor    string          `json:"actor,omitempty"`
	Artifact digest.Digest   `json:"artifact,omitempty"`
	Type     string          `json:"type"`
	Stream   string          `json:"stream"`
	Sequence uint64          `json:"seq"`
	Subject  string          `json:"subject,omitempty"`
	ID       string          `json:"id,omitempty"`
	Digest   digest.Digest   `json:"digest"`
	Previous digest.Digest   `json:"prev"`
	Data     any             `json:"data,omitempty"`
}

func (c *auditLogCmd) print(g *globals, e *audit.Entry) error {
	if g.JSON {
		s := shownEntry{e.Index, e.Time, e.Event, e.Severity, e.Actor, e.Artifact, e.Type, e.Stream, e.Sequence, e.Subject, e.ID, e.Digest, e.Previous, nil}
		switch {
		case json.Valid([]byte(e.Data)):
			s.Data = json.RawMessage(e.Data)
		case e.Data != "":
			s.Data = e.Data
		}
		return json.NewEncoder(g.stdout).Encode(s)
	}
	about := ""
	if e.Artifact != "" {
		about = "  " + e.Artifact.Hex()[:12]
	}
	_, err := fmt.Fprintf(g.stdout, "%8d  %s  %-8s  %-23s %s%s  %s\n", e.Index, e.Time.Format(time.RFC3339), printable(string(e.Severity)),
		printable(string(e.Event)), printable(e.Actor), about, printable(e.Subject))
	return err
}

type auditExportCmd struct {
	JSONL bool   `name:"jsonl" help:"Write the entries as lines of JSON, the last line being the checkpoint that covers them, instead of tiles and bundles."`
	Out   string `arg:"" optional:"" help:"Directory for tiles, bundles and the checkpoint, or with --jsonl a file; - is standard output." default:"-" type:"path"`
	URL   string `help:"Address of a log, instead of the store's own." placeholder:"URL"`
}

func (auditExportCmd) Help() string {
	return `What is exported is what is published; assize audit verify --offline checks it,
and so does whatever else reads c2sp.org/tlog-tiles.

Examples:
  assize audit export copy
  assize audit export --jsonl log.jsonl
  assize audit export --url https://assize.example/audit copy`
}

func (c *auditExportCmd) Run(ctx context.Context, g *globals) error {
	fetch, store, err := g.log(ctx, c.URL)
	if err != nil {
		return err
	}
	if c.JSONL {
		out := io.Writer(g.stdout)
		if c.Out != "-" {
			f, err := os.Create(c.Out)
			if err != nil {
				return err
			}
			defer f.Close()
			out = f
		}
		n, err := audit.Export(ctx, fetch, out)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(g.stderr, "%d entries\n", n)
		return err
	}
	if c.Out == "-" || store == nil {
		return errors.New("give a directory for the tiles; those of an address are copied with --jsonl, or with any mirroring tool")
	}
	n := 0
	for info, err := range store.List(ctx, "audit/", "") {
		if err != nil {
			return err
		}
		path := strings.TrimPrefix(info.Key, "audit/")
		if !strings.HasPrefix(path, "tile/") && !strings.HasPrefix(path, "checkpoints/") {
			continue
		}
		if err := copyObject(ctx, store, info.Key, filepath.Join(c.Out, filepath.FromSlash(path))); err != nil {
			return err
		}
		n++
	}
	// Last, as in the store: what it covers is there.
	if err := copyObject(ctx, store, "audit/checkpoint", filepath.Join(c.Out, "checkpoint")); err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.stderr, "%d files\n", n+1)
	return err
}

func copyObject(ctx context.Context, store blob.Store, key, file string) error {
	o, err := store.Open(ctx, key)
	if err != nil {
		return err
	}
	defer o.Close()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	_, err = io.Copy(w, o)
	return errors.Join(err, w.Flush(), f.Close())
}
