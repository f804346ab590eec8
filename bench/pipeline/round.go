package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// Round is everything measured once, on the same disk, one after the other.
type Round struct {
	Append Sample `json:"append"` // 1 KiB and fsync
	Create Sample `json:"create"` // a file of 1 KiB, fsync of it and of its directory

	BrokerAlone Sample `json:"brokerAlone"` // one publisher
	BrokerBusy  Sample `json:"brokerBusy"`  // as many as the pipeline has

	Alone Passage `json:"alone"` // one artifact at a time
	Busy  Passage `json:"busy"`

	// The work of a stage without Assize around it, by one and two goroutines,
	// and done by one and two replicas; per second.
	OneWorker   float64 `json:"oneWorker"`
	TwoWorkers  float64 `json:"twoWorkers"`
	OneReplica  float64 `json:"oneReplica"`
	TwoReplicas float64 `json:"twoReplicas"`
}

// CostAlone is how many times longer an artifact takes than the broker would
// for that many publishes, with one of either at a time; CostBusy is the same
// with many.
func (r Round) CostAlone() float64 { return cost(r.Alone, r.BrokerAlone) }

// CostBusy is described at CostAlone.
func (r Round) CostBusy() float64 { return cost(r.Busy, r.BrokerBusy) }

func cost(p Passage, broker Sample) float64 { return p.each() / (p.Publishes * broker.each()) }

// Scaling is what a second replica of a stage makes of the throughput.
func (r Round) Scaling() float64 { return r.TwoReplicas / r.OneReplica }

// Machine is what a second goroutine makes of the throughput of bare work: no
// stage can gain more from a second replica.
func (r Round) Machine() float64 { return r.TwoWorkers / r.OneWorker }

// Options say how much is measured, and with what.
type Options struct {
	Dir       string `json:"dir"`
	Rounds    int    `json:"rounds"`
	Artifacts int    `json:"artifacts"` // per round when busy; a quarter of it alone
	InFlight  int    `json:"inFlight"`
	Workers   int    `json:"workers"` // of each stage
	Writes    int    `json:"writes"`  // to the disk, and publishes to the broker, per measurement
	Backlog   int    `json:"backlog"` // artifacts for the replicas
	Burn      int    `json:"burn"`    // milliseconds of processor time for each of them

	Profile string `json:"-"` // file for a CPU profile of the last round's busy pipeline
}

// publishers is how many of the pipeline's workers may publish at a time: the
// uploaders, and the workers of five analysers, verdict and sign.
func (o Options) publishers() int { return o.InFlight + 7*o.Workers }

const warmUp = 8 // artifacts, at least: the policy is compiled, the directories are made

func measureRound(ctx context.Context, o Options, burner burning) (r Round, err error) {
	dir, err := os.MkdirTemp(o.Dir, "assize-bench-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	part := func(name string) string { return filepath.Join(dir, name) }

	if r.Append, err = appendSynced(ctx, dir, o.Writes); err != nil {
		return r, fmt.Errorf("measuring the disk: %w", err)
	}
	if r.Create, err = createSynced(ctx, dir, o.Writes); err != nil {
		return r, fmt.Errorf("measuring the disk: %w", err)
	}
	if err = r.measurePipeline(ctx, part("broker"), part("pipeline"), o); err != nil {
		return r, err
	}
	return r, r.measureReplicas(ctx, part, o, burner)
}

// measurePipeline measures the broker right before the pipeline, each time,
// as their ratio is what counts and others' load comes and goes.
func (r *Round) measurePipeline(ctx context.Context, brokerDir, pipelineDir string, o Options) (err error) {
	b, err := openBroker(ctx, brokerDir)
	if err != nil {
		return fmt.Errorf("opening the broker: %w", err)
	}
	defer b.close()
	p, err := openPipeline(ctx, pipelineDir, o.Workers)
	if err != nil {
		return fmt.Errorf("opening the pipeline: %w", err)
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if _, err = p.passages(ctx, max(warmUp, o.InFlight), o.InFlight); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	if r.BrokerAlone, err = b.publishes(ctx, o.Writes, 1); err != nil {
		return fmt.Errorf("measuring the broker: %w", err)
	}
	if r.Alone, err = p.passages(ctx, max(1, o.Artifacts/4), 1); err != nil {
		return fmt.Errorf("measuring the pipeline: %w", err)
	}
	if r.BrokerBusy, err = b.publishes(ctx, o.Writes, o.publishers()); err != nil {
		return fmt.Errorf("measuring the broker: %w", err)
	}
	err = profiled(o.Profile, func() error {
		r.Busy, err = p.passages(ctx, o.Artifacts, o.InFlight)
		return err
	})
	if err != nil {
		return fmt.Errorf("measuring the pipeline: %w", err)
	}
	return nil
}

func (r *Round) measureReplicas(ctx context.Context, part func(string) string, o Options, burner burning) error {
	for _, m := range []struct {
		name            string
		count           int
		worker, replica *float64
	}{{"one", 1, &r.OneWorker, &r.OneReplica}, {"two", 2, &r.TwoWorkers, &r.TwoReplicas}} {
		bare, err := measure(ctx, o.Backlog, m.count, func(context.Context, int) error { burn(burner.rounds); return nil })
		if err != nil {
			return fmt.Errorf("measuring bare work: %w", err)
		}
		*m.worker = bare.Rate
		if *m.replica, err = replicated(ctx, part(m.name), o.Backlog, m.count, burner); err != nil {
			return fmt.Errorf("measuring %s replicas: %w", m.name, err)
		}
	}
	return nil
}

// profiled writes a CPU profile of f to a file, if one is named.
func profiled(name string, f func() error) error {
	if name == "" {
		return f()
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(err, file.Close())
	}
	err = f()
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}
