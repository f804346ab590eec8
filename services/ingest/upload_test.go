package ingest

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/blob/storetest"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
	"assize.dev/shared/identify/identifytest"
)

var uploaded = time.Date(2026, 3, 4, 5, 6, 7, 8e6, time.UTC)

func (b *bench) publish(u *event.Upload) {
	b.t.Helper()
	e, err := event.New("registry", uploaded, u)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.bus.Publish(b.t.Context(), e); err != nil {
		b.t.Fatal(err)
	}
}

// registry is a server that counts what it is asked.
func registry(t *testing.T, serve http.HandlerFunc) (address, host string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		serve(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, strings.TrimPrefix(s.URL, "http://"), asked
}

func serveBytes(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
}

func from(hosts ...string) func(*Config) {
	return func(c *Config) { c.FetchHosts = hosts }
}

func TestUpload(t *testing.T) {
	t.Parallel()
	body := leftPad("1.3.0")
	seen := make(chan http.Header, 1)
	address, host, _ := registry(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Clone()
		serveBytes(body)(w, r)
	})
	b := newBench(t, from(host))
	b.run()
	query := "?X-Signature=" + strings.Repeat("q", 20)
	b.publish(&event.Upload{Registry: "npm.prod", ID: "1", Name: "@acme/left-pad", PURL: "pkg:npm/other@1", Uploader: "ann",
		URL: address + "/files/left-pad-1.3.0.tgz" + query, Digest: digest.Of(body), Size: int64(len(body)), OccurredAt: uploaded,
		Signatures: []event.Attached{{Name: "left-pad-1.3.0.tgz.sig", Data: []byte("sig")}}})
	bustest.Eventually(t, "an artifact", func() bool { return len(b.artifacts()) > 0 })
	a := b.artifact(body)
	if a.Source != address+"/files/left-pad-1.3.0.tgz" || a.Filename != "left-pad-1.3.0.tgz" || a.PURL != leftPadPURL+"1.3.0" || a.Format != "npm" ||
		a.Version != "1.3.0" || a.Registry != "npm.prod" || a.Uploader != "ann" || len(a.Signatures) != 1 || a.Lane != event.LaneNew {
		t.Errorf("event: %+v", a)
	}
	if a.Run != derivedRun(uploaded, "npm.prod", "1") {
		t.Errorf("run %s", a.Run)
	}
	h := <-seen
	if h.Get("Accept-Encoding") != "identity" || h.Get("Traceparent") != "" {
		t.Errorf("asked with %v", h)
	}
	if strings.Contains(b.log.String(), query) {
		t.Error("the log tells the query")
	}
	if !strings.Contains(b.log.String(), "pkg:npm/other@1") {
		t.Errorf("nobody says that the registry claimed another package: %s", b.log)
	}
}

// A registry that is away or busy is waited for, however long that takes; it
// costs no attempt.
func TestUploadWaits(t *testing.T) {
	t.Parallel()
	var counts [600]atomic.Int64
	address, host, _ := registry(t, func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if counts[status].Add(1) <= 2*fetchAttempts && status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		// What is encoded for the way stays as it came: its digest counts.
		w.Header().Set("Content-Encoding", "gzip")
		serveBytes(identifytest.Gzip([]byte(r.URL.Path)))(w, r)
	})
	b := newBench(t, from(host))
	b.run()
	statuses := []int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusOK}
	for _, status := range statuses {
		b.publish(&event.Upload{Registry: "r", ID: strconv.Itoa(status), Name: "n", URL: address + "/" + strconv.Itoa(status)})
	}
	bustest.Eventually(t, "all artifacts", func() bool { return len(b.artifacts())+len(b.messages(bus.Dead)) >= len(statuses) })
	if n := len(b.messages(bus.Dead)); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	got := map[digest.Digest]bool{}
	for _, a := range b.artifacts() {
		got[a.Digest] = true
	}
	for _, status := range statuses {
		if !got[digest.Of(identifytest.Gzip([]byte("/"+strconv.Itoa(status))))] {
			t.Errorf("no artifact of the upload that began with %d", status)
		}
	}
}

// Nobody listens at first.
func TestUploadUnreachable(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(serveBytes([]byte("hello")))
	address := s.Listener.Addr().String()
	_ = s.Listener.Close()
	f, err := newFetcher(Config{FetchHosts: []string{address}}, blob.S3Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.open(t.Context(), "http://"+address+"/n"); !unavailable(err) {
		t.Errorf("a connection that was refused: %v", err)
	}
	// A resolver that is away is an outage, a name that does not exist is not.
	if !unreachable(&net.DNSError{IsTemporary: true}) || !unreachable(&net.DNSError{IsTimeout: true}) || unreachable(&net.DNSError{IsNotFound: true}) {
		t.Error("DNS errors are mistaken for each other")
	}
}

func unavailable(err error) bool { return bus.Unavailable(err) == err && err != nil }

// A crash between announcing and acknowledging brings the upload again: the
// run is the same, and so there is one event. If the registry has other bytes
// by then, that is said aloud.
func TestUploadAgain(t *testing.T) {
	t.Parallel()
	body := atomic.Value{}
	body.Store([]byte("hello"))
	address, host, _ := registry(t, func(w http.ResponseWriter, r *http.Request) { serveBytes(body.Load().([]byte))(w, r) })
	b := newBench(t, from(host))
	u := &event.Upload{Registry: "r", ID: "1", Name: "n", URL: address + "/n"}
	e, err := event.New("registry", uploaded, u)
	if err != nil {
		t.Fatal(err)
	}
	// The work, twice, without the acknowledgement between.
	for i := range 2 {
		m := &bus.Message{Subject: e.Subject, Event: e, Payload: u, Time: uploaded.Add(time.Duration(i) * time.Hour)}
		if err := b.service.upload(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if a := b.artifact([]byte("hello")); a.Run != derivedRun(uploaded, "r", "1") {
		t.Errorf("run %s", a.Run)
	}
	body.Store([]byte("hullo"))
	b.run()
	b.publish(u)
	if d := b.deadLetters(1)[0]; !strings.Contains(d.Reason, "which came first") || d.Attempts != 1 {
		t.Errorf("%+v", d)
	}
	b.artifact([]byte("hello"))
}

func TestUploadRunIsStable(t *testing.T) {
	u := &event.Upload{Registry: "r", ID: "1"}
	at := func(occurred, said, stored time.Time) string {
		v := *u
		v.OccurredAt = occurred
		return uploadRun(&v, &bus.Message{Event: &event.Event{Time: said}, Time: stored})
	}
	later := uploaded.Add(time.Hour)
	if at(uploaded, later, later) != at(uploaded, uploaded, uploaded) || at(time.Time{}, uploaded, later) != at(uploaded, later, later) ||
		at(time.Time{}, time.Time{}, uploaded) != at(uploaded, later, later) || at(uploaded, later, later) == at(later, later, later) {
		t.Error("the run does not follow from when the upload happened")
	}
}

func TestUploadFromS3(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	body := leftPad("1.0.0")
	bucket, err := blob.OpenS3(t.Context(), server.Config())
	if err != nil {
		t.Fatal(err)
	}
	if err := bucket.Create(t.Context(), "npm/left-pad.tgz", bytes.NewReader(body), int64(len(body))); err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	s, err := New(Config{MaxSize: 1 << 20, FetchBuckets: []string{storetest.Bucket}}, server.Config(), b.bus, b.store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.backoff = b.service.backoff
	b.service = s
	b.run()
	b.publish(&event.Upload{Registry: "r", ID: "1", Name: "n", URL: "s3://" + storetest.Bucket + "/npm/left-pad.tgz", Digest: digest.Of(body)})
	bustest.Eventually(t, "an artifact", func() bool { return len(b.artifacts()) > 0 })
	if a := b.artifact(body); a.PURL != leftPadPURL+"1.0.0" || a.Source != "s3://assize/npm/left-pad.tgz" || a.Filename != "left-pad.tgz" {
		t.Errorf("event: %+v", a)
	}
	b.publish(&event.Upload{Registry: "r", ID: "2", Name: "n", URL: "s3://" + storetest.Bucket + "/absent"})
	b.publish(&event.Upload{Registry: "r", ID: "3", Name: "n", URL: "s3://" + storetest.Bucket + "/a/../b"})
	for _, d := range b.deadLetters(2) {
		if d.Attempts != 1 && !strings.Contains(d.Reason, "not found") {
			t.Errorf("%+v", d)
		}
	}

	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, _, err := s.fetch.open(ctx, "s3://"+storetest.Bucket+"/npm/left-pad.tgz"); !unavailable(err) {
		t.Errorf("a dead server: %v", err)
	}
}

// Receive is what "assize check" calls: the same without HTTP.
func TestReceive(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.MaxSize = 10 })
	order := func() *event.Artifact {
		return &event.Artifact{Run: derivedRun(uploaded, "x"), Lane: event.LaneNew, Registry: "r", Name: "n", Filename: "n", Received: uploaded}
	}
	for range 2 {
		if _, err := b.service.Receive(t.Context(), strings.NewReader("hello"), order()); err != nil {
			t.Fatal(err)
		}
	}
	b.artifact([]byte("hello"))
	broken := order()
	broken.Name = ""
	if _, err := b.service.Receive(t.Context(), strings.NewReader("x"), broken); err == nil {
		t.Error("an order without a name was taken")
	}
	if _, err := b.service.Receive(t.Context(), strings.NewReader("x1234567890"), order()); err == nil {
		t.Error("eleven bytes were taken where ten is the limit")
	}
	b.artifact([]byte("hello"))
}

func TestPermitted(t *testing.T) {
	f, err := newFetcher(Config{FetchHosts: []string{"plain.example", " Port.example:8443", "*.wild.example", "tls.example:443", "[::1]:9000", "*.p.example:81"}}, blob.S3Config{})
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]bool{
		"https://plain.example/x": true, "http://plain.example": true, "http://PLAIN.example:80/": true, "https://plain.example:443/": true,
		"https://plain.example:8443/": false, "https://plain.example:80/": false, "https://plain.example./": false, "https://xplain.example/": false,
		"https://plain.example.evil.example/": false, "https://plain.example@evil.example/": false, "https://evil.example/plain.example": false,
		"https://port.example:8443/": true, "https://port.example/": false,
		"https://a.wild.example/": true, "https://a.b.wild.example/": true, "https://wild.example/": false, "https://awild.example/": false,
		"https://a.wild.example:444/": false, "https://wild.example.evil.example/": false, "https://a\u3002wild.example/": false,
		"https://\u24d0.wild.example/": false,
		"https://tls.example/":         true, "http://tls.example/": false, "https://tls.example:443/": true,
		"http://[::1]:9000/": true, "http://[::1]/": false, "http://[::1:9000]/": false, "http://127.0.0.1/": false, "http://169.254.169.254/latest": false,
		"http://a.p.example:81/": true, "http://a.p.example/": false,
		"ftp://plain.example/": false, "file:///etc/passwd": false, "gopher://plain.example/": false, "//plain.example/": false,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if got := f.permitted(u); (got == nil) != want {
			t.Errorf("%s: %v, want permitted: %v", raw, got, want)
		}
	}
	r := &http.Request{URL: &url.URL{Scheme: "http", Host: "plain.example"}, Header: http.Header{"Referer": {"x"}}}
	before := []*http.Request{{URL: &url.URL{Scheme: "https", Host: "plain.example"}}}
	if f.redirect(r, before) == nil {
		t.Error("a redirect from https to http was followed")
	}
	before[0].URL.Scheme = "http"
	if err := f.redirect(r, before); err != nil || r.Header.Get("Referer") != "" {
		t.Errorf("redirect: %v, %v", err, r.Header)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, host := range []string{"", "http://x", "a@b", "*", "*.", "a.*.b", "*.*.b", "x/y", ":80", "*.:80"} {
		if _, err := New(Config{MaxSize: 1, FetchHosts: []string{host}}, blob.S3Config{}, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "ASSIZE_FETCH_HOSTS") {
			t.Errorf("%q: %v", host, err)
		}
	}
	for _, size := range []int64{0, -1} {
		if _, err := New(Config{MaxSize: size}, blob.S3Config{}, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "ASSIZE_MAX_ARTIFACT") {
			t.Errorf("%d: %v", size, err)
		}
	}
}
