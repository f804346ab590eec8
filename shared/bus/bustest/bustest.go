// Package bustest gives tests real NATS servers: inside the test's process,
// or as a process of their own that can be killed. It is shared by the tests
// of every service.
package bustest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"assize.dev/shared/bus"
)

// MaxStore is what a test's server may write, in bytes.
const MaxStore = 1 << 30

// Server starts an in-process server with a store of its own. It ends with
// the test.
func Server(t testing.TB, change ...func(*bus.ServerOptions)) *bus.Server {
	t.Helper()
	opts := bus.ServerOptions{Dir: t.TempDir(), MaxStore: MaxStore, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&opts)
	}
	s, err := bus.StartServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

// Connect opens a connection to s that ends with the test.
func Connect(t testing.TB, s *bus.Server) *bus.Bus {
	t.Helper()
	b, err := s.Connect(t.Context(), t.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// Bus is a connection to a server of its own with all streams and consumers
// in place. Messages in work must show life every two seconds.
func Bus(t testing.TB, change ...func(*bus.ProvisionOptions)) *bus.Bus {
	t.Helper()
	b := Connect(t, Server(t))
	Provision(t, b, change...)
	return b
}

// Provision makes the streams and consumers.
func Provision(t testing.TB, b *bus.Bus, change ...func(*bus.ProvisionOptions)) {
	t.Helper()
	opts := bus.ProvisionOptions{Apply: true, AckWait: 2 * time.Second, MaxBytes: MaxStore / 10 * 9}
	for _, c := range change {
		c(&opts)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := b.Provision(ctx, opts); err != nil {
		t.Fatal(err)
	}
}

// Eventually waits until ok, and fails the test if that takes a minute.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute in vain: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
