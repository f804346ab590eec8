package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/services/audit"
	"assize.dev/services/ingest"
	"assize.dev/services/sign"
	"assize.dev/services/verdict"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/config"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

const (
	registry     = "bench"
	artifactSize = 1024 // bytes
	patience     = time.Minute
)

// pipeline is Assize in one process with analysers that have nothing to do:
// what it takes is what the way from upload to verdict takes.
type pipeline struct {
	broker *broker
	store  *blob.Dir
	ingest *ingest.Service
	await  *arrivals

	stop    context.CancelFunc
	running *errgroup.Group
}

// openPipeline starts all services on a new server and store in dir, each
// with so many workers.
func openPipeline(ctx context.Context, dir string, workers int) (_ *pipeline, err error) {
	p := &pipeline{await: newArrivals()}
	ctx, p.stop = context.WithCancel(ctx)
	p.running, ctx = errgroup.WithContext(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if p.store, err = blob.OpenDir(filepath.Join(dir, "store")); err != nil {
		return nil, err
	}
	if p.broker, err = openBroker(ctx, dir); err != nil {
		return nil, err
	}
	return p, p.start(ctx, filepath.Join(dir, "signing.key"), workers)
}

func (p *pipeline) start(ctx context.Context, keyFile string, workers int) error {
	var (
		ingestConfig  ingest.Config
		signConfig    sign.Config
		verdictConfig verdict.Config
		auditConfig   audit.Config
	)
	if err := config.Load(ctx, nil, &ingestConfig, &signConfig, &verdictConfig, &auditConfig); err != nil {
		return err
	}
	key, err := sign.GenerateKey()
	if err != nil {
		return err
	}
	if err := key.WriteFiles(keyFile, keyFile+".pub", "bench"); err != nil {
		return err
	}
	signConfig.Keys, signConfig.KeySet, signConfig.TrustedKeys = []string{keyFile}, "", ""
	signConfig.Workers, verdictConfig.Workers = workers, workers

	log, b := slog.Default(), p.broker.bus
	if p.ingest, err = ingest.New(ingestConfig, blob.S3Config{}, b, p.store, log); err != nil {
		return err
	}
	signer, err := sign.New(signConfig, "bench", b, p.store, log)
	if err != nil {
		return err
	}
	judge, err := verdict.New(ctx, verdictConfig, b, p.store, log)
	if err != nil {
		return err
	}
	recorder, err := audit.New(auditConfig, b, p.store, log)
	if err != nil {
		return err
	}
	analysts := evidence.Runner{Service: "bench", Bus: b, Store: p.store, Workers: workers, Log: log}

	p.running.Go(func() error {
		return analysts.Run(ctx, trivial(event.KindSignature), trivial(event.KindSBOM), trivial(event.KindSecrets),
			trivial(event.KindContent), following{trivial(event.KindVulnerabilities)})
	})
	p.running.Go(func() error { return judge.Run(ctx) })
	p.running.Go(func() error { return signer.Attest(ctx) })
	p.running.Go(func() error { return recorder.Run(ctx) })
	p.running.Go(func() error { return p.await.follow(ctx, b) })
	return nil
}

func (p *pipeline) close() error {
	p.stop()
	err := p.running.Wait()
	if p.broker != nil {
		p.broker.close()
	}
	if p.store != nil {
		err = errors.Join(err, p.store.Close())
	}
	return err
}

// Passage is how artifacts did on their way from upload to verdict.
type Passage struct {
	Sample
	// Publishes is how many messages the streams took for each artifact,
	// the copies of verdicts included.
	Publishes float64 `json:"publishesPerArtifact"`
}

// passages sends n artifacts through, so many at a time.
func (p *pipeline) passages(ctx context.Context, n, inFlight int) (Passage, error) {
	before, err := p.broker.lengths(ctx)
	if err != nil {
		return Passage{}, err
	}
	sample, err := measure(ctx, n, inFlight, func(ctx context.Context, _ int) error { return p.pass(ctx) })
	if err != nil {
		return Passage{}, err
	}
	published, err := p.published(ctx, before, n)
	return Passage{sample, float64(published) / float64(n)}, err
}

// published counts the messages since before, once the verdicts of all n
// artifacts were copied to their own stream.
func (p *pipeline) published(ctx context.Context, before lengths, n int) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		now, err := p.broker.lengths(ctx)
		if err != nil {
			return 0, err
		}
		if now[bus.Verdicts]-before[bus.Verdicts] >= uint64(n) {
			return now.since(before)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// pass uploads one artifact and waits for its verdict.
func (p *pipeline) pass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	content := make([]byte, artifactSize)
	if _, err := rand.Read(content); err != nil {
		return err
	}
	order := &event.Artifact{
		Run: event.NewRun(), Lane: event.LaneNew, Registry: registry, Name: "package",
		Filename: "package.bin", Received: time.Now().UTC(),
	}
	judged := p.await.verdictOn(order.Run)
	if _, err := p.ingest.Receive(ctx, bytes.NewReader(content), order); err != nil {
		return err
	}
	select {
	case v := <-judged:
		if v.Decision != event.Allow {
			return fmt.Errorf("run %s: %s instead of %s: %+v", v.Run, v.Decision, event.Allow, v.Reasons)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the verdict of run %s: %w", order.Run, ctx.Err())
	}
}
