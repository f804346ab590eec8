package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
)

// newCluster starts three server processes that replicate to each other, by
// name.
func newCluster(t *testing.T) map[string]*bustest.Process {
	t.Helper()
	routes := make([]string, 3)
	for i := range routes {
		routes[i] = bustest.FreeAddress(t)
	}
	nodes := map[string]*bustest.Process{}
	for i, listen := range routes {
		name := fmt.Sprint("node", i)
		nodes[name] = bustest.NewProcess(t, "ASSIZE_NATS_SERVER_CONFIG="+write(t, name+".conf", fmt.Sprintf(
			"server_name: %s\ncluster { name: test, listen: %q, routes: [nats://%s] }\n", name, listen, strings.Join(routes, ", nats://"))))
	}
	return nodes
}

func connectCluster(t *testing.T, nodes map[string]*bustest.Process) *bus.Bus {
	t.Helper()
	var urls []string
	for _, n := range nodes {
		urls = append(urls, n.URL())
	}
	b, err := bus.Connect(t.Context(), bus.Config{URL: strings.Join(urls, ","), Wait: true}, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// insist publishes until it is told that it has, or that somebody has, and
// holds the server to that.
func insist(t *testing.T, b *bus.Bus, e *event.Event) (said bool) {
	for {
		_, err := b.Publish(t.Context(), e, bus.Once())
		if errors.Is(err, bus.ErrUnavailable) && t.Context().Err() == nil {
			continue
		}
		if err != nil && !errors.Is(err, bus.ErrExists) {
			t.Errorf("%s: %v", e.ID, err)
			return false
		}
		if _, err := b.Last(t.Context(), e.Subject); err != nil && !errors.Is(err, bus.ErrUnavailable) {
			t.Errorf("%s was published, but: %v", e.ID, err)
		}
		return err == nil
	}
}

// The leader of EVENTS dies by kill -9 while two replicas of a service race
// for every decision. Each run is decided exactly once, and all is handled.
func TestClusterLosesNothingWithItsLeader(t *testing.T) {
	if testing.Short() {
		t.Skip("three servers that replicate take a while; not with -short")
	}
	t.Parallel()
	nodes := newCluster(t)
	racers := []*bus.Bus{connectCluster(t, nodes), connectCluster(t, nodes)}
	b := racers[0]
	bustest.Eventually(t, "a cluster", func() bool { return b.Ready(t.Context()) == nil })
	bustest.Eventually(t, "streams", func() bool {
		_, err := b.Provision(t.Context(), bus.ProvisionOptions{Apply: true, Replicas: 3, MaxBytes: bustest.MaxStore / 10 * 9})
		return err == nil
	})
	if drift := provision(t, b, bus.ProvisionOptions{}); len(drift) != 0 { // no count asked for: three stay
		t.Errorf("%q", drift)
	}

	var mu sync.Mutex
	handled := map[string]int{}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(handled) }
	consume(t, racers[1], bus.Consumer{Service: "sign", Durable: bus.DurableAttest, Workers: 2, Backoff: soon,
		Handle: func(_ context.Context, m *bus.Message) error {
			mu.Lock()
			defer mu.Unlock()
			handled[m.Event.Subject]++
			return nil
		}})
	const runs = 60
	ids := make([]string, runs)
	for i := range ids {
		ids[i] = event.NewRun()
	}
	twice := 0 // runs that both were told they decided
	decided := make(chan struct{})
	go func() {
		defer close(decided)
		for i, run := range ids {
			var said atomic.Int32
			var race sync.WaitGroup
			for who, racer := range racers {
				e := say(t, decision(run))
				if i%2 == 0 {
					e.ID = fmt.Sprint(e.ID, " by ", who) // deduplication is no help
				}
				race.Go(func() {
					if insist(t, racer, e) {
						said.Add(1)
					}
				})
			}
			race.Wait()
			if said.Load() > 1 {
				twice++
			}
		}
	}()
	bustest.Eventually(t, "some handled", func() bool { return count() >= runs/4 })
	s, err := b.JetStream().Stream(t.Context(), bus.Events)
	if err != nil {
		t.Fatal(err)
	}
	leader := s.CachedInfo().Cluster.Leader
	nodes[leader].Kill()
	<-decided
	bustest.Eventually(t, "all handled", func() bool { return count() == runs })
	var last uint64
	bustest.Eventually(t, "the last sequence", func() bool {
		_, last, err = b.Sequences(t.Context(), bus.Events)
		return err == nil
	})
	if last != runs {
		t.Errorf("%d decisions on %d runs", last, runs)
	}
	if twice > 0 {
		t.Errorf("%d runs were decided by two", twice)
	}

	// The dead comes back and catches up.
	nodes[leader].Start()
	bustest.Eventually(t, "all replicas current", func() bool {
		s, err := b.JetStream().Stream(t.Context(), bus.Events)
		if err != nil || s.CachedInfo().Cluster == nil || len(s.CachedInfo().Cluster.Replicas) != 2 {
			return false
		}
		for _, r := range s.CachedInfo().Cluster.Replicas {
			if !r.Current || r.Offline || r.Lag > 0 {
				return false
			}
		}
		return true
	})
	if letters := deadLetters(t, b); len(letters) != 0 {
		t.Errorf("dead letters: %+v", letters)
	}
}
