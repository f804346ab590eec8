package bus_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // they mostly wait: for disks and clocks
	os.Exit(bustest.Main(m, map[string]func() error{"dies-in-handler": dieInHandler}))
}

const registry = "registry.example"

var someDigest = digest.Of([]byte("bytes"))

func say(t testing.TB, p event.Payload) *event.Event {
	t.Helper()
	e, err := event.New("assize/test", time.Now(), p)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func artifact(run string, lane event.Lane) *event.Artifact {
	return &event.Artifact{Run: run, Lane: lane, Registry: registry, Name: "a", Filename: "a.tgz",
		Digest: someDigest, SHA512: strings.Repeat("0", 128), Size: 5, Format: "unknown", Received: time.Now()}
}

func evidence(run string, kind event.Kind) *event.Evidence {
	return &event.Evidence{Run: run, Lane: event.LaneNew, Registry: registry, Kind: kind, Artifact: someDigest,
		Status: event.Complete, Producer: event.Producer{Name: "test", Version: "1"}}
}

func decision(run string) *event.Decision {
	return &event.Decision{Run: run, Artifact: *artifact(run, event.LaneNew), Decision: event.Deny, Grade: event.GradeRisk,
		Reasons: []event.Reason{{Rule: "r", Outcome: event.Deny, Message: "m"}},
		Policy:  event.Policy{Name: "p", Digest: someDigest}}
}

func verdict(run string) *event.Verdict {
	return &event.Verdict{Run: run, Lane: event.LaneNew, Registry: registry, Name: "a", Filename: "a.tgz",
		Format: "unknown", Artifact: someDigest, Decision: event.Deny, Grade: event.GradeRisk, KeyID: "k",
		Envelope: json.RawMessage(`{}`)}
}

func upload(id string) *event.Upload {
	return &event.Upload{Registry: registry, ID: id, Name: "a", URL: "https://registry.example/a.tgz"}
}

func publish(t testing.TB, b *bus.Bus, p event.Payload, opts ...bus.PublishOption) bus.Ack {
	t.Helper()
	ack, err := b.Publish(t.Context(), say(t, p), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return ack
}

// consume runs c until the test ends, or until stop is called, and then
// waits for it.
func consume(t testing.TB, b *bus.Bus, c bus.Consumer) (stop func()) {
	t.Helper()
	ctx, cancel := newContext(t)
	done := make(chan error, 1)
	go func() { done <- b.Consume(ctx, c) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// deadLetters are those on DEAD now.
func deadLetters(t testing.TB, b *bus.Bus) []event.DeadLetter {
	t.Helper()
	s, err := b.JetStream().Stream(t.Context(), bus.Dead)
	if err != nil {
		t.Fatal(err)
	}
	var all []event.DeadLetter
	for seq := max(1, s.CachedInfo().State.FirstSeq); seq <= s.CachedInfo().State.LastSeq; seq++ {
		msg, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		var letter event.DeadLetter
		if err := json.Unmarshal(msg.Data, &letter); err != nil {
			t.Fatal(err)
		}
		all = append(all, letter)
	}
	return all
}

// settled tells whether the durable has nothing left to do.
func settled(t testing.TB, b *bus.Bus, stream, durable string) bool {
	t.Helper()
	c, err := b.JetStream().Consumer(t.Context(), stream, durable)
	if err != nil {
		t.Fatal(err)
	}
	info := c.CachedInfo()
	return info.NumPending == 0 && info.NumAckPending == 0
}

var errSome = errors.New("something failed")
