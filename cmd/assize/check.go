package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/shared/bus"
	"assize.dev/shared/event"
)

type checkCmd struct {
	pipelineFlags
	Registry  string   `help:"Name of the registry the files are from, as policy and subscribers see it." default:"local"`
	Signature []string `help:"Signature of the (single) file; those that lie beside a file, such as FILE.sig, FILE.asc or FILE.sigstore.json, are found without it." placeholder:"FILE" type:"path" sep:"none"`
	File      []string `arg:"" help:"Packages to judge."`
}

func (checkCmd) Help() string {
	return `Sends each file through the whole pipeline in this process and prints its
signed verdict. State stays in --data, so the verdicts can be audited later.

Examples:
  assize check --advisories ~/osv express-4.21.2.tgz
  assize check --json *.whl | jq -r 'select(.decision=="deny").artifact'
  assize check --trust keys/ --signature pkg.tgz.sig pkg.tgz

Without advisories vulnerabilities cannot be judged and the verdict is hold.`
}

func (c *checkCmd) Run(ctx context.Context, g *globals) error {
	if len(c.Signature) > 0 && len(c.File) != 1 {
		return errors.New("--signature goes with exactly one file")
	}
	if c.Registry == "" {
		return errors.New("--registry is empty: give the name of the registry the files are from")
	}
	data, err := g.dir()
	if err != nil {
		return err
	}
	worst, err := c.check(ctx, g, data)
	if err != nil {
		return err
	}
	if worst != exitPass {
		return status(worst)
	}
	return nil
}

func (c *checkCmd) check(ctx context.Context, g *globals, data dataDir) (worst int, err error) {
	n, err := startNode(ctx, data, c.pipelineFlags, "", slog.Default())
	if err != nil {
		return exitError, err
	}
	defer n.close()
	j := &judging{node: n, files: c.File, printer: g.printer(), progress: newProgress(g.stderr, g.JSON), runs: map[string]int{}, results: map[int]*result{}}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	services, serving := errgroup.WithContext(serving)
	for _, p := range n.parts {
		if p.Run == nil {
			continue // serves HTTP only
		}
		services.Go(func() error {
			if err := p.Run(serving); err != nil && serving.Err() == nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
			return nil
		})
	}
	worst, err = j.judge(serving, c)
	if err == nil {
		err = n.recordAll(serving)
	}
	stop()
	if failed := services.Wait(); failed != nil {
		err = failed
	}
	for _, problem := range j.problems {
		g.complain(problem)
	}
	return worst, err
}

// judging follows the runs of one check.
type judging struct {
	node     *node
	files    []string
	printer  printer
	progress *progress

	mu       sync.Mutex
	runs     map[string]int  // run to index of its file, until its verdict is there
	ordered  bool            // all files are
	results  map[int]*result // by index, until it is their turn; nil for a file that failed
	printed  int             // files whose turn is over
	worst    int
	problems []error
}

var errDone = errors.New("all verdicts are there")

// judge orders the examination of all files and prints the verdicts.
func (j *judging) judge(ctx context.Context, c *checkCmd) (int, error) {
	_, from, err := j.node.bus.Sequences(ctx, bus.Events)
	if err != nil {
		return exitError, err
	}
	outer := ctx
	group, ctx := errgroup.WithContext(outer)
	group.Go(func() error { return j.node.bus.Follow(ctx, bus.Events, from+1, nil, j.follow) })
	group.Go(func() error {
		for i, file := range c.File {
			if err := j.order(ctx, c, i, file); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err := j.fail(i, fmt.Errorf("%s: %w", file, err)); err != nil {
					return err
				}
			}
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		j.ordered = true
		return j.doneLocked()
	})
	err = group.Wait()
	j.progress.clear()
	switch {
	case err == nil:
		// Nobody said that all is done, so somebody asked us to stop.
		return exitError, outer.Err()
	case !errors.Is(err, errDone):
		return exitError, err
	}
	return j.worst, nil
}

// fail notes that there will be no verdict for a file.
func (j *judging) fail(index int, err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.worst = worse(j.worst, exitError)
	j.problems = append(j.problems, err)
	j.results[index] = nil
	return j.printLocked()
}

// printLocked prints the results whose turn it is: in the order of the
// files, however the pipeline finished them.
func (j *judging) printLocked() error {
	for {
		r, there := j.results[j.printed]
		if !there {
			return nil
		}
		delete(j.results, j.printed)
		j.printed++
		if r == nil {
			continue
		}
		if err := j.progress.finish(r.Run, func() error { return j.printer.print(*r) }); err != nil {
			return err
		}
	}
}

// doneLocked is errDone once there is nothing to wait for.
func (j *judging) doneLocked() error {
	if j.ordered && len(j.runs) == 0 {
		return errDone
	}
	return nil
}

func (j *judging) order(ctx context.Context, c *checkCmd, index int, file string) error {
	f, _, err := openFile(file)
	if err != nil {
		return err
	}
	defer f.Close()
	signatures, err := signaturesBeside(file, c.Signature)
	if err != nil {
		return err
	}
	name := strings.ToValidUTF8(filepath.Base(file), "\uFFFD")
	order := &event.Artifact{
		Run: event.NewRun(), Lane: event.LaneNew, Registry: c.Registry, Name: name,
		Filename: name, Received: time.Now().UTC(), Signatures: signatures,
	}
	j.mu.Lock()
	j.runs[order.Run] = index
	j.mu.Unlock()
	j.progress.start(order.Run, name)
	if _, err := j.node.ingest.Receive(ctx, f, order); err != nil {
		j.mu.Lock()
		delete(j.runs, order.Run)
		j.mu.Unlock()
		return errors.Join(err, j.progress.finish(order.Run, func() error { return nil }))
	}
	return nil
}

// follow is called with every event of the stream in order.
func (j *judging) follow(m *bus.Message) error {
	if m.Event == nil {
		return nil
	}
	switch m.Event.Type {
	case event.TypeEvidence:
		var e event.Evidence
		if event.Decode(m.Event, &e) == nil {
			j.progress.evidence(e.Run, e.Kind, e.Status)
		}
	case event.TypeDecision:
		var d event.Decision
		if event.Decode(m.Event, &d) == nil {
			j.progress.decided(d.Run)
		}
	case event.TypeVerdict:
		var v event.Verdict
		if err := event.Decode(m.Event, &v); err != nil {
			return err
		}
		return j.verdict(&v)
	}
	return nil
}

func (j *judging) verdict(v *event.Verdict) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	index, ours := j.runs[v.Run]
	if !ours {
		return nil // left over from a check that was interrupted
	}
	delete(j.runs, v.Run)
	r := resultOf(j.files[index], v, func(key string) string { return filepath.Join(j.node.data.store(), filepath.FromSlash(key)) })
	j.results[index] = &r
	j.worst = worse(j.worst, exitCode(v.Decision))
	if err := j.printLocked(); err != nil {
		return err
	}
	return j.doneLocked()
}

// recordAll waits until the audit log holds all events there are, and
// publishes it.
func (n *node) recordAll(ctx context.Context) error {
	for _, stream := range []string{bus.Uploads, bus.Events, bus.Dead} {
		_, last, err := n.bus.Sequences(ctx, stream)
		if err != nil {
			return err
		}
		for n.audit.Head().Positions[stream] < last {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return n.audit.Publish(ctx)
}
