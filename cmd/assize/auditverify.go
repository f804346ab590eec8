package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"assize.dev/services/audit"
	"assize.dev/shared/blob"
)

// log is what is published at an address, or in the own store, which is nil for
// an address.
func (g *globals) log(ctx context.Context, url string) (audit.Fetch, blob.Store, error) {
	if url != "" {
		fetch, err := audit.PublishedAt(url)
		return fetch, nil, err
	}
	store, err := g.openStore(ctx)
	if err != nil {
		return nil, nil, err
	}
	return audit.Published(store), store, nil
}

// logTrust says whose signatures on checkpoints count.
type logTrust struct {
	Key           []string `help:"Key of the log (vkey), or a file with it; by default <data>/keys/audit.pub." env:"ASSIZE_AUDIT_PUBLIC_KEY" placeholder:"VKEY|FILE" sep:"none"`
	WitnessPolicy string   `help:"Policy with the log's key, witnesses and their quorum (c2sp.org/tlog-policy), instead of a key." placeholder:"FILE" type:"path"`
}

// policy is nil if no key is known.
func (t *logTrust) policy(g *globals) (*audit.Policy, error) {
	if t.WitnessPolicy != "" {
		if len(t.Key) > 0 {
			return nil, errors.New("--key and --witness-policy exclude each other")
		}
		text, err := os.ReadFile(t.WitnessPolicy)
		if err != nil {
			return nil, err
		}
		p, err := audit.ParsePolicy(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.WitnessPolicy, err)
		}
		return p, nil
	}
	keys := t.Key
	if len(keys) == 0 {
		data, err := g.where()
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(data.logPublicKey()); err != nil {
			return nil, nil //nolint:nilerr // no key is an answer
		}
		keys = []string{data.logPublicKey()}
	}
	var vkeys []string
	for _, k := range keys {
		if strings.Count(k, "+") >= 2 {
			vkeys = append(vkeys, k)
			continue
		}
		b, err := os.ReadFile(k)
		if err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		vkeys = append(vkeys, strings.Fields(string(b))...)
	}
	return audit.KeyPolicy(vkeys...)
}

type auditVerifyCmd struct {
	URL        string `help:"Address of a log, as in https://assize.example/audit, instead of the store's own." placeholder:"URL" xor:"where"`
	Offline    string `help:"A copy: a directory that assize audit export wrote, or with --jsonl a file." placeholder:"DIR|FILE" type:"path" xor:"where"`
	Checkpoint string `help:"A checkpoint from elsewhere that the log must continue." placeholder:"FILE" type:"path"`
	logTrust   `embed:""`
}

func (auditVerifyCmd) Help() string {
	return `Reads the whole log and says in plain words what holds: every line and its
hash, the chain, the order of every stream, the Merkle tree, and the
signatures on its checkpoint; and that the log continues the one that was
verified last, which is remembered in the data directory. What does not hold is
named by its entry.

Strangers need the log's address and its key, and nothing else:
  assize audit verify --url https://assize.example/audit --key assize.example/log+1a2b3c4d+AeT5...

Exit codes: 0 the log is whole; 1 it is not; 2 it is, as far as one can tell
without a checkpoint, or without the key that signs them; 3 error.

Examples:
  assize audit verify --data /var/lib/assize
  assize audit verify --offline copy --key audit.pub
  assize audit verify --witness-policy policy.txt --checkpoint from-the-auditor.txt`
}

func (c *auditVerifyCmd) Run(ctx context.Context, g *globals) error {
	policy, err := c.policy(g)
	if err != nil {
		return err
	}
	shown := newScanned(g.stderr)
	o := audit.Options{Policy: policy, Progress: func(n uint64) { shown.say(fmt.Sprintf("%d entries", n)) }}
	if c.Checkpoint != "" {
		kept, err := os.ReadFile(c.Checkpoint)
		if err != nil {
			return err
		}
		o.Kept = append(o.Kept, kept)
	}
	seen := &seenCheckpoints{}
	if policy != nil {
		if seen.data, err = g.where(); err != nil {
			return err
		}
	}
	r, err := c.verify(ctx, g, o, seen)
	shown.clear()
	if err != nil {
		return err
	}
	undetermined := r.Checkpoint == nil || !r.Checkpoint.Verified
	if r.OK() && !undetermined {
		if err := seen.keep(r.Checkpoint.Origin, r.Checkpoint.Signed); err != nil {
			return fmt.Errorf("remember the checkpoint for the next time: %w", err)
		}
	}
	if g.JSON {
		err = json.NewEncoder(g.stdout).Encode(struct {
			OK bool `json:"ok"`
			*audit.Report
		}{r.OK() && !undetermined, r})
	} else {
		err = c.tell(g, r)
	}
	switch {
	case err != nil:
		return err
	case !r.OK():
		return status(exitFail)
	case undetermined:
		return status(exitUndetermined)
	}
	return nil
}

// verify reads from wherever the log is.
func (c *auditVerifyCmd) verify(ctx context.Context, g *globals, o audit.Options, seen *seenCheckpoints) (*audit.Report, error) {
	if c.Offline != "" {
		if info, err := os.Stat(c.Offline); err != nil {
			return nil, err
		} else if !info.IsDir() {
			f, err := os.Open(c.Offline)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			return audit.VerifyExport(ctx, f, o)
		}
		fetch, closer, err := audit.PublishedIn(c.Offline)
		if err != nil {
			return nil, err
		}
		defer closer.Close()
		if o.Kept, err = seen.add(ctx, fetch, o.Kept); err != nil {
			return nil, err
		}
		return audit.VerifyPublished(ctx, fetch, o)
	}
	fetch, store, err := g.log(ctx, c.URL)
	if err != nil {
		return nil, err
	}
	if o.Kept, err = seen.add(ctx, fetch, o.Kept); err != nil {
		return nil, err
	}
	if store == nil {
		return audit.VerifyPublished(ctx, fetch, o)
	}
	return audit.Verify(ctx, store, o)
}

func (c *auditVerifyCmd) tell(g *globals, r *audit.Report) error {
	var b bytes.Buffer
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "✗ entry %d: %s\n", p.Entry, printable(strings.TrimPrefix(p.Reason, fmt.Sprintf("entry %d: ", p.Entry))))
		if p.Segment != "" {
			fmt.Fprintf(&b, "  in %s\n", printable(p.Segment))
		}
	}
	cp := r.Checkpoint
	switch {
	case !r.OK():
		fmt.Fprintf(&b, "The log does not hold: %d problems.\n", len(r.Problems))
	default:
		fmt.Fprintf(&b, "✓ %d entries: every line and the whole chain hold; the last line is %s\n", r.Entries, r.Chain)
		switch {
		case cp == nil:
			fmt.Fprintf(&b, "? No checkpoint is published: nothing says that entries were not cut off at the end.\n  Set ASSIZE_AUDIT_KEY for the audit service.\n")
		case !cp.Verified:
			fmt.Fprintf(&b, "? The Merkle tree holds, but nobody's signature was checked: give the key of the log %s with --key.\n", printable(cp.Origin))
		default:
			fmt.Fprintf(&b, "✓ The Merkle tree holds: %s signed %d entries, root %s\n", printable(cp.Origin), cp.Size, base64.StdEncoding.EncodeToString(cp.Root))
		}
		if cp != nil && r.Entries > cp.Size {
			fmt.Fprintf(&b, "  %d entries are newer than the checkpoint\n", r.Entries-cp.Size)
		}
		if cp != nil {
			for _, w := range cp.Cosigned {
				fmt.Fprintf(&b, "✓ witness %s, %s\n", printable(w.Witness), w.Time.Format(time.RFC3339))
			}
		}
		if r.Consistent > 0 {
			fmt.Fprintf(&b, "✓ It continues the log of %d entries that was verified before.\n", r.Consistent)
		}
	}
	_, err := g.stdout.Write(b.Bytes())
	return err
}

// seenCheckpoints are those that were verified last, one for each log.
type seenCheckpoints struct{ data dataDir }

func (s *seenCheckpoints) file(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return s.data.path("audit-seen", fmt.Sprintf("%x", sum[:8]))
}

// add appends the one of the log that fetch reads.
func (s *seenCheckpoints) add(ctx context.Context, fetch audit.Fetch, kept [][]byte) ([][]byte, error) {
	if s.data == "" {
		return kept, nil
	}
	signed, err := fetch(ctx, "checkpoint", 1<<20)
	if err != nil {
		return kept, nil //nolint:nilerr // verifying will say so
	}
	origin, _, _ := strings.Cut(string(signed), "\n")
	before, err := os.ReadFile(s.file(origin))
	if errors.Is(err, fs.ErrNotExist) {
		return kept, nil
	}
	return append(kept, before), err
}

func (s *seenCheckpoints) keep(origin string, signed []byte) error {
	if s.data == "" {
		return nil
	}
	file := s.file(origin)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(file, signed, 0o600)
}
