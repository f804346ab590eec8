package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"assize.dev/services/ingest"
	"assize.dev/shared/config"
)

type submitCmd struct {
	URL       string        `help:"Where Assize takes uploads." default:"http://127.0.0.1:8080" env:"ASSIZE_URL"`
	Registry  string        `help:"Name of the registry the upload belongs to." default:"local"`
	Name      string        `help:"Name of the package; the file name without it."`
	Version   string        `help:"Version of the package."`
	Signature []string      `help:"Signature beside the (single) file." placeholder:"FILE" type:"path" sep:"none"`
	Tag       []string      `help:"Word by which policies may select; repeatable." placeholder:"WORD" sep:"none"`
	Timeout   time.Duration `help:"How long to go on trying, for each file." default:"5m"`
	File      []string      `arg:"" help:"Packages to upload."`
}

func (submitCmd) Help() string {
	return `Uploads and returns as soon as the examination is ordered, printing its run.
A busy or restarting Assize is tried again; nothing is examined twice.
The token of a remote Assize comes from ASSIZE_INGEST_TOKEN or _FILE.

Examples:
  assize submit pkg.tgz
  assize submit --url https://assize.example --registry npm-prod --name left-pad --version 1.3.0 left-pad.tgz`
}

func (c *submitCmd) Run(ctx context.Context, g *globals) error {
	if len(c.File) != 1 && (c.Name != "" || c.Version != "" || len(c.Signature) > 0) {
		return errors.New("--name, --version and --signature go with exactly one file")
	}
	var env struct {
		Token config.Secret `env:"ASSIZE_INGEST_TOKEN"`
	}
	if err := config.Load(ctx, nil, &env); err != nil {
		return err
	}
	if err := c.checkTarget(); err != nil {
		return err
	}
	failed := false
	for _, file := range c.File {
		accepted, err := c.submit(ctx, g, file, env.Token)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			g.complain(fmt.Errorf("%s: %w", file, err))
			failed = true
			continue
		}
		if g.JSON {
			err = json.NewEncoder(g.stdout).Encode(struct {
				Artifact string `json:"artifact"`
				*ingest.Accepted
			}{file, accepted})
		} else {
			_, err = fmt.Fprintf(g.stdout, "%s  run %s  %s  %s\n", printable(file), printable(accepted.Run), printable(accepted.Format), accepted.Digest)
		}
		if err != nil {
			return err
		}
	}
	if failed {
		return status(exitError)
	}
	return nil
}

// checkTarget refuses what trying again would not mend.
func (c *submitCmd) checkTarget() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("--url %q: want http://host:port or https://host", c.URL)
	case c.Registry == "":
		return errors.New("--registry is empty: give the name of the registry the upload belongs to")
	}
	return nil
}

// submit PUTs the file until it is accepted or refused for good. One key for
// all tries makes them one upload.
func (c *submitCmd) submit(ctx context.Context, g *globals, file string, token config.Secret) (*ingest.Accepted, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	filename := printable(filepath.Base(file)) // headers take no control characters
	name := c.Name
	if name == "" {
		name = filename
	}
	target := strings.TrimSuffix(c.URL, "/") + ingest.Pattern + url.PathEscape(c.Registry) + "/" + url.PathEscape(name)
	if c.Version != "" {
		target += "/" + url.PathEscape(c.Version)
	}
	header := http.Header{
		"Idempotency-Key": {uuid.NewString()},
		"Assize-Filename": {filename},
		"Assize-Tag":      c.Tag,
	}
	if token != "" {
		header.Set("Authorization", "Bearer "+token.Reveal())
	}
	signatures, err := signaturesBeside(file, c.Signature)
	if err != nil {
		return nil, err
	}
	for _, s := range signatures {
		header.Add("Assize-Signature", url.PathEscape(s.Name)+"="+base64.StdEncoding.EncodeToString(s.Data))
	}
	var last error // that was not our own patience running out
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		accepted, again, err := put(ctx, target, header, file)
		if !again {
			return accepted, err
		}
		if ctx.Err() == nil || last == nil {
			if last == nil && ctx.Err() == nil {
				g.complain(fmt.Errorf("%s: %w; trying again for up to %s", file, err, c.Timeout))
			}
			last = err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("gave up: %w: see that Assize runs at --url and takes uploads, and submit it again", last)
		case <-time.After(wait):
		}
	}
}

func put(ctx context.Context, target string, header http.Header, file string) (_ *ingest.Accepted, again bool, err error) {
	f, info, err := openFile(file)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	content := io.Reader(f)
	if info.Size() == 0 {
		content = http.NoBody // a length of 0 would mean unknown
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, target, content)
	if err != nil {
		return nil, false, err
	}
	req.Header, req.ContentLength = header.Clone(), info.Size()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, true, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, true, err
	}
	if resp.StatusCode != http.StatusAccepted {
		var refused struct{ Error string }
		if json.Unmarshal(body, &refused) != nil || refused.Error == "" {
			refused.Error = string(bytes.TrimSpace(body))
		}
		again := resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout
		return nil, again, fmt.Errorf("%s: %s", resp.Status, refused.Error)
	}
	var accepted ingest.Accepted
	if err := json.Unmarshal(body, &accepted); err != nil {
		return nil, false, fmt.Errorf("unexpected answer from %s: %w", target, err)
	}
	if accepted.Run == "" {
		return nil, false, fmt.Errorf("unexpected answer from %s: no run: is Assize there?", target)
	}
	return &accepted, false, nil
}
