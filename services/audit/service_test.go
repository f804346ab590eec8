package audit

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
)

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // they mostly wait: for disks and clocks
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(bustest.Main(m, map[string]func() error{"replica": replica}))
}

var quiet = slog.New(slog.DiscardHandler)

// publish puts a message on a stream as any client can.
func publish(t testing.TB, b *bus.Bus, subject, data string, headers ...string) {
	t.Helper()
	msg := nats.NewMsg(subject)
	msg.Data = []byte(data)
	for i := 0; i+1 < len(headers); i += 2 {
		msg.Header[headers[i]] = []string{headers[i+1]}
	}
	deadline := time.Now().Add(time.Minute)
	for { // until it is acknowledged, as the server may be away
		_, err := b.JetStream().PublishMsg(t.Context(), msg, jetstream.WithMsgID(subject+data))
		if err == nil {
			return
		}
		if time.Now().After(deadline) || t.Context().Err() != nil {
			t.Errorf("publishing on %s: %v", subject, err)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// publishVerdict publishes one as sign does.
func publishVerdict(t testing.TB, b *bus.Bus) {
	t.Helper()
	m := judged(t, 1)
	publish(t, b, m.Subject, string(m.Data), "ce-specversion", "1.0", "ce-id", m.Subject, "ce-source", "assize/sign", "ce-type", string(event.TypeVerdict))
}

// publishSome puts well-formed and other messages on all three streams.
func publishSome(t testing.TB, b *bus.Bus, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		publish(t, b, event.UploadSubject("registry"), fmt.Sprintf(`{"n":%d}`, i),
			"ce-specversion", "1.0", "ce-id", fmt.Sprint(i), "ce-source", "test", "ce-type", string(event.TypeUpload))
		publish(t, b, event.EvidenceSubject(event.KindSBOM, "registry", fmt.Sprint(i)), fmt.Sprintf(`{ "n": %d }`, i))
		if i%5 == 0 {
			size := 40
			if i%40 == 0 {
				size <<= 10 // too large for a line
			}
			publish(t, b, event.DeadSubject("ingest"), fmt.Sprintf(`"%s%d"`, strings.Repeat("<", size), i))
		}
	}
}

// onStreams are all messages that the streams hold now.
func onStreams(t testing.TB, b *bus.Bus) (all []*bus.Message) {
	t.Helper()
	for _, stream := range recorded {
		first, last, err := b.Sequences(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		if first > last {
			continue
		}
		enough := errors.New("enough")
		err = b.Follow(t.Context(), stream, first, nil, func(m *bus.Message) error {
			all = append(all, m)
			if m.Sequence == last {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
	}
	return all
}

// serving is a service that runs until it is stopped.
type serving struct {
	*Service
	cancel context.CancelFunc
	done   chan struct{}
	err    error // Run's, once done
}

func serve(t testing.TB, b *bus.Bus, store blob.Store, c Config) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	made, err := New(c, b, store, quiet)
	if err != nil {
		t.Fatal(err)
	}
	s := &serving{Service: made, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.err = s.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-s.done })
	return s
}

func (s *serving) stop(t testing.TB) {
	t.Helper()
	s.cancel()
	if <-s.done; s.err != nil {
		t.Fatal(s.err)
	}
}

// end waits until Run returns by itself.
func (s *serving) end(t testing.TB) error {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(time.Minute):
		t.Fatal("still running after a minute")
	}
	return s.err
}

// caughtUp waits until s has recorded all that the streams hold.
func caughtUp(t testing.TB, b *bus.Bus, s *serving) {
	t.Helper()
	bustest.Eventually(t, "everything recorded", func() bool {
		for _, stream := range recorded {
			_, last, err := b.Sequences(t.Context(), stream)
			if err != nil || s.position(stream) != last+1 {
				return false
			}
		}
		return true
	})
}

var soon = Config{Batch: 16, Interval: 5 * time.Millisecond}

func TestServiceRecordsAndResumes(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	store, _ := newStore(t)
	publishSome(t, b, 0, 10)
	for round := range 3 {
		s := serve(t, b, store, soon)
		publishSome(t, b, 10+round*10, 20+round*10)
		caughtUp(t, b, s)
		s.stop(t)
		// Stopping saves the head.
		if h, err := readHead(t.Context(), store); err != nil || h == nil || h.Size != s.Head().Size {
			t.Errorf("saved %+v, %v, want size %d", h, err, s.Head().Size)
		}
		if round == 0 { // and without it all is found again
			if err := store.Delete(t.Context(), headKey); err != nil {
				t.Fatal(err)
			}
		}
		publishSome(t, b, 100+round, 101+round) // while nobody records
	}
	s := serve(t, b, store, soon)
	caughtUp(t, b, s)
	s.stop(t)
	checkLog(t, store, onStreams(t, b))
}

// Only what is recorded is trimmed, and what was gone before becomes a gap.
func TestTrimmingWaitsForTheLog(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	store, _ := newStore(t)
	publishSome(t, b, 0, 6)
	if err := b.Trim(t.Context(), bus.Uploads, 3); err != nil {
		t.Fatal(err)
	}
	all := onStreams(t, b)
	c, err := b.JetStream().Consumer(t.Context(), bus.Uploads, bus.DurableIngest)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := c.FetchNoWait(100)
	if err != nil {
		t.Fatal(err)
	}
	for m := range batch.Messages() {
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	trimming := soon
	trimming.Trim = 20 * time.Millisecond
	s := serve(t, b, store, trimming)
	caughtUp(t, b, s)
	bustest.Eventually(t, "trimmed", func() bool {
		first, _, err := b.Sequences(t.Context(), bus.Uploads)
		return err == nil && first == 7
	})
	s.stop(t)
	checkLog(t, store, all)
	s = serve(t, b, store, soon) // goes on although the last recorded is gone
	publishSome(t, b, 6, 8)
	caughtUp(t, b, s)
	s.stop(t)
	seen := map[string]bool{}
	for _, m := range all {
		seen[fmt.Sprint(m.Stream, m.Sequence)] = true
	}
	for _, m := range onStreams(t, b) {
		if !seen[fmt.Sprint(m.Stream, m.Sequence)] {
			all = append(all, m)
		}
	}
	checkLog(t, store, all)
}

// begin makes stream anew, as a server does that lost its disk.
func begin(t testing.TB, b *bus.Bus, stream string) {
	t.Helper()
	if err := b.JetStream().DeleteStream(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	bustest.Provision(t, b)
}

func TestRolledBackStreamIsRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		running bool
		after   int // messages the new stream has got, in half of the old one's
	}{
		{"empty", false, 0}, {"shorter", false, 5}, {"as long", false, 10}, {"longer", false, 15},
		{"while it is followed", true, 5}, {"longer while it is followed", true, 15},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := bustest.Bus(t)
			store, _ := newStore(t)
			s := serve(t, b, store, soon)
			publishSome(t, b, 0, 10)
			caughtUp(t, b, s)
			all := onStreams(t, b)
			if !tc.running {
				s.stop(t)
			}
			begin(t, b, bus.Uploads)
			publishSome(t, b, 100, 100+tc.after)
			if !tc.running {
				s = serve(t, b, store, soon)
			}
			if err := s.end(t); !errors.Is(err, ErrRolledBack) || !strings.Contains(err.Error(), bus.Uploads) {
				t.Errorf("Run: %v", err)
			}
			if tc.running { // what came on the other streams until then may be recorded
				for _, m := range onStreams(t, b) {
					if m.Stream != bus.Uploads && s.Head().Positions[m.Stream] >= m.Sequence && !slices.ContainsFunc(all, func(a *bus.Message) bool {
						return a.Stream == m.Stream && a.Sequence == m.Sequence
					}) {
						all = append(all, m)
					}
				}
			}
			checkLog(t, store, all)
		})
	}
}

func TestDamagedLogIsNotContinued(t *testing.T) {
	t.Parallel()
	b := bustest.Bus(t)
	store, dir := written(t)
	if err := os.Remove(path(dir, segmentKey(9))); err != nil {
		t.Fatal(err)
	}
	s, err := New(soon, b, store, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); !errors.Is(err, ErrDamaged) {
		t.Errorf("Run: %v", err)
	}
}
