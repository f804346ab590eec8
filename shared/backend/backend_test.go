package backend_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assize.dev/shared/backend"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
)

func open(t *testing.T, url, store string) *backend.Backend {
	t.Helper()
	b, err := backend.Open(t.Context(), backend.Config{Bus: bus.Config{URL: url}, Store: blob.Config{Store: store}}, "test")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ready(t *testing.T, b *backend.Backend) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	return b.Part().Ready(ctx)
}

// Both are there, then the bus is gone, and readiness says which it is.
func TestReadyFollowsTheBus(t *testing.T) {
	server := bustest.Server(t, func(o *bus.ServerOptions) { o.Listen = "127.0.0.1:0" })
	b := open(t, server.ClientURL(), t.TempDir())
	bustest.Eventually(t, "both are ready", func() bool { return ready(t, b) == nil })

	server.Shutdown()
	bustest.Eventually(t, "the bus's absence is noticed", func() bool { return ready(t, b) != nil })
	if err := ready(t, b); !strings.Contains(err.Error(), "NATS") || strings.Contains(err.Error(), "store") {
		t.Errorf("readiness blames %v", err)
	}
	if err := b.Part().Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := ready(t, b); err == nil || !strings.Contains(err.Error(), "object store") {
		t.Errorf("the store is closed, but readiness says %v", err)
	}
}

// NATS may be away at start: the part is just not ready.
func TestOpenWithoutNATS(t *testing.T) {
	b := open(t, "nats://127.0.0.1:1", t.TempDir())
	defer func() { _ = b.Part().Close(t.Context()) }()
	if err := ready(t, b); err == nil {
		t.Error("ready without NATS")
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]backend.Config{
		"no store":    {Bus: bus.Config{URL: "nats://127.0.0.1:1"}},
		"odd store":   {Bus: bus.Config{URL: "nats://127.0.0.1:1"}, Store: blob.Config{Store: "ftp://x"}},
		"odd bus":     {Bus: bus.Config{URL: "nats://127.0.0.1:1", Cert: "only.pem"}, Store: blob.Config{Store: filepath.Join(dir, "a")}},
		"odd address": {Bus: bus.Config{URL: "nats://[::1"}, Store: blob.Config{Store: filepath.Join(dir, "b")}},
	} {
		if b, err := backend.Open(t.Context(), c, "test"); err == nil {
			_ = b.Part().Close(t.Context())
			t.Errorf("%s: opened", name)
		}
	}
}
