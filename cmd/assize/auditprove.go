package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"assize.dev/services/audit"
	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
)

type auditProveCmd struct {
	What string `arg:"" help:"Digest of an artifact (sha256:...), whose newest verdict is proven, or the index of an entry." placeholder:"DIGEST|INDEX"`
	Out  string `short:"o" help:"File for the proof; - is standard output." default:"-" type:"path"`
	URL  string `help:"Address of a log, as in https://assize.example/audit, instead of the store's own." placeholder:"URL"`
}

func (auditProveCmd) Help() string {
	return `The proof (c2sp.org/tlog-proof) holds the entry, its path to the root, and the
signed checkpoint: with the log's key, whoever gets it needs no network.

Examples:
  assize audit prove 17
  assize audit prove -o verdict.tlog-proof sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  assize verify-verdict --proof verdict.tlog-proof verdict.dsse.json`
}

func (c *auditProveCmd) Run(ctx context.Context, g *globals) error {
	fetch, store, err := g.log(ctx, c.URL)
	if err != nil {
		return err
	}
	p, err := c.prove(ctx, fetch, store)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: what is recorded is published within a second or so, if the audit service has a key", err)
	}
	if err != nil {
		return err
	}
	if c.Out != "-" {
		return os.WriteFile(c.Out, p.Marshal(), 0o644)
	}
	_, err = g.stdout.Write(p.Marshal())
	return err
}

func (c *auditProveCmd) prove(ctx context.Context, fetch audit.Fetch, store blob.Store) (*audit.Proof, error) {
	if index, err := strconv.ParseUint(c.What, 10, 63); err == nil {
		return audit.Prove(ctx, fetch, index)
	}
	artifact, err := digest.Parse(c.What)
	if err != nil {
		return nil, fmt.Errorf("%q: want the digest of an artifact, sha256: and 64 hexadecimal digits, or the index of an entry", c.What)
	}
	if store != nil {
		return audit.ProofOf(ctx, store, artifact)
	}
	return askProof(ctx, c.URL, artifact)
}

// askProof asks the service itself: files that are merely served know no digests.
func askProof(ctx context.Context, address string, artifact digest.Digest) (*audit.Proof, error) {
	base, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	base.Path, base.RawQuery = "/v1/proof/inclusion", "artifact="+url.QueryEscape(string(artifact))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := (&http.Client{Timeout: time.Minute}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	switch {
	case err != nil:
		return nil, err
	case response.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%s: %w", strings.TrimSpace(string(b)), fs.ErrNotExist)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the server answers %s", response.Status)
	}
	return audit.ParseProof(b)
}

type auditHeadCmd struct {
	URL      string `help:"Address of a log instead of the store's own." placeholder:"URL"`
	logTrust `embed:""`
}

func (auditHeadCmd) Help() string {
	return `Exit codes: 0 the checkpoint is signed as it should be; 1 it is not; 2 there is
none, or no key to check it with.

Examples:
  assize audit head
  assize audit head --url https://assize.example/audit --key audit.pub`
}

func (c *auditHeadCmd) Run(ctx context.Context, g *globals) error {
	policy, err := c.policy(g)
	if err != nil {
		return err
	}
	fetch, _, err := g.log(ctx, c.URL)
	if err != nil {
		return err
	}
	signed, err := fetch(ctx, "checkpoint", 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		g.complain(errors.New("no checkpoint is published"))
		return status(exitUndetermined)
	}
	if err != nil {
		return err
	}
	if policy == nil {
		if _, err := g.stdout.Write(signed); err != nil {
			return err
		}
		g.complain(errors.New("nobody's signature was checked: give the log's key with --key"))
		return status(exitUndetermined)
	}
	s, err := policy.Open(signed)
	if err != nil {
		g.complain(err)
		return status(exitFail)
	}
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(audit.CheckpointReport{Origin: s.Origin, Size: s.Size, Root: s.Root[:], Verified: true, Cosigned: s.Cosigned})
	}
	_, err = fmt.Fprintf(g.stdout, "log      %s\nentries  %d\nroot     %s\n", printable(s.Origin), s.Size, base64.StdEncoding.EncodeToString(s.Root[:]))
	for _, w := range s.Cosigned {
		if err == nil {
			_, err = fmt.Fprintf(g.stdout, "witness  %s, %s\n", printable(w.Witness), w.Time.Format(time.RFC3339))
		}
	}
	return err
}

type auditKeygenCmd struct {
	Origin string `arg:"" help:"Name of the log, which no other log should have, as in assize.example/log."`
	Out    string `short:"o" help:"File for the private key, mode 0600; the public key goes to the same name with .pub." default:"audit.key" type:"path"`
}

func (auditKeygenCmd) Help() string {
	return `Existing files are never overwritten.

Examples:
  assize audit keygen assize.example/log
  ASSIZE_AUDIT_KEY_FILE=audit.key assize up`
}

func (c *auditKeygenCmd) Run(_ context.Context, g *globals) error {
	for _, path := range []string{c.Out, strings.TrimSuffix(c.Out, ".key") + ".pub"} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s exists, and is not written over", path)
		}
	}
	secret, vkey, err := audit.NewKey(c.Origin)
	if err == nil {
		err = writeLogKey(c.Out, secret, vkey)
	}
	if err != nil {
		return err
	}
	if g.JSON {
		return json.NewEncoder(g.stdout).Encode(map[string]string{"private": c.Out, "key": vkey})
	}
	_, err = fmt.Fprintf(g.stdout, "private key  %s (keep it secret, keep a backup)\npublic key   %s\n", c.Out, vkey)
	return err
}
