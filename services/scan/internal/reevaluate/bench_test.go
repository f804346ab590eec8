package reevaluate

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"assize.dev/services/scan/internal/inventory"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// BenchmarkChange is one advisory that changes for a package which one artifact
// in a thousand has. ASSIZE_BENCH_ARTIFACTS sets how many there are; each has
// 100 components.
func BenchmarkChange(b *testing.B) {
	artifacts, err := strconv.Atoi(cmp.Or(os.Getenv("ASSIZE_BENCH_ARTIFACTS"), "5000"))
	if err != nil {
		b.Fatal(err)
	}
	const components, names = 100, 20_000
	w := newWorld(b)
	w.r.InFlight = artifacts
	w.advisories(map[string]string{"lib": "1.0.0", "p1": "1.0.0", "p2": "1.0.0"})
	known, done := w.r.Knowledge.Acquire()
	now := state(known.Basis())
	done()
	random := rand.New(rand.NewPCG(1, 2))
	sbom := w.sbom("pkg:npm/lib@1.5.0")
	affected := 0
	started := time.Now()
	var puts []inventory.Put
	for i := range artifacts {
		name := fmt.Sprint("artifact-", i)
		p := inventory.Put{Row: inventory.Row{Registry: "r", Filename: name + ".tgz", Digest: digest.Of([]byte(name)), Run: event.NewRun(), SBOM: sbom, Basis: now}}
		for range components - 1 {
			p.Components = append(p.Components, fmt.Sprintf("pkg:npm/p%d@2.%d.0", random.IntN(names), random.IntN(20)))
		}
		if i%1000 == 0 { // with a record, since it will be judged again
			affected++
			p.Components = append(p.Components, "pkg:npm/lib@1.5.0")
			a := event.Artifact{Run: p.Row.Run, Lane: event.LaneNew, Registry: "r", Name: name, Filename: name + ".tgz", Digest: p.Row.Digest, SHA512: fmt.Sprintf("%0128d", 0), Format: "npm", Received: time.Now()}
			w.verdict(a, sbom)
		}
		if puts = append(puts, p); len(puts) == 500 || i == artifacts-1 {
			if err := w.r.Inventory.Apply(inventory.Change{Rows: puts}); err != nil {
				b.Fatal(err)
			}
			puts = puts[:0]
		}
	}
	filled := time.Since(started)
	if err := w.r.Renew(b.Context()); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(w.dir, "inventory", "inventory.db"))
	if err != nil {
		b.Fatal(err)
	}
	// What matching alone would cost for all of them.
	started = time.Now()
	known, done = w.r.Knowledge.Acquire()
	for range 100 * components {
		known.PURL(fmt.Sprintf("pkg:npm/p%d@2.%d.0", random.IntN(names), random.IntN(20)))
	}
	done()
	all := time.Since(started) / 100 * time.Duration(artifacts)
	n := 0
	for b.Loop() {
		n++
		w.advisories(map[string]string{"lib": fmt.Sprintf("%d.0.0", 2+n), "p1": "1.0.0", "p2": "1.0.0"})
		started = time.Now()
		if err := w.r.Renew(b.Context()); err != nil {
			b.Fatal(err)
		}
		took := time.Since(started)
		pending, err := w.r.Inventory.Pending()
		if err != nil {
			b.Fatal(err)
		}
		if n == 1 {
			if pending != affected {
				b.Errorf("%d judged again, want %d", pending, affected)
			}
			b.ReportMetric(took.Seconds()*1000, "ms/change")
			b.ReportMetric(all.Seconds()/took.Seconds(), "x-less-than-matching-all")
		}
	}
	b.ReportMetric(float64(affected), "judged-again")
	b.ReportMetric(float64(info.Size())/float64(artifacts), "bytes/artifact")
	b.ReportMetric(float64(artifacts)/filled.Seconds(), "artifacts-taken-in/s")
}
