package evidence

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// asking is an analyser that answers by a function.
type asking struct {
	kind    event.Kind
	analyse func(ctx context.Context, in Input) (*Answer, error)
}

func (a asking) Kind() event.Kind { return a.kind }
func (a asking) Version() string  { return "1.2.3" }
func (a asking) Analyse(ctx context.Context, in Input) (*Answer, error) {
	return a.analyse(ctx, in)
}

type following struct {
	asking
	follows event.Kind
}

func (f following) Follows() event.Kind { return f.follows }

// bench is a runner with a real bus and a real store that holds content.
type bench struct {
	t        *testing.T
	runner   *Runner
	storeDir string
}

const content = "the bytes of an artifact"

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	store, err := blob.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	b := &bench{t: t, storeDir: dir, runner: &Runner{Service: "test", Bus: bustest.Bus(t), Store: store, Workers: 2,
		Log: slog.New(slog.DiscardHandler), backoff: func(int) time.Duration { return time.Millisecond }}}
	b.storeContent()
	return b
}

func (b *bench) storeContent() {
	b.t.Helper()
	spooled, err := blob.Spool(b.t.Context(), "", strings.NewReader(content), 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	defer spooled.Close()
	if _, err := blob.PutBlob(b.t.Context(), b.runner.Store, spooled); err != nil {
		b.t.Fatal(err)
	}
}

// run serves the analysers until the test ends.
func (b *bench) run(analysers ...Analyser) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.runner.Run(ctx, analysers...); err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(func() { cancel(); running.Wait() })
}

func (b *bench) publish(p event.Payload) {
	b.t.Helper()
	e, err := event.New("assize/test", time.Now(), p)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.runner.Bus.Publish(b.t.Context(), e, bus.Once()); err != nil {
		b.t.Fatal(err)
	}
}

// order orders the examination of content.
func (b *bench) order(lane event.Lane) event.Artifact { return b.orderOf(lane, "n", content) }

func (b *bench) orderOf(lane event.Lane, name, content string) event.Artifact {
	b.t.Helper()
	a := event.Artifact{Run: event.NewRun(), Lane: lane, Registry: "r.x", Name: name, Filename: "n", Digest: digest.Of([]byte(content)),
		SHA512: strings.Repeat("0", 128), Size: int64(len(content)), Format: "unknown", Received: time.Now()}
	b.publish(&a)
	return a
}

// evidence waits for what is said about a.
func (b *bench) evidence(kind event.Kind, a event.Artifact) *event.Evidence {
	b.t.Helper()
	var m *bus.Message
	bustest.Eventually(b.t, "evidence of kind "+string(kind), func() bool {
		var err error
		m, err = b.runner.Bus.Last(b.t.Context(), event.EvidenceSubject(kind, a.Registry, a.Run))
		if err != nil && !errors.Is(err, bus.ErrNotFound) {
			b.t.Fatal(err)
		}
		return err == nil
	})
	var e event.Evidence
	if err := event.Decode(m.Event, &e); err != nil {
		b.t.Fatal(err)
	}
	if e.Run != a.Run || e.Lane != a.Lane || e.Registry != a.Registry || e.Artifact != a.Digest || e.Kind != kind ||
		e.Producer != (event.Producer{Name: "test", Version: "1.2.3"}) || e.Started.IsZero() || e.Finished.Before(e.Started) || m.Event.Source != "assize/test" {
		b.t.Errorf("evidence %+v by %s is not about %+v", e, m.Event.Source, a)
	}
	return &e
}

// settled waits until the durable has nothing left to hand out or wait for.
func (b *bench) settled(durable string) {
	b.t.Helper()
	bustest.Eventually(b.t, durable+" is through", func() bool {
		c, err := b.runner.Bus.JetStream().Consumer(b.t.Context(), bus.Events, durable)
		if err != nil {
			b.t.Fatal(err)
		}
		i, err := c.Info(b.t.Context())
		if err != nil {
			b.t.Fatal(err)
		}
		return i.NumPending == 0 && i.NumAckPending == 0
	})
}

// deadLetter is the one that holds the order of a; nil if there is none.
func (b *bench) deadLetter(a event.Artifact) *event.DeadLetter {
	b.t.Helper()
	stream, err := b.runner.Bus.JetStream().Stream(b.t.Context(), bus.Dead)
	if err != nil {
		b.t.Fatal(err)
	}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(b.t.Context(), seq)
		if err != nil {
			b.t.Fatal(err)
		}
		var d event.DeadLetter
		if err := json.Unmarshal(m.Data, &d); err != nil {
			b.t.Fatal(err)
		}
		if strings.Contains(string(d.Data), a.Run) {
			return &d
		}
	}
	return nil
}

func read(ctx context.Context, in Input) (string, error) {
	f, err := in.Bytes(ctx)
	if err != nil {
		return "", err
	}
	defer f.Close()
	all, err := io.ReadAll(f)
	return string(all), err
}
