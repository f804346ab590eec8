package bus_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
)

func provision(t testing.TB, b *bus.Bus, o bus.ProvisionOptions) []string {
	t.Helper()
	drift, err := b.Provision(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, d := range drift {
		all = append(all, d.String())
		if d.Applied != o.Apply {
			t.Errorf("%s: applied is %v", d, d.Applied)
		}
	}
	return all
}

func TestProvisionIsIdempotentAndReportsDrift(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t, bustest.Server(t))
	for range 2 { // reporting changes nothing
		if drift := provision(t, b, bus.ProvisionOptions{}); len(drift) != 5+17 || drift[0] != "stream UPLOADS: missing" {
			t.Fatalf("%q", drift)
		}
	}
	if drift := provision(t, b, bus.ProvisionOptions{Apply: true}); len(drift) != 5+17 {
		t.Fatalf("%q", drift)
	}
	publish(t, b, upload("1"))
	if drift := provision(t, b, bus.ProvisionOptions{Apply: true}); len(drift) != 0 {
		t.Errorf("drift right after provisioning: %q", drift)
	}
	// Somebody turns a few knobs.
	s, err := b.JetStream().Stream(t.Context(), bus.Uploads)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.Discard, cfg.Duplicates = jetstream.DiscardOld, time.Minute
	if _, err := b.JetStream().UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	c, err := b.JetStream().Consumer(t.Context(), bus.Events, bus.DurableVerdict)
	if err != nil {
		t.Fatal(err)
	}
	ccfg := c.CachedInfo().Config
	ccfg.MaxDeliver, ccfg.BackOff = 3, []time.Duration{time.Second}
	if _, err := b.JetStream().UpdateConsumer(t.Context(), bus.Events, ccfg); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"stream UPLOADS: Discard is DiscardOld, should be DiscardNew",
		"stream UPLOADS: Duplicates is 1m0s, should be 5m0s",
		"consumer EVENTS/verdict: MaxDeliver is 3, should be -1",
		"consumer EVENTS/verdict: BackOff is [1s], should be []",
	}
	for _, apply := range []bool{false, false, true} {
		if drift := provision(t, b, bus.ProvisionOptions{Apply: apply}); !slices.Equal(drift, want) {
			t.Errorf("apply %v: %q", apply, drift)
		}
	}
	if drift := provision(t, b, bus.ProvisionOptions{}); len(drift) != 0 {
		t.Errorf("left: %q", drift)
	}
	// What is set explicitly is changed, and what is not stays.
	o := bus.ProvisionOptions{Apply: true, AckWait: time.Minute, AgainInFlight: 9, VerdictsAge: time.Hour, MaxBytes: 100 << 20}
	if drift := provision(t, b, o); len(drift) != 5+1+17+4 {
		t.Errorf("%d changes: %q", len(drift), drift)
	}
	if drift := provision(t, b, bus.ProvisionOptions{}); len(drift) != 0 {
		t.Errorf("%q", drift)
	}
	if _, last, err := b.Sequences(t.Context(), bus.Uploads); err != nil || last != 1 {
		t.Errorf("what was stored is gone: %d, %v", last, err)
	}
}

// What cannot be changed is reported and explained, and all else is done.
func TestProvisionDestroysNothing(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t, bustest.Server(t))
	if _, err := b.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: bus.Uploads,
		Subjects: []string{event.AllUploads}, Storage: jetstream.MemoryStorage, MaxMsgs: 10}); err != nil {
		t.Fatal(err)
	}
	publish(t, b, upload("1"))
	drift, err := b.Provision(t.Context(), bus.ProvisionOptions{Apply: true})
	if err == nil || !strings.Contains(err.Error(), "stream UPLOADS: Storage is Memory, should be File") || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("%v", err)
	}
	for _, d := range drift {
		if d.Object == "stream UPLOADS" && d.Applied == (d.Field == "Storage") {
			t.Errorf("%s: applied is %v", d, d.Applied)
		}
	}
	if _, last, err := b.Sequences(t.Context(), bus.Uploads); err != nil || last != 1 {
		t.Errorf("what was stored is gone: %d, %v", last, err)
	}
}

func TestProvisionFromSeveralProcesses(t *testing.T) {
	t.Parallel()
	s := bustest.Server(t)
	var wg sync.WaitGroup
	for range 4 {
		b := bustest.Connect(t, s)
		wg.Go(func() {
			if _, err := b.Provision(t.Context(), bus.ProvisionOptions{Apply: true}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if drift := provision(t, bustest.Connect(t, s), bus.ProvisionOptions{}); len(drift) != 0 {
		t.Errorf("%q", drift)
	}
}

func TestProvisionExplainsWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t, bustest.Server(t))
	_, err := b.Provision(t.Context(), bus.ProvisionOptions{Apply: true, MaxBytes: 4 * bustest.MaxStore})
	if err == nil || !strings.Contains(err.Error(), "ASSIZE_NATS_MAX_BYTES") {
		t.Errorf("%v", err)
	}
}

func TestLag(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	publish(t, b, upload("1"))
	publish(t, b, upload("2"))
	c, err := b.JetStream().Consumer(t.Context(), bus.Uploads, bus.DurableIngest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	list, err := b.Lag(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, l := range list {
		switch {
		case l.Stream == bus.Uploads && l.Durable == "":
			seen++
			if l.Messages != 2 || l.Bytes == 0 || l.MaxBytes == 0 {
				t.Errorf("%+v", l)
			}
		case l.Durable == bus.DurableIngest:
			seen++
			if l.Pending != 1 || l.InFlight != 1 || l.Redelivered != 0 {
				t.Errorf("%+v", l)
			}
		}
	}
	if seen != 2 || len(list) != 5+17 {
		t.Errorf("%+v", list)
	}
	stop, err := b.ObserveLag()
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
