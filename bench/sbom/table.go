package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"assize.dev/bench/sbom/internal/measure"
)

// cpuGoals are the most processor time that ours is to take for each kind of
// artifact, as a share of syft's.
var cpuGoals = map[string]float64{"npm": 0.5, "jar": 0.5, "arch": 0.5, "go": 0.5, "deb": 1.5}

const (
	peakGoal   = 0.5       // the most memory that ours is to take, as a share of syft's
	maxHostile = 256 << 20 // bytes of memory that a hostile file may take
)

// cpu is the processor time of ours as a share of syft's.
func (c comparison) cpu() float64 { return c.Ours.CPUSeconds / c.Theirs.CPUSeconds }

// peak is the peak memory of ours as a share of syft's.
func (c comparison) peak() float64 { return float64(c.Ours.PeakBytes) / float64(c.Theirs.PeakBytes) }

// printComparisons writes a line for each artifact, then the medians of the
// ratios for each kind beside the goals.
func printComparisons(out io.Writer, all []comparison) error {
	if len(all) == 0 {
		return nil
	}
	w := table(out)
	fmt.Fprintln(w, "artifact\tkind\tcomponents\tsyft\tCPU ms\tsyft\tratio\tpeak MB\tsyft\tratio\t")
	kinds := make(map[string][]comparison)
	for _, c := range all {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.2f\t%.2f\t%.3f\t%.1f\t%.1f\t%.3f\t\n", c.Name, c.Kind,
			c.Ours.Components, c.Theirs.Components,
			c.Ours.CPUSeconds*1e3, c.Theirs.CPUSeconds*1e3, c.cpu(),
			megabytes(c.Ours.PeakBytes), megabytes(c.Theirs.PeakBytes), c.peak())
		kinds[c.Kind] = append(kinds[c.Kind], c)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nOf each peak, the programs themselves before they read anything: ours %.1f MB, syft %.1f MB.\n\n",
		medianOf(all, func(c comparison) float64 { return megabytes(c.Ours.StartBytes) }),
		medianOf(all, func(c comparison) float64 { return megabytes(c.Theirs.StartBytes) }))

	w = table(out)
	fmt.Fprintln(w, "medians\tartifacts\tCPU ratio\tgoal\t\tpeak ratio\tgoal\t\t")
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		cpu := medianOf(kinds[kind], comparison.cpu)
		peak := medianOf(kinds[kind], comparison.peak)
		goal, verdict := "", ""
		if most, ok := cpuGoals[kind]; ok {
			goal, verdict = fmt.Sprintf("<= %.1f", most), met(cpu <= most)
		}
		fmt.Fprintf(w, "%s\t%d\t%.3f\t%s\t%s\t%.3f\t<= %.1f\t%s\t\n",
			kind, len(kinds[kind]), cpu, goal, verdict, peak, peakGoal, met(peak <= peakGoal))
	}
	fmt.Fprintf(w, "all\t%d\t%.3f\t\t\t%.3f\t\t\t\n", len(all), medianOf(all, comparison.cpu), medianOf(all, comparison.peak))
	return w.Flush()
}

// named is a measurement of ours alone.
type named struct {
	Name string
	measurement
}

// printHostile writes a line for each file.
func printHostile(out io.Writer, all []named) error {
	if len(all) == 0 {
		return nil
	}
	w := table(out)
	fmt.Fprintln(w, "file\tformat\tcomponents\tpeak MB\tCPU s\tseconds\tcomplete\t")
	for _, n := range all {
		complete := "yes"
		if n.Reason != "" {
			complete = "no"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%.1f\t%.2f\t%.2f\t%s\t\n", n.Name, n.Format, n.Components,
			megabytes(n.PeakBytes), n.CPUSeconds, n.WallSeconds, complete)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nOf each peak, the program itself before it read anything: %.1f MB. Goal: <= %d MB.\n",
		medianOf(all, func(n named) float64 { return megabytes(n.StartBytes) }), maxHostile>>20)
	for _, n := range all {
		if n.Reason != "" {
			fmt.Fprintf(out, "%s: not complete: %s\n", n.Name, n.Reason)
		}
	}
	return nil
}

func table(out io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
}

func met(yes bool) string {
	if yes {
		return "met"
	}
	return "missed"
}

// megabytes are of 2^20 bytes.
func megabytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func medianOf[T any](all []T, of func(T) float64) float64 {
	var values []float64
	for _, one := range all {
		values = append(values, of(one))
	}
	return measure.Median(values)
}
