// Command pipeline measures what Assize itself costs between an upload and
// its verdict, with all services in one process and analysers that do
// nothing. In the same run, on the same disk, it measures the disk and the
// broker alone, because only ratios can be compared between machines.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"assize.dev/shared/event"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pipeline:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o Options
	flags := flag.NewFlagSet("pipeline", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.Dir, "dir", os.TempDir(), "`directory` on the disk to measure; it is left as it was")
	flags.IntVar(&o.Rounds, "rounds", 3, "how often everything is measured, in turn")
	flags.IntVar(&o.Artifacts, "artifacts", 200, "artifacts per round when busy; a quarter of it one at a time")
	flags.IntVar(&o.InFlight, "in-flight", 16, "artifacts under way at a time when busy")
	flags.IntVar(&o.Workers, "workers", 4, "workers of each stage")
	flags.IntVar(&o.Writes, "writes", 1000, "writes to the disk and publishes to the broker per measurement")
	flags.IntVar(&o.Backlog, "backlog", 100, "artifacts for the replicas of a stage")
	flags.IntVar(&o.Burn, "burn", 20, "processor time of each of them, in `milliseconds`")
	flags.StringVar(&o.Profile, "cpuprofile", "", "`file` for a profile of the busy pipeline in the last round")
	asJSON := flags.Bool("json", false, "print all rounds as one JSON object")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	for _, n := range []int{o.Rounds, o.Artifacts, o.InFlight, o.Workers, o.Writes, o.Backlog - 1, o.Burn} {
		if n < 1 {
			return errors.New("all numbers must be at least 1, the backlog 2")
		}
	}
	report := newReport(o)
	burner := burning{trivial(event.KindContent), roundsFor(time.Duration(o.Burn) * time.Millisecond)}
	for range o.Rounds {
		before := load()
		round, err := measureRound(ctx, o, burner)
		if err != nil {
			return err
		}
		report.add(before, round)
	}
	if !*asJSON {
		return report.print(stdout)
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}
