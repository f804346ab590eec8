package reevaluate

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"assize.dev/services/scan/internal/index"
	"assize.dev/services/scan/internal/inventory"
	"assize.dev/services/scan/internal/vulnerabilities"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

func TestMain(m *testing.M) {
	os.Exit(bustest.Main(m, map[string]func() error{"reevaluator": reevaluator}))
}

// reevaluator is the life of a process that judges again until it is killed.
func reevaluator() error {
	ctx := context.Background()
	b, err := bus.Connect(ctx, bus.Config{URL: os.Getenv("ASSIZE_TEST_NATS"), Wait: true}, "reevaluator")
	if err != nil {
		return err
	}
	dir := os.Getenv("ASSIZE_TEST_DIR")
	store, err := blob.OpenDir(filepath.Join(dir, "store"))
	if err != nil {
		return err
	}
	x, err := index.Open(os.Getenv("ASSIZE_TEST_INDEX"))
	if err != nil {
		return err
	}
	v, err := inventory.Open(filepath.Join(dir, "inventory"))
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	r := &Reevaluator{Inventory: v, Knowledge: new(vulnerabilities.Knowledge), Log: log, Runner: &evidence.Runner{Service: "scan", Bus: b, Store: store, Log: log}}
	r.Knowledge.Advisories.Swap(x)
	return r.Run(ctx)
}

// The process is killed over and over while verdicts are taken in and while
// artifacts are judged again. In the end each has been, exactly once.
func TestKillsForgetNothing(t *testing.T) {
	nats := bustest.NewProcess(t)
	b := nats.Connect()
	bustest.Provision(t, b)
	w := newWorldOn(t, b)
	w.r.Inventory.Close() // it is the process's
	w.advisories(map[string]string{"lib": "1.0.0"})
	artifacts := 60
	if testing.Short() {
		artifacts = 8
	}
	for i := range artifacts {
		w.upload(fmt.Sprint("a", i), "pkg:npm/lib@1.5.0")
	}
	life := func(index int, lives time.Duration) {
		t.Helper()
		child, _ := bustest.Child(t, "reevaluator", "ASSIZE_TEST_NATS="+nats.URL(), "ASSIZE_TEST_DIR="+w.dir, fmt.Sprintf("ASSIZE_TEST_INDEX=%s/index%d", w.dir, index))
		time.Sleep(lives)
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait()
	}
	kills := 0
	for range 4 { // while verdicts are taken in
		life(1, time.Duration(rand.IntN(200))*time.Millisecond) // perhaps before any is
		kills++
	}
	w.advisories(map[string]string{"lib": "2.0.0"})
	// Lives get longer, or a slow machine would never get anywhere.
	for deadline := time.Now().Add(4 * time.Minute); len(w.ordered()) < artifacts; kills++ {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d were judged again after %d kills", len(w.ordered()), artifacts, kills)
		}
		life(2, time.Duration(30+rand.IntN(70)+20*kills)*time.Millisecond)
	}
	life(2, 3*time.Second) // nothing is left to do
	seen := map[string]int{}
	for _, a := range w.ordered() {
		seen[a.Name]++
		if _, err := b.Last(t.Context(), event.EvidenceSubject(event.KindVulnerabilities, "r", a.Run)); err != nil {
			t.Errorf("%s was ordered and not answered: %v", a.Name, err)
		}
	}
	for i := range artifacts {
		if n := seen[fmt.Sprint("a", i)]; n != 1 {
			t.Errorf("a%d was judged again %d times", i, n)
		}
	}
	t.Logf("%d kills", kills+1)
}
