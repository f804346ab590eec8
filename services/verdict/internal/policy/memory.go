package policy

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"time"
)

// DefaultMemory is how much the heap may grow while one evaluation goes on, in
// bytes; the default policy takes some megabytes.
const DefaultMemory = 1 << 30

// memoryInterval is how often the heap is looked at: not at all during an
// evaluation of the usual length.
const memoryInterval = 50 * time.Millisecond

var errMemory = errors.New("out of memory")

// limitMemory ends ctx when the heap has grown by more than most bytes. OPA has
// no limit of its own, and the rules of an operator could take all there is,
// from every other decision too. Garbage does not count.
func limitMemory(ctx context.Context, most uint64) (context.Context, context.CancelFunc) {
	limited, cancel := context.WithCancelCause(ctx)
	go func() {
		var before uint64
		ticker := time.NewTicker(memoryInterval)
		defer ticker.Stop()
		for {
			select {
			case <-limited.Done():
				return
			case <-ticker.C:
			}
			now := heap()
			if before == 0 {
				before = now
			}
			if now < before+most {
				continue
			}
			runtime.GC()
			if heap() >= before+most {
				cancel(fmt.Errorf("%w: it took more than %d MiB", errMemory, most>>20))
				return
			}
		}
	}()
	return limited, func() { cancel(nil) }
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
