package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// broker is an embedded NATS server set up as "assize up" does, with all
// streams and consumers, and one connection to it.
type broker struct {
	server *bus.Server
	bus    *bus.Bus
}

func openBroker(ctx context.Context, dir string) (*broker, error) {
	server, err := bus.StartServer(bus.ServerOptions{Dir: filepath.Join(dir, "nats")})
	if err != nil {
		return nil, err
	}
	b := &broker{server: server}
	if b.bus, err = server.Connect(ctx, "bench"); err != nil {
		b.close()
		return nil, err
	}
	if _, err = b.bus.Provision(ctx, bus.ProvisionOptions{Apply: true}); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *broker) close() {
	if b.bus != nil {
		b.bus.Close()
	}
	b.server.Shutdown()
}

// publishes measures acknowledged publishes to EVENTS, as services publish:
// once per subject. Nobody consumes them.
func (b *broker) publishes(ctx context.Context, n, clients int) (Sample, error) {
	return measure(ctx, n, clients, func(ctx context.Context, _ int) error {
		return b.publish(ctx, evidenceOfSize(1500))
	})
}

func (b *broker) publish(ctx context.Context, p event.Payload) error {
	e, err := event.New("assize/bench", time.Now(), p)
	if err != nil {
		return err
	}
	_, err = b.bus.Publish(ctx, e, bus.Once())
	return err
}

// evidenceOfSize takes about so many bytes as a message, headers included.
func evidenceOfSize(size int) *event.Evidence {
	const rest = 850 // bytes of headers and of the JSON around the reason
	return &event.Evidence{
		Run: event.NewRun(), Lane: event.LaneNew, Registry: registry, Kind: event.KindContent,
		Artifact: digest.Of(nil), Status: event.Partial, Reason: strings.Repeat("r", max(1, size-rest)),
		Producer: event.Producer{Name: "bench", Version: "1"}, Started: time.Now(), Finished: time.Now(),
	}
}

// lengths are how many messages each stream has ever taken.
type lengths map[string]uint64

func (b *broker) lengths(ctx context.Context) (lengths, error) {
	l := lengths{}
	for _, stream := range []string{bus.Uploads, bus.Events, bus.Verdicts, bus.Dead, bus.Excused} {
		_, last, err := b.bus.Sequences(ctx, stream)
		if err != nil {
			return nil, err
		}
		l[stream] = last
	}
	return l, nil
}

// since counts the messages that came after earlier, on all streams. Dead
// letters and excuses mean that something else was measured than was meant.
func (l lengths) since(earlier lengths) (uint64, error) {
	var sum uint64
	for stream, last := range l {
		more := last - earlier[stream]
		if more > 0 && (stream == bus.Dead || stream == bus.Excused) {
			return 0, fmt.Errorf("%d messages on %s: the pipeline is in trouble", more, stream)
		}
		sum += more
	}
	return sum, nil
}
