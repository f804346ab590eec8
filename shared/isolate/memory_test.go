//go:build linux && !race

package isolate_test

import (
	"errors"
	"testing"

	"assize.dev/shared/isolate"
)

// TestMemoryLimit: the race detector, under which there is none, keeps
// several bytes for each byte of a program.
func TestMemoryLimit(t *testing.T) {
	t.Cleanup(pool.Close)
	var stopped *isolate.Stopped
	if _, err := do(t, "memory"); !errors.As(err, &stopped) || stopped.Reason != "stopped at its limit of 256 MiB of memory" {
		t.Errorf("error %T %v", err, err)
	}
	if got, err := do(t, "read"); err != nil || got == "" {
		t.Errorf("the next request: %q, %v", got, err)
	}
}
