package bus_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/sethvargo/go-envconfig"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/config"
	"assize.dev/shared/event"
)

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStoreIsLocked(t *testing.T) {
	t.Parallel()
	p := bustest.NewProcess(t)
	dir := t.TempDir()
	s, err := bus.StartServer(bus.ServerOptions{Dir: dir, MaxStore: bustest.MaxStore})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		dir    string
		holder int
	}{{dir, os.Getpid()}, {p.Dir(), p.PID()}} {
		_, err = bus.StartServer(bus.ServerOptions{Dir: tc.dir, MaxStore: bustest.MaxStore})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by process %d: stop it or use another --data", tc.holder)) {
			t.Errorf("second server: %v", err)
		}
	}
	s.Shutdown()
	s, err = bus.StartServer(bus.ServerOptions{Dir: dir, MaxStore: bustest.MaxStore})
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	s.Shutdown()
}

func TestServerRefusesWhatItCannotKeep(t *testing.T) {
	t.Parallel()
	users := write(t, "nats.conf", "authorization { users = [ { user: u, password: p } ] }\n")
	for name, o := range map[string]bus.ServerOptions{
		"no directory":      {},
		"more than fits":    {Dir: t.TempDir(), MaxStore: 1 << 60},
		"negative":          {Dir: t.TempDir(), MaxStore: -1},
		"open to the world": {Dir: t.TempDir(), MaxStore: bustest.MaxStore, Listen: "0.0.0.0:0"},
		"not a key":         {Dir: t.TempDir(), MaxStore: bustest.MaxStore, Listen: "127.0.0.1:0", NKeys: []string{"U"}},
		"file for nobody":   {Dir: t.TempDir(), MaxStore: bustest.MaxStore, ConfigFile: users},
		"file and token":    {Dir: t.TempDir(), MaxStore: bustest.MaxStore, ConfigFile: users, Listen: "127.0.0.1:0", Token: "t"},
		"file and key":      {Dir: t.TempDir(), MaxStore: bustest.MaxStore, ConfigFile: users, Listen: "127.0.0.1:0", NKeys: []string{"U"}},
		"file for anyone":   {Dir: t.TempDir(), MaxStore: bustest.MaxStore, ConfigFile: write(t, "nats.conf", "debug: false\n"), Listen: "0.0.0.0:0"},
		"bad address":       {Dir: t.TempDir(), MaxStore: bustest.MaxStore, Listen: "localhost"},
		"bad port":          {Dir: t.TempDir(), MaxStore: bustest.MaxStore, Listen: "127.0.0.1:99999"},
		"no such file":      {Dir: t.TempDir(), MaxStore: bustest.MaxStore, Listen: "127.0.0.1:0", ConfigFile: "/nonexistent"},
		"no certificate":    {Dir: t.TempDir(), MaxStore: bustest.MaxStore, Listen: "127.0.0.1:0", CA: "/nonexistent"},
	} {
		o.Log = slog.New(slog.DiscardHandler)
		if s, err := bus.StartServer(o); err == nil {
			s.Shutdown()
			t.Errorf("%s: started", name)
		}
	}
}

func TestServerListensOnlyToTheToken(t *testing.T) {
	t.Parallel()
	token := rand.Text()
	s := bustest.Server(t, func(o *bus.ServerOptions) { o.Listen, o.Token = "127.0.0.1:0", config.Secret(token) })
	if err := bustest.Connect(t, s).Ready(t.Context()); err != nil {
		t.Error(err)
	}
	good, err := bus.Connect(t.Context(), bus.Config{URL: s.ClientURL(), User: "assize", Password: config.Secret(token), Wait: true}, "good")
	if err != nil {
		t.Fatal(err)
	}
	good.Close()
	for _, password := range []string{"", "wrong"} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := bus.Connect(ctx, bus.Config{URL: s.ClientURL(), User: "assize", Password: config.Secret(password), Wait: true}, "bad")
		cancel()
		if !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("password %q: %v", password, err)
		}
	}
	if inside := bustest.Server(t).ClientURL(); inside != "" {
		t.Errorf("a server without an address is at %s", inside)
	}
}

func TestConnectReturnsAtOnceUnlessAskedToWait(t *testing.T) {
	t.Parallel()
	b, err := bus.Connect(t.Context(), bus.Config{URL: "nats://127.0.0.1:1"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Ready(t.Context()); err == nil {
		t.Error("ready")
	}
}

func TestConnectRefusesContradictions(t *testing.T) {
	t.Parallel()
	for _, cfg := range []bus.Config{
		{Cert: "a"}, {Key: "a"}, {Creds: "a", NKey: "b"}, {NKey: "/nonexistent"}, {CA: "/nonexistent"},
	} {
		cfg.URL = "nats://127.0.0.1:1"
		if b, err := bus.Connect(t.Context(), cfg, "test"); err == nil {
			b.Close()
			t.Errorf("%+v was accepted", cfg)
		}
	}
}

func TestConfigurationFromTheEnvironment(t *testing.T) {
	t.Parallel()
	token := rand.Text()
	var c bus.Config
	var o bus.ServerOptions
	env := envconfig.MapLookuper(map[string]string{
		"ASSIZE_NATS_URL": "nats://a,nats://b", "ASSIZE_NATS_USER": "u", "ASSIZE_NATS_PASSWORD_FILE": write(t, "p", token+"\n"),
		"ASSIZE_NATS_REPLICAS": "3", "ASSIZE_NATS_LISTEN": "127.0.0.1:1", "ASSIZE_NATS_TOKEN": token, "ASSIZE_NATS_NKEYS": "a,b",
	})
	if err := config.Load(t.Context(), env, &c, &o); err != nil {
		t.Fatal(err)
	}
	if c.URL != "nats://a,nats://b" || c.User != "u" || c.Password.Reveal() != token || c.Replicas != 3 || c.Wait {
		t.Errorf("%+v", c)
	}
	if o.Listen != "127.0.0.1:1" || o.Token.Reveal() != token || len(o.NKeys) != 2 || o.Log != nil {
		t.Errorf("%+v", o)
	}
}

// recorder keeps the spans of a test, which must not run in parallel with
// others that use one.
type recorder struct {
	*tracetest.SpanRecorder
	tracer trace.Tracer
}

func record(t testing.TB) recorder {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(provider)
	t.Cleanup(func() { otel.SetTracerProvider(before) })
	return recorder{spans, provider.Tracer("test")}
}

// One trace runs from who published to who handled, and into dead letters,
// whatever propagator the process was set up with.
func TestTraceRunsThrough(t *testing.T) {
	b := bustest.Bus(t)
	spans := record(t)
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator())
	ctx, root := spans.tracer.Start(t.Context(), "root")
	if _, err := b.Publish(ctx, say(t, artifact(event.NewRun(), event.LaneNew))); err != nil {
		t.Fatal(err)
	}
	root.End()
	want := root.SpanContext().TraceID()
	stop := consume(t, b, bus.Consumer{Service: "sbom", Durable: "sbom-new",
		Handle: func(ctx context.Context, _ *bus.Message) error {
			if got := trace.SpanContextFromContext(ctx).TraceID(); got != want {
				t.Errorf("handler is in trace %s, want %s", got, want)
			}
			return bus.Permanent(errSome)
		}})
	bustest.Eventually(t, "dead letter", func() bool { return settled(t, b, bus.Events, "sbom-new") && len(deadLetters(t, b)) == 1 })
	stop()
	if tp := deadLetters(t, b)[0].Headers["traceparent"]; !strings.Contains(tp, want.String()) {
		t.Errorf("dead letter: traceparent %q, want trace %s", tp, want)
	}
	byName := map[string]sdktrace.ReadOnlySpan{}
	for _, s := range spans.Ended() {
		byName[s.Name()] = s
		if s.SpanContext().TraceID() != want {
			t.Errorf("span %s is in another trace", s.Name())
		}
	}
	sent, process := byName["publish assize.artifact.new"], byName["process sbom-new"]
	if sent == nil || process == nil || byName["publish assize.dead.sbom"] == nil {
		t.Fatalf("spans: %v", byName)
	}
	if process.Parent().SpanID() != sent.SpanContext().SpanID() || len(process.Links()) != 1 ||
		process.Links()[0].SpanContext.SpanID() != sent.SpanContext().SpanID() || process.SpanKind() != trace.SpanKindConsumer {
		t.Errorf("process span: parent %s, links %v", process.Parent().SpanID(), process.Links())
	}
	about := attribute.NewSet(process.Attributes()...)
	if run, _ := about.Value("assize.run"); run.AsString() == "" {
		t.Errorf("the span does not say which run it is of: %v", process.Attributes())
	}
}
