// Package measure is what the programs of both sides have in common: they look
// at one artifact again and again, and print what it took.
package measure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"slices"
	"syscall"
	"time"
)

// Measurement is what a program prints, as JSON, of one artifact.
type Measurement struct {
	CPUSeconds  float64 `json:"cpu_seconds"`  // of all threads, for one look
	WallSeconds float64 `json:"wall_seconds"` // of the first look, with all that is done only once
	StartBytes  int64   `json:"start_bytes"`  // peak of resident memory before the first look
	PeakBytes   int64   `json:"peak_bytes"`   // peak of resident memory in the end
	Components  int     `json:"components"`
	Format      string  `json:"format,omitempty"` // of the artifact; ours only
	Reason      string  `json:"reason,omitempty"` // why components may be missing, "" if none can be; ours only
}

// Look catalogues one artifact once, and says in the measurement what it found.
type Look func(*Measurement) error

// Main is the program of one side. prepare does what is needed once, for
// however many looks at the file, of which format tells what it is.
func Main(prepare func(ctx context.Context, file, format string) (Look, error)) {
	passes := flag.Int("passes", 5, "passes, after a look that does not count; 0 measures that one")
	format := flag.String("format", "", "what ours says that the file is, which tells image archives")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the passes to this file")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "want one file")
		os.Exit(2)
	}
	file := flag.Arg(0)
	m, err := run(*passes, *profile, func() (Look, error) { return prepare(context.Background(), file, *format) })
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(passes int, profile string, prepare func() (Look, error)) (m Measurement, err error) {
	if m.StartBytes, err = peakMemory(); err != nil {
		return m, err
	}
	look, err := prepare()
	if err != nil {
		return m, err
	}
	began, start := time.Now(), cpuTime()
	if err := look(&m); err != nil {
		return m, err
	}
	m.CPUSeconds, m.WallSeconds = (cpuTime() - start).Seconds(), time.Since(began).Seconds()
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return m, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return m, fmt.Errorf("%s: %w", profile, err)
		}
		defer pprof.StopCPUProfile()
	}
	if passes > 0 {
		if m.CPUSeconds, err = warm(look, passes, &m); err != nil {
			return m, err
		}
	}
	m.PeakBytes, err = peakMemory()
	return m, err
}

// minPass is how much processor time a pass takes at least. The garbage of
// short work is collected once in many looks, and is to be paid for by each.
const minPass = 200 * time.Millisecond

// warm is the seconds of processor time of one look: the median of the passes,
// each of which looks as often as it takes to last minPass.
func warm(look Look, passes int, m *Measurement) (float64, error) {
	var each []float64
	for range passes {
		start := cpuTime()
		for n := 1; ; n++ {
			if err := look(m); err != nil {
				return 0, err
			}
			if used := cpuTime() - start; used >= minPass {
				each = append(each, used.Seconds()/float64(n))
				break
			}
		}
	}
	return Median(each), nil
}

// Median is the middle of the values, of which there is one at least.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// cpuTime is what this process has had of the processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // only wrong arguments make one
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory is the most resident memory that this process has had, in bytes.
func peakMemory() (int64, error) {
	const status = "/proc/self/status"
	text, err := os.ReadFile(status)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		var kilobytes int64
		if _, err := fmt.Sscanf(string(line), "VmHWM: %d kB", &kilobytes); err == nil {
			return kilobytes << 10, nil
		}
	}
	return 0, errors.New(status + ": no VmHWM")
}
