package blob

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// Whoever wants a directory synced joins a sync that has not begun, and is
// not content with one that has.
func TestDirSharesSyncs(t *testing.T) {
	t.Parallel()
	d, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	newest := func() *flush {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.syncs["tmp"]
	}
	begun := &flush{begun: true, done: make(chan struct{})}
	d.syncs["tmp"] = begun

	const callers = 8
	results := make(chan error, callers)
	go func() { results <- d.sync("tmp") }()
	for newest() == begun {
		time.Sleep(time.Millisecond)
	}
	next := newest()
	for range callers - 1 {
		go func() { results <- d.sync("tmp") }()
	}
	select {
	case err := <-results:
		t.Fatalf("sync was content with one that had begun before: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	if newest() != next {
		t.Error("a second sync waits although one could be joined")
	}
	close(begun.done)
	for range callers {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if len(d.syncs) != 0 {
		t.Errorf("%d syncs are still remembered", len(d.syncs))
	}
}

func TestDirSyncFailsForAllWhoJoined(t *testing.T) {
	t.Parallel()
	d, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	broken := errors.New("input/output error")
	f := &flush{done: make(chan struct{}), err: broken}
	d.syncs["tmp"] = f
	close(f.done)
	if err := d.sync("tmp"); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// Objects in new directories, created at once, are all there, and what is
// remembered as durable exists.
func TestDirCreatesInNewDirectoriesAtOnce(t *testing.T) {
	t.Parallel()
	d, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var creating sync.WaitGroup
	for i := range 24 {
		creating.Go(func() {
			key := fmt.Sprintf("verdicts/%d/run-%d/%d", i%2, i%6, i)
			if err := d.Create(t.Context(), key, strings.NewReader(key), int64(len(key))); err != nil {
				t.Error(err)
			}
		})
	}
	creating.Wait()
	found := 0
	for _, err := range d.List(t.Context(), "verdicts/", "") {
		if err != nil {
			t.Fatal(err)
		}
		found++
	}
	if found != 24 {
		t.Errorf("%d objects, want 24", found)
	}
	if want := 1 + 1 + 1 + 2 + 6; len(d.durable) != want { // ., tmp, verdicts, and below
		t.Errorf("%d directories are known to be durable, want %d: %v", len(d.durable), want, d.durable)
	}
	if len(d.syncs) != 0 {
		t.Errorf("%d syncs are still remembered", len(d.syncs))
	}
}
