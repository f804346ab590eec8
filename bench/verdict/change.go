package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"assize.dev/bench/internal/cputime"
	"assize.dev/services/verdict"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// change stores verdicts and holds them against a policy by which one in a
// hundred would be another.
func change(ctx context.Context, dir string, verdicts int) error {
	folder, err := os.MkdirTemp(dir, "verdicts")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	store, err := blob.OpenDir(filepath.Join(folder, "store"))
	if err != nil {
		return err
	}
	defer store.Close()
	server, err := bus.StartServer(bus.ServerOptions{Dir: filepath.Join(folder, "nats")})
	if err != nil {
		return err
	}
	defer server.Shutdown()
	b, err := server.Connect(ctx, "bench")
	if err != nil {
		return err
	}
	defer b.Close()
	if _, err := b.Provision(ctx, bus.ProvisionOptions{Apply: true}); err != nil {
		return err
	}
	before, err := loadPolicy(ctx, "minimum_grade: community\n")
	if err != nil {
		return err
	}
	after, err := loadPolicy(ctx, "vulnerability_severity: medium\n")
	if err != nil {
		return err
	}
	for i := range verdicts {
		findings := 0
		if i%100 == 0 {
			findings = 3
		}
		if err := conclude(ctx, store, before, i, findings); err != nil {
			return err
		}
	}
	var peak atomic.Uint64
	measuring, stop := context.WithCancel(ctx)
	defer stop()
	go watch(measuring, &peak)
	runtime.GC()
	start, cpu := time.Now(), cputime.Used()
	all, err := verdict.Rejudge(ctx, after, b, store)
	if err != nil {
		return err
	}
	wall, used := time.Since(start), cputime.Used()-cpu
	fmt.Printf("policy change over %d verdicts: %d judged again in %.1f s, %.0f verdicts/s, %.0f per second of processor time, heap at most %.0f MiB\n",
		all.Looked, all.Ordered, wall.Seconds(), float64(all.Looked)/wall.Seconds(), float64(all.Looked)/used.Seconds(), float64(peak.Load())/(1<<20))
	return nil
}

func watch(ctx context.Context, peak *atomic.Uint64) {
	for ctx.Err() == nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak.Store(max(peak.Load(), m.HeapInuse))
		time.Sleep(50 * time.Millisecond)
	}
}

// conclude stores what the services keep of a verdict, but for its signature.
func conclude(ctx context.Context, store blob.Store, p *verdict.Policy, i, findings int) error {
	r, err := record(event.NewRun(), fmt.Sprintf("a-%d.tgz", i), digest.Of(fmt.Append(nil, i, rand.Uint64())), nil, findings)
	if err != nil {
		return err
	}
	c, err := r.Case()
	if err != nil {
		return err
	}
	d, text, err := verdict.Decide(ctx, p, c)
	if err != nil {
		return err
	}
	if err := put(ctx, store, d.Record.Key, text); err != nil {
		return err
	}
	payload, err := json.Marshal(map[string]any{"predicate": map[string]any{
		"run": d.Run, "registry": d.Artifact.Registry, "time": d.Time, "artifact": map[string]any{"filename": d.Artifact.Filename},
		"decision": d.Decision, "grade": d.Grade, "policy": d.Policy, "record": map[string]any{"key": d.Record.Key, "digest": d.Record.Digest},
	}})
	if err != nil {
		return err
	}
	envelope, err := json.Marshal(map[string]any{"payload": payload})
	if err != nil {
		return err
	}
	return put(ctx, store, blob.VerdictKey(d.Artifact.Digest, d.Run, "verdict.dsse.json"), envelope)
}
