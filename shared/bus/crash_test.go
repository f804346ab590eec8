package bus_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
)

const urlEnv = "ASSIZE_TEST_URL"

// dieInHandler is the life of a worker that hangs in its handler until it is
// killed.
func dieInHandler() error {
	ctx := context.Background()
	b, err := bus.Connect(ctx, bus.Config{URL: os.Getenv(urlEnv), Wait: true}, "dies")
	if err != nil {
		return err
	}
	return b.Consume(ctx, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest,
		Handle: func(context.Context, *bus.Message) error {
			fmt.Println("in the handler")
			select {}
		}})
}

func TestMessageOfAKilledWorkerGoesToAnother(t *testing.T) {
	t.Parallel()
	p := bustest.NewProcess(t)
	b := p.Connect()
	bustest.Provision(t, b)
	publish(t, b, upload("1"))
	child, out := bustest.Child(t, "dies-in-handler", urlEnv+"="+p.URL())
	if line, err := out.ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	got := make(chan int, 1)
	consume(t, b, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest,
		Handle: func(_ context.Context, m *bus.Message) error { got <- m.Attempt; return nil }})
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	if attempt := <-got; attempt != 2 {
		t.Errorf("attempt %d, want 2", attempt)
	}
}

// The server dies by kill -9, twice, while messages are published and
// handled. All that was acknowledged is handled.
func TestNothingIsLostWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	p := bustest.NewProcess(t)
	b := p.Connect()
	bustest.Provision(t, b)
	const messages = 200
	var mu sync.Mutex
	seen := map[string]int{}
	handled := func() int { mu.Lock(); defer mu.Unlock(); return len(seen) }
	consume(t, b, bus.Consumer{Service: "ingest", Durable: bus.DurableIngest, Workers: 4, Backoff: soon,
		Handle: func(_ context.Context, m *bus.Message) error {
			mu.Lock()
			defer mu.Unlock()
			seen[m.Event.ID]++
			return nil
		}})
	var publishers sync.WaitGroup
	for w := range 4 {
		publishers.Go(func() {
			for i := range messages / 4 {
				e := say(t, upload(fmt.Sprintf("%d-%d", w, i)))
				for { // a publisher goes on until it has its acknowledgement
					if _, err := b.Publish(t.Context(), e); err == nil {
						break
					} else if t.Context().Err() != nil {
						return
					}
				}
			}
		})
	}
	bustest.Eventually(t, "some handled", func() bool { return handled() >= 20 })
	p.Restart()
	bustest.Eventually(t, "more handled", func() bool { return handled() >= 100 })
	p.Restart()
	publishers.Wait()
	bustest.Eventually(t, "all handled", func() bool { return handled() == messages })
	bustest.Eventually(t, "all acknowledged", func() bool { return settled(t, b, bus.Uploads, bus.DurableIngest) })
	if l := deadLetters(t, b); len(l) != 0 {
		t.Errorf("dead letters: %+v", l)
	}
}
