package notice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
)

func TestMain(m *testing.M) { os.Exit(bustest.Main(m, nil)) }

func newBoard(t *testing.T) *Board {
	t.Helper()
	store, err := blob.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &Board{Bus: bustest.Bus(t), Store: store, Service: "verdict", Log: slog.New(slog.DiscardHandler)}
}

// said are the operations on the stream.
func said(t *testing.T, b *bus.Bus) (all []string) {
	t.Helper()
	first, last, err := b.Sequences(t.Context(), bus.Events)
	if err != nil {
		t.Fatal(err)
	}
	if first > last {
		return nil
	}
	enough := errors.New("enough")
	err = b.Follow(t.Context(), bus.Events, first, nil, func(m *bus.Message) error {
		var o event.Operation
		if err := event.Decode(m.Event, &o); err != nil {
			return err
		}
		all = append(all, fmt.Sprintf("%s %s %s>%s", o.Action, o.Object, o.From, o.To))
		if m.Sequence == last {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	return all
}

// What changes is said once, whoever says it; what comes back is news again.
func TestChanged(t *testing.T) {
	b := newBoard(t)
	for _, value := range []string{"one", "two", "one"} {
		var replicas sync.WaitGroup
		for range 4 {
			replicas.Go(func() {
				if err := b.Changed(t.Context(), event.PolicyChanged, "", value); err != nil {
					t.Error(err)
				}
			})
		}
		replicas.Wait()
	}
	if err := b.Changed(t.Context(), event.KeyRotated, "", "key"); err != nil {
		t.Fatal(err)
	}
	want := "policy_changed  >one, policy_changed  one>two, policy_changed  two>one, key_rotated  >key"
	if got := strings.Join(said(t, b.Bus), ", "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestServe(t *testing.T) {
	b := newBoard(t)
	for _, settings := range []string{"a", "a", "b"} {
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.Serve(ctx, "v1", settings) }()
		for strings.Count(strings.Join(said(t, b.Bus), ", "), "service_started") == strings.Count(strings.Join(said(t, b.Bus), ", "), "service_stopped") {
			if t.Context().Err() != nil {
				t.FailNow()
			}
		}
		// Whether the settings were said in time is what is told below: the
		// change is said before the wait, or by the next start.
		b.Keep(t.Context(), event.ConfigurationChanged, "", settings)
		stop()
		<-done
	}
	got := strings.Join(said(t, b.Bus), ", ")
	if strings.Count(got, "service_started  >v1") != 3 || strings.Count(got, "service_stopped  v1>") != 3 ||
		strings.Count(got, "configuration_changed") != 2 || !strings.Contains(got, "configuration_changed  a>b") {
		t.Error(got)
	}
}
