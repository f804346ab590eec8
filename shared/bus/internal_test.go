package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/event"
)

// Whatever is asked for, the server fsyncs before it acknowledges.
func TestSyncAlways(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/nats.conf"
	writeFile(t, file, "jetstream { sync_interval: 10m }\nhttp_port: 8222\n")
	for _, o := range []ServerOptions{{}, {Listen: "127.0.0.1:0"}, {ConfigFile: file, Listen: "127.0.0.1:0"}} {
		o.Dir, o.Log = t.TempDir(), slog.New(slog.DiscardHandler)
		so, err := (&Server{maxStore: 1}).serverOptions(o)
		if err != nil {
			t.Fatal(err)
		}
		if !so.SyncAlways || !so.JetStream || so.JetStreamMaxStore != 1 || !so.NoSigs || so.HTTPPort != 0 || so.DontListen != (o.Listen == "") {
			t.Errorf("%+v: %+v", o, so)
		}
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 0, 1, 2, 7, 100} {
		for range 100 {
			limit := min(firstPause<<min(max(n-1, 0), 20), longestPause)
			if d := backoff(n, firstPause, longestPause); d <= 0 || d > limit {
				t.Fatalf("try %d: %s, limit %s", n, d, limit)
			}
		}
	}
}

func TestErrorKinds(t *testing.T) {
	t.Parallel()
	base := errors.New("base")
	for _, tc := range []struct {
		err                    error
		unavailable, permanent bool
	}{
		{Unavailable(base), true, false},
		{fmt.Errorf("x: %w", Permanent(base)), false, true},
		{Permanent(Unavailable(base)), true, true},
		{publishError(&jetstream.APIError{ErrorCode: codeStoreFailed, Code: 503, Description: "maximum bytes exceeded"}), true, false},
		// A cluster has something in process and may yet lose it: no reason to rely on it.
		{publishError(&jetstream.APIError{ErrorCode: 10158, Code: 409, Description: "duplicate message id is in process"}), true, false},
		{publishError(&jetstream.APIError{ErrorCode: 10164, Code: 400, Description: "wrong last sequence"}), true, false},
		{publishError(&jetstream.APIError{ErrorCode: 10071, Code: 400, Description: "wrong last sequence: 1"}), false, false},
		{publishError(&jetstream.APIError{ErrorCode: 10054, Code: 400, Description: "message size exceeds maximum allowed"}), false, false},
	} {
		if errors.Is(tc.err, ErrUnavailable) != tc.unavailable || errors.Is(tc.err, ErrPermanent) != tc.permanent {
			t.Errorf("%v: %+v", tc.err, tc)
		}
	}
	if Unavailable(nil) != nil || Permanent(nil) != nil {
		t.Error("nil became an error")
	}
	if err := Permanent(base); !errors.Is(err, base) || err.Error() != "base" {
		t.Errorf("%v", err)
	}
}

func TestTemplateHasFewValues(t *testing.T) {
	t.Parallel()
	run := event.NewRun()
	for subject, want := range map[string]string{
		event.UploadSubject("r"):                          "assize.upload",
		event.ArtifactSubject(event.LaneNew, "r", run):    "assize.artifact.new",
		event.EvidenceSubject(event.KindSBOM, "r", run):   "assize.evidence.sbom",
		event.DecisionSubject("r", run):                   "assize.decision",
		event.VerdictSubject(event.Deny, "r", "npm", run): "assize.verdict.deny",
		event.DeadSubject("scan"):                         "assize.dead.scan",
		"x":                                               "x",
	} {
		if got := template(subject); got != want {
			t.Errorf("%s: %s, want %s", subject, got, want)
		}
	}
}

func TestUndecidedFollowsRuns(t *testing.T) {
	t.Parallel()
	u := NewUndecided()
	a, b, c := event.NewRun(), event.NewRun(), event.NewRun()
	for i, subject := range []string{
		event.ArtifactSubject(event.LaneNew, "r", a),
		event.ArtifactSubject(event.LaneAgain, "r", b),
		event.EvidenceSubject(event.KindSBOM, "r", c), // evidence alone begins nothing
		event.ArtifactSubject(event.LaneNew, "r", "not-a-run"),
		event.DecisionSubject("r", a),
		event.VerdictSubject(event.Deny, "r", "npm", a),
		event.DecisionSubject("r", c),
	} {
		u.see(subject, uint64(i+1))
	}
	for _, want := range []struct {
		run string
		seq uint64
	}{{b, 2}, {c, 7}} {
		run, seq, ok := u.Oldest()
		if !ok || run != want.run || seq != want.seq {
			t.Errorf("oldest is %s at %d (%v), want %+v", run, seq, ok, want)
		}
		u.see(event.VerdictSubject(event.Allow, "r", "npm", want.run), 10)
	}
	if run, seq, ok := u.Oldest(); ok {
		t.Errorf("%s at %d is undecided still", run, seq)
	}
}

// However hostile the message, the letter is one that the stream takes, and
// two durables of a service do not pass for each other.
func TestDeadLetterAlwaysFits(t *testing.T) {
	t.Parallel()
	header := event.Header{"ce-id": {"1"}, "ce-type": {"t"}}
	for i := range 200 {
		name := fmt.Sprintf("x%d%s", i, strings.Repeat("\x01", event.MaxName-4))
		header[name] = []string{strings.Repeat("\x02", event.MaxName)}
	}
	ids := map[string]bool{}
	for _, m := range []*Message{
		{Data: make([]byte, event.MaxData)},
		{Data: make([]byte, maxMessage), Invalid: event.ErrInvalid},
	} {
		m.Subject, m.Header, m.Stream, m.Sequence = event.ArtifactSubject(event.LaneNew, "r", event.NewRun()), header, Events, 1
		for _, durable := range []string{"content-new", "secrets-new"} {
			e, err := deadLetter("scan", durable, m, errors.New(strings.Repeat("\x03", 5000)), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			ids[e.ID] = true
			if len(e.Data) > maxMessage-4<<10 {
				t.Errorf("%d bytes leave no room for the letter's own headers", len(e.Data))
			}
			var letter event.DeadLetter
			if err := event.Decode(e, &letter); err != nil || letter.Headers["ce-id"] != "1" || len(letter.Headers) < 3 {
				t.Errorf("%d headers, %v", len(letter.Headers), err)
			}
		}
	}
	if len(ids) != 2 {
		t.Errorf("ids %v, want one per durable", ids)
	}
}

// A consumer that is made anew counts deliveries from 1 again; what was
// excused of the old one's is no credit.
func TestAttemptsStartOverWithTheConsumer(t *testing.T) {
	t.Parallel()
	a := &attempts{durable: "d", most: 5, records: map[uint64]record{7: {excused: 40, stored: 40}}}
	for delivery := 1; delivery < 5; delivery++ {
		attempt, _, err := a.count(t.Context(), 7, delivery)
		if err != nil || attempt != delivery {
			t.Errorf("delivery %d is attempt %d, %v", delivery, attempt, err)
		}
	}
}

// A pull that is refused at once is not tried in a tight loop, and is one
// line in the log, not one per try.
func TestRefusedPullsAreSpaced(t *testing.T) {
	t.Parallel()
	s, err := StartServer(ServerOptions{Dir: t.TempDir(), MaxStore: 1 << 30, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	b, err := s.Connect(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	var lines atomic.Int32
	b.log = slog.New(slog.NewTextHandler(counter{&lines}, nil))
	if _, err := b.Provision(t.Context(), ProvisionOptions{Apply: true}); err != nil {
		t.Fatal(err)
	}
	set := func(most time.Duration) {
		t.Helper()
		c, err := b.js.Consumer(t.Context(), Uploads, DurableIngest)
		if err != nil {
			t.Fatal(err)
		}
		cfg := c.CachedInfo().Config
		cfg.MaxRequestExpires = most
		if _, err := b.js.UpdateConsumer(t.Context(), Uploads, cfg); err != nil {
			t.Fatal(err)
		}
	}
	set(time.Millisecond) // every pull asks for more
	pulls, err := b.nc.SubscribeSync("$JS.API.CONSUMER.MSG.NEXT." + Uploads + "." + DurableIngest)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	handled, done := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		done <- b.Consume(ctx, Consumer{Service: "ingest", Durable: DurableIngest,
			Handle: func(context.Context, *Message) error { handled <- struct{}{}; return nil }})
	}()
	time.Sleep(1500 * time.Millisecond)
	if n, _, err := pulls.Pending(); err != nil || n < 2 || n > 20 || lines.Load() != 1 {
		t.Errorf("%d pulls (%v), %d lines in the log", n, err, lines.Load())
	}
	set(time.Hour)
	e, err := event.New("test", time.Now(), &event.Upload{Registry: "r", ID: "1", Name: "a", URL: "https://r.example/a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	<-handled
	cancel()
	if err := <-done; err != nil || lines.Load() != 2 {
		t.Errorf("%v; %d lines in the log", err, lines.Load())
	}
}

// counter counts what is written to it.
type counter struct{ n *atomic.Int32 }

func (c counter) Write(p []byte) (int, error) { c.n.Add(1); return len(p), nil }

func FuzzDeadLetter(f *testing.F) {
	f.Add("assize.upload.r", "ce-id", "x", []byte("{}"), "because")
	f.Add(strings.Repeat("é", 2000), "\xff", strings.Repeat("\n", 5000), make([]byte, 300<<10), "")
	f.Fuzz(func(t *testing.T, subject, name, value string, data []byte, reason string) {
		m := &Message{Subject: subject, Header: event.Header{name: {value}, "x": nil}, Data: data, Stream: Uploads, Sequence: 1, Invalid: event.ErrInvalid}
		e, err := deadLetter("scan", "content-new", m, errors.New(reason), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Data) > maxMessage || !utf8.Valid(e.Data) {
			t.Errorf("%d bytes", len(e.Data))
		}
		if err := event.Decode(e, new(event.DeadLetter)); err != nil {
			t.Error(err)
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte(`{"message":{"subject":"assize.upload.r","seq":1,"hdrs":"TkFUUy8xLjANCmE6IGINCg0K","data":"e30=","time":"2025-01-01T00:00:00Z"}}`))
	f.Add([]byte(`{"error":{"code":404,"err_code":10037,"description":"no message found"}}`))
	f.Add([]byte(`{"message":{"hdrs":"AAAA"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := readAnswer(Events, data); err == nil && m.Event == nil && m.Invalid == nil {
			t.Error("neither an event nor a reason")
		}
	})
}

func FuzzSubjects(f *testing.F) {
	f.Add("assize.artifact.new.r." + event.NewRun())
	f.Add("....")
	f.Fuzz(func(t *testing.T, subject string) {
		NewUndecided().see(subject, 1)
		_ = template(subject)
		_, _ = streamOf(subject)
		_, _ = sourceSequence(&Message{Header: event.Header{sourceHeader: {subject}}})
	})
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
