package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/bench/internal/cputime"
)

// Sample is how one kind of operation did.
type Sample struct {
	Clients int     `json:"clients"` // operations under way at a time
	Count   int     `json:"count"`
	Rate    float64 `json:"rate"` // operations per second of wall-clock time
	P50     float64 `json:"p50ms"`
	P99     float64 `json:"p99ms"`
	CPU     float64 `json:"cpu"` // milliseconds of processor time per operation, of the whole process
}

// each is the wall-clock time that one operation costs, in seconds. With
// several clients it is less than the time one takes.
func (s Sample) each() float64 { return 1 / s.Rate }

// measure does op n times, from so many clients of which each starts its next
// operation when the last one is done.
func measure(ctx context.Context, n, clients int, op func(ctx context.Context, i int) error) (Sample, error) {
	var (
		next  atomic.Int64
		mu    sync.Mutex
		took  = make([]time.Duration, 0, n)
		begin = time.Now()
		cpu   = cputime.Used()
	)
	group, ctx := errgroup.WithContext(ctx)
	for range clients {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				started := time.Now()
				if err := op(ctx, i); err != nil {
					return err
				}
				mu.Lock()
				took = append(took, time.Since(started))
				mu.Unlock()
			}
		})
	}
	if err := group.Wait(); err != nil {
		return Sample{}, err
	}
	return sampleOf(took, clients, time.Since(begin), cputime.Used()-cpu), nil
}

func sampleOf(took []time.Duration, clients int, wall, cpu time.Duration) Sample {
	slices.Sort(took)
	return Sample{
		Clients: clients, Count: len(took), Rate: float64(len(took)) / wall.Seconds(),
		P50: milliseconds(quantile(took, 50)), P99: milliseconds(quantile(took, 99)),
		CPU: milliseconds(cpu) / float64(max(1, len(took))),
	}
}

// quantile is the least of the sorted durations that at least percent of a
// hundred do not exceed ("nearest rank").
func quantile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median of a number of each round: on a machine that others use too, one
// round may be off by any factor.
func median[R any](rounds []R, number func(R) float64) float64 {
	all := make([]float64, len(rounds))
	for i, r := range rounds {
		all[i] = number(r)
	}
	slices.Sort(all)
	switch n := len(all); {
	case n == 0:
		return 0
	case n%2 == 0:
		return (all[n/2-1] + all[n/2]) / 2
	default:
		return all[n/2]
	}
}
