package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A small run, with all its parts, leaves a report that makes sense and
// nothing on the disk. No figure is judged: that is for people to do.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	var out, diagnostics bytes.Buffer
	args := []string{"-dir", dir, "-rounds", "1", "-artifacts", "4", "-in-flight", "2", "-workers", "1",
		"-writes", "4", "-backlog", "3", "-burn", "1", "-json", "-cpuprofile", dir + "/profile"}
	if err := run(t.Context(), args, &out, &diagnostics); err != nil {
		t.Fatal(err, diagnostics.String())
	}
	var r Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rounds) != 1 || len(r.Load) != 1 {
		t.Fatalf("report: %s", out.String())
	}
	got := r.Rounds[0]
	for name, s := range map[string]Sample{
		"append": got.Append, "create": got.Create, "broker alone": got.BrokerAlone, "broker busy": got.BrokerBusy,
		"alone": got.Alone.Sample, "busy": got.Busy.Sample,
	} {
		if s.Count == 0 || s.Rate <= 0 || s.P50 <= 0 || s.P99 < s.P50 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	// An artifact, five pieces of evidence, a decision, a verdict and the
	// verdict's copy for subscribers.
	if got.Alone.Publishes != 9 || got.Busy.Publishes != 9 {
		t.Errorf("publishes per artifact: %v alone, %v busy, want 9", got.Alone.Publishes, got.Busy.Publishes)
	}
	if r.CostAlone <= 0 || r.CostBusy <= 0 || r.Scaling <= 0 || r.Machine <= 0 {
		t.Errorf("ratios: %v, %v, %v", r.CostAlone, r.CostBusy, r.Scaling)
	}
	var table bytes.Buffer
	if err := r.print(&table); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"artifacts, 2 at a time", "broker: publish, 9 publishers", "publishes per artifact     9.0 alone"} {
		if !strings.Contains(table.String(), line) {
			t.Errorf("no %q in\n%s", line, table.String())
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "profile" {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-backlog", "1"}, {"-in-flight", "-1"}, {"surplus"}, {"-unknown"}, {"-dir", t.TempDir() + "/absent"}} {
		var out, diagnostics bytes.Buffer
		if err := run(t.Context(), args, &out, &diagnostics); err == nil || out.Len() > 0 {
			t.Errorf("%q: %v, %s", args, err, out.String())
		}
	}
}

func TestSample(t *testing.T) {
	var took []time.Duration
	for i := 200; i > 0; i-- {
		took = append(took, time.Duration(i)*time.Millisecond)
	}
	want := Sample{Clients: 4, Count: 200, Rate: 20, P50: 100, P99: 198, CPU: 5}
	if got := sampleOf(took, 4, 10*time.Second, time.Second); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for n, want := range map[int][2]time.Duration{0: {0, 0}, 1: {1, 1}, 2: {1, 2}, 3: {2, 3}, 100: {50, 99}, 101: {51, 100}} {
		var sorted []time.Duration
		for i := range n {
			sorted = append(sorted, time.Duration(i+1))
		}
		if got := [2]time.Duration{quantile(sorted, 50), quantile(sorted, 99)}; got != want {
			t.Errorf("of %d: p50 and p99 are %v, want %v", n, got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		of   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{900, 2, 1}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(tt.of, func(x float64) float64 { return x }); got != tt.want {
			t.Errorf("of %v: %v, want %v", tt.of, got, tt.want)
		}
	}
}

func TestRatios(t *testing.T) {
	r := Round{
		BrokerAlone: Sample{Rate: 1000}, BrokerBusy: Sample{Rate: 4000},
		Alone:      Passage{Sample{Rate: 50}, 10}, // 20 ms for 10 ms of publishes
		Busy:       Passage{Sample{Rate: 100}, 8}, // 10 ms for 2 ms
		OneReplica: 40, TwoReplicas: 70, OneWorker: 50, TwoWorkers: 75,
	}
	if r.CostAlone() != 2 || r.CostBusy() != 5 || r.Scaling() != 1.75 || r.Machine() != 1.5 {
		t.Errorf("got %v, %v, %v, %v", r.CostAlone(), r.CostBusy(), r.Scaling(), r.Machine())
	}
}

func TestMeasure(t *testing.T) {
	var now, most, calls atomic.Int64
	s, err := measure(t.Context(), 30, 3, func(context.Context, int) error {
		calls.Add(1)
		for n := now.Add(1); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		time.Sleep(time.Millisecond)
		now.Add(-1)
		return nil
	})
	if err != nil || s.Count != 30 || calls.Load() != 30 || s.Clients != 3 || most.Load() > 3 {
		t.Errorf("%+v after %d calls, %d at a time: %v", s, calls.Load(), most.Load(), err)
	}
	broken := errors.New("broken")
	_, err = measure(t.Context(), 30, 3, func(_ context.Context, i int) error {
		if i == 5 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestLengths(t *testing.T) {
	before := lengths{"EVENTS": 10, "VERDICTS": 1, "DEAD": 2}
	if n, err := (lengths{"EVENTS": 26, "VERDICTS": 3, "DEAD": 2}).since(before); n != 18 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if _, err := (lengths{"EVENTS": 26, "VERDICTS": 3, "DEAD": 3}).since(before); err == nil {
		t.Error("a dead letter was not noticed")
	}
}
