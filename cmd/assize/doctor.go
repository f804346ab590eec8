package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"assize.dev/services/scan"
	"assize.dev/shared/blob"
	"assize.dev/shared/blob/conformance"
	"assize.dev/shared/config"
)

type doctorCmd struct {
	Local doctorLocalCmd `cmd:"" default:"withargs" help:"This machine: data directory, disk, streams, keys, advisories."`
	S3    doctorS3Cmd    `cmd:"" name:"s3" help:"An S3-compatible endpoint: everything that Assize relies on."`
}

func (doctorCmd) Help() string {
	return `Exit code 0: all is well. 1: something is not, and the line says what.

Examples:
  assize doctor --data /var/lib/assize --advisories /var/lib/osv
  assize doctor --json s3`
}

// diagnosis is one thing that was checked.
type diagnosis struct {
	Check  string `json:"check"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// examination collects diagnoses and prints each as it comes.
type examination struct {
	g   *globals
	bad int
}

func (e *examination) say(check string, err error, detail string) {
	d := diagnosis{Check: check, OK: err == nil, Detail: detail}
	if err != nil {
		d.Detail = err.Error()
		e.bad++
	}
	if e.g.JSON {
		_ = json.NewEncoder(e.g.stdout).Encode(d)
		return
	}
	mark := "✓"
	if !d.OK {
		mark = "✗"
	}
	fmt.Fprintf(e.g.stdout, "%s %-34s %s\n", mark, d.Check, printable(strings.ReplaceAll(d.Detail, "\n", "; ")))
}

func (e *examination) result() error {
	if e.bad > 0 {
		return status(exitFail)
	}
	return nil
}

type doctorLocalCmd struct{ pipelineFlags }

func (c *doctorLocalCmd) Run(ctx context.Context, g *globals) error {
	e := &examination{g: g}
	data, err := g.dir()
	e.say("data directory", err, string(data))
	if err != nil {
		return e.result()
	}
	took, err := syncTime(string(data))
	e.say("disk keeps what it is told", err, fmt.Sprintf("a synced write takes %s", took.Round(10*time.Microsecond)))
	n, err := startNode(ctx, data, c.pipelineFlags, "", slog.New(slog.DiscardHandler))
	e.say("streams, store, keys, policy", err, "open")
	if err != nil {
		return e.result()
	}
	defer n.close()
	e.say("signing key", nil, "public half in "+data.publicKey())
	e.say("object store", firstFailure(ctx, n.store), data.store())
	e.advisories(c.Advisories, data)
	return e.result()
}

func (e *examination) advisories(export string, data dataDir) {
	if export != "" {
		_, err := os.ReadDir(export)
		e.say("advisories", err, export)
		return
	}
	s, err := scan.StatusOfAdvisories(data.advisories())
	if errors.Is(err, scan.ErrNoAdvisories) {
		err = errors.New("none: vulnerabilities cannot be judged and every verdict is hold; fetch them with assize advisories update, or give --advisories DIR")
	}
	if err != nil {
		e.say("advisories", err, "")
		return
	}
	e.say("advisories", nil, fmt.Sprintf("%d records, last up to date %s", s.Records, s.Updated.Format(time.RFC3339)))
}

// syncTime is the median of some small synced writes.
func syncTime(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "doctor-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var times []time.Duration
	for range 15 {
		start := time.Now()
		if _, err := f.Write(make([]byte, 1024)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

type doctorS3Cmd struct{}

func (doctorS3Cmd) Help() string {
	return `Runs the conformance suite that Assize's own tests run, below a prefix of its
own that it removes again. The endpoint comes from the environment:

  ASSIZE_STORE=s3://bucket ASSIZE_S3_ENDPOINT=https://s3.example \
  ASSIZE_S3_ACCESS_KEY=... ASSIZE_S3_SECRET_KEY_FILE=... assize doctor s3`
}

func (c *doctorS3Cmd) Run(ctx context.Context, g *globals) error {
	var cfg blob.Config
	if err := config.Load(ctx, nil, &cfg); err != nil {
		return err
	}
	s3, err := cfg.S3.At(cfg.Store)
	if err != nil || s3.Bucket == "" {
		return errors.Join(err, errors.New("ASSIZE_STORE names no S3 store: want s3://bucket/prefix"))
	}
	e := &examination{g: g}
	conformance.RunS3(ctx, s3, func(name string, err error) { e.say(name, err, "") })
	return e.result()
}

// firstFailure of the conformance suite.
func firstFailure(ctx context.Context, store blob.Store) (first error) {
	conformance.Run(ctx, store, func(name string, err error) {
		if err != nil && first == nil {
			first = fmt.Errorf("%s: %w", name, err)
		}
	})
	return first
}
