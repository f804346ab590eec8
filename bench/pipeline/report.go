package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
)

// Report is what was measured, and where.
type Report struct {
	Options Options `json:"options"`
	Go      string  `json:"go"`
	CPUs    int     `json:"cpus"`
	// Load is the machine's load average over a minute, before each round.
	// What exceeds that of the benchmark itself is other people's work.
	Load   []string `json:"load"`
	Rounds []Round  `json:"rounds"`
	// Medians over the rounds of what matters most.
	CostAlone float64 `json:"costAlone"`
	CostBusy  float64 `json:"costBusy"`
	Scaling   float64 `json:"scaling"`
	Machine   float64 `json:"machine"`
}

func newReport(o Options) *Report {
	return &Report{Options: o, Go: runtime.Version(), CPUs: runtime.GOMAXPROCS(0)}
}

func (r *Report) add(load string, round Round) {
	r.Load, r.Rounds = append(r.Load, load), append(r.Rounds, round)
	r.CostAlone = median(r.Rounds, Round.CostAlone)
	r.CostBusy = median(r.Rounds, Round.CostBusy)
	r.Scaling = median(r.Rounds, Round.Scaling)
	r.Machine = median(r.Rounds, Round.Machine)
}

// load is "?" where the system does not tell.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	one, _, _ := strings.Cut(string(text), " ")
	return one
}

// print writes the medians as a table. Each column is a median of its own.
func (r *Report) print(to io.Writer) error {
	fmt.Fprintf(to, "medians of %d rounds on %d CPUs in %s; load before each: %s\n\n",
		len(r.Rounds), r.CPUs, r.Options.Dir, strings.Join(r.Load, " "))
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "\tper second\tp50 ms\tp99 ms\tCPU ms\t\n")
	sample := func(name string, of func(Round) Sample) {
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t%.2f\t%.2f\t\n", name,
			median(r.Rounds, func(x Round) float64 { return of(x).Rate }),
			median(r.Rounds, func(x Round) float64 { return of(x).P50 }),
			median(r.Rounds, func(x Round) float64 { return of(x).P99 }),
			median(r.Rounds, func(x Round) float64 { return of(x).CPU }))
	}
	sample("disk: append 1 KiB, fsync", func(x Round) Sample { return x.Append })
	sample("disk: create 1 KiB, fsync, fsync directory", func(x Round) Sample { return x.Create })
	sample("broker: publish, 1 publisher", func(x Round) Sample { return x.BrokerAlone })
	sample(fmt.Sprintf("broker: publish, %d publishers", r.Options.publishers()), func(x Round) Sample { return x.BrokerBusy })
	sample("artifacts, 1 at a time", func(x Round) Sample { return x.Alone.Sample })
	sample(fmt.Sprintf("artifacts, %d at a time", r.Options.InFlight), func(x Round) Sample { return x.Busy.Sample })
	rate := func(name string, of func(Round) float64) {
		fmt.Fprintf(t, "%s\t%.1f\t\t\t\t\n", name, median(r.Rounds, of))
	}
	rate(fmt.Sprintf("%d ms of work each, 1 goroutine", r.Options.Burn), func(x Round) float64 { return x.OneWorker })
	rate(fmt.Sprintf("%d ms of work each, 2 goroutines", r.Options.Burn), func(x Round) float64 { return x.TwoWorkers })
	rate(fmt.Sprintf("%d ms of work each, 1 replica", r.Options.Burn), func(x Round) float64 { return x.OneReplica })
	rate(fmt.Sprintf("%d ms of work each, 2 replicas", r.Options.Burn), func(x Round) float64 { return x.TwoReplicas })
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to, `
publishes per artifact     %.1f alone, %.1f busy
cost of an artifact        %.2f times its publishes alone, %.2f times busy
second replica of a stage  %.2f times the throughput; a second goroutine of bare work %.2f times
`, median(r.Rounds, func(x Round) float64 { return x.Alone.Publishes }),
		median(r.Rounds, func(x Round) float64 { return x.Busy.Publishes }), r.CostAlone, r.CostBusy, r.Scaling, r.Machine)
	return err
}
