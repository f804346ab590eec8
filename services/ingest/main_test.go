package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/config"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
	"assize.dev/shared/identify/identifytest"
)

func TestMain(m *testing.M) { os.Exit(bustest.Main(m, nil)) }

// token is no secret: nothing but these tests knows it.
const token = "let" + "-me-in"

// bench is a service with a real bus and a real store.
type bench struct {
	t        *testing.T
	bus      *bus.Bus
	store    *blob.Dir
	storeDir string
	service  *Service
	url      string // of the handler
	log      *logged
}

// logged keeps what was logged, for what must not be in it.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newBench(t *testing.T, change ...func(*Config)) *bench {
	t.Helper()
	return newBenchOn(t, bustest.Bus(t), change...)
}

func newBenchOn(t *testing.T, b *bus.Bus, change ...func(*Config)) *bench {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	store, err := blob.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	c := Config{Token: config.Secret(token), MaxSize: 1 << 20, Workers: 2}
	for _, f := range change {
		f(&c)
	}
	log := &logged{}
	s, err := New(c, blob.S3Config{}, b, store, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.backoff = func(int) time.Duration { return time.Millisecond }
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return &bench{t: t, bus: b, store: store, storeDir: dir, service: s, url: server.URL, log: log}
}

// run fetches uploads until the test ends.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := b.service.Run(ctx); err != nil {
			b.t.Error(err)
		}
	})
	b.t.Cleanup(func() { cancel(); running.Wait() })
}

// answer is what a PUT came to.
type answer struct {
	status int
	header http.Header
	Accepted
	Error string `json:"error"`
}

// put sends body; header is name, value, name, value and so on.
func (b *bench) put(path string, body io.Reader, header ...string) answer {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPut, b.url+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Authorization" {
			req.Header.Del("Authorization")
		}
		if header[i+1] != "" {
			req.Header.Add(header[i], header[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		b.t.Fatalf("PUT %s: %s: %v", path, resp.Status, err)
	}
	return a
}

// messages are all on a stream.
func (b *bench) messages(stream string) []*event.Event {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	s, err := b.bus.JetStream().Stream(ctx, stream)
	if err != nil {
		b.t.Fatal(err)
	}
	var all []*event.Event
	for seq := max(1, s.CachedInfo().State.FirstSeq); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			b.t.Fatal(err)
		}
		e, err := event.FromMessage(m.Subject, event.Header(m.Header), m.Data)
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func (b *bench) artifacts() []event.Artifact {
	b.t.Helper()
	var all []event.Artifact
	for _, e := range b.messages(bus.Events) {
		var a event.Artifact
		if err := event.Decode(e, &a); err != nil {
			b.t.Fatal(err)
		}
		all = append(all, a)
	}
	return all
}

// artifact is the one on the stream, its bytes checked in the store.
func (b *bench) artifact(want []byte) event.Artifact {
	b.t.Helper()
	all := b.artifacts()
	if len(all) != 1 {
		b.t.Fatalf("%d artifacts on the stream, want 1: %+v", len(all), all)
	}
	if all[0].Digest != digest.Of(want) || all[0].Size != int64(len(want)) {
		b.t.Fatalf("artifact is %s, %d bytes; want %s, %d", all[0].Digest, all[0].Size, digest.Of(want), len(want))
	}
	o, err := b.store.Open(b.t.Context(), blob.BlobKey(all[0].Digest))
	if err != nil {
		b.t.Fatal(err)
	}
	defer o.Close()
	if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, want) {
		b.t.Fatalf("stored %d bytes, %v; want %d", len(got), err, len(want))
	}
	return all[0]
}

// deadLetters waits until there are n.
func (b *bench) deadLetters(n int) []event.DeadLetter {
	b.t.Helper()
	bustest.Eventually(b.t, "dead letters", func() bool { return len(b.messages(bus.Dead)) >= n })
	var all []event.DeadLetter
	for _, e := range b.messages(bus.Dead) {
		var d event.DeadLetter
		if err := json.Unmarshal(e.Data, &d); err != nil {
			b.t.Fatal(err)
		}
		all = append(all, d)
	}
	if len(all) != n {
		b.t.Fatalf("%d dead letters, want %d", len(all), n)
	}
	return all
}

// nothing checks that no trace of an artifact is left.
func (b *bench) nothing() {
	b.t.Helper()
	if all := b.artifacts(); len(all) != 0 {
		b.t.Errorf("artifacts were ordered: %+v", all)
	}
	for info, err := range b.store.List(b.t.Context(), "", "") {
		b.t.Errorf("the store holds %s, %v", info.Key, err)
	}
	if left, err := os.ReadDir(filepath.Join(b.storeDir, "tmp")); err != nil || len(left) != 0 {
		b.t.Errorf("unfinished objects are left: %v, %v", left, err)
	}
}

// leftPad is an npm package.
func leftPad(version string) []byte {
	return identifytest.TarGz(identifytest.File{"package/package.json", `{"name":"@acme/left-pad","version":"` + version + `"}`})
}

const leftPadPURL = "pkg:npm/%40acme/left-pad@"
