package ingest

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func sums(body []byte) (sha256Field, sha512Field string) {
	short, long := sha256.Sum256(body), sha512.Sum512(body)
	return "sha-256=:" + b64(short[:]) + ":", "sha-512=:" + b64(long[:]) + ":"
}

func TestPut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	body := leftPad("1.3.0")
	short, long := sums(body)
	got := b.put("/v1/artifacts/npm.prod/%40acme%2Fleft-pad/1.3.0", bytes.NewReader(body),
		"Content-Type", "application/octet-stream", "Content-Digest", short, "Content-Digest", "unixsum=:AAAA:, "+long+";q=1",
		"Assize-Filename", "left-pad-1.3.0.tgz", "Assize-Signature", "left-pad%3D1.3.0.tgz.sig="+b64([]byte("sig")),
		"Assize-Signature", "left-pad.tgz.asc="+b64([]byte("asc")), "Assize-Tag", "release", "Assize-Tag", "lts")
	a := b.artifact(body)
	if got.status != http.StatusAccepted || got.Run != a.Run || got.Digest != a.Digest || got.Size != a.Size || got.Format != "npm" || got.PURL != leftPadPURL+"1.3.0" {
		t.Errorf("answer %+v does not fit the event %+v", got, a)
	}
	sum := sha512.Sum512(body)
	if a.SHA512 != hex.EncodeToString(sum[:]) || a.Format != "npm" || a.PURL != got.PURL || a.Lane != event.LaneNew ||
		a.Registry != "npm.prod" || a.Name != "@acme/left-pad" || a.Version != "1.3.0" || a.Filename != "left-pad-1.3.0.tgz" ||
		a.MediaType != "application/octet-stream" || a.Received.IsZero() {
		t.Errorf("event: %+v", a)
	}
	if len(a.Signatures) != 2 || a.Signatures[0].Name != "left-pad=1.3.0.tgz.sig" || string(a.Signatures[0].Data) != "sig" || a.Signatures[1].Name != "left-pad.tgz.asc" {
		t.Errorf("signatures: %+v", a.Signatures)
	}
	if !slices.Equal(a.Tags, []string{"release", "lts"}) {
		t.Errorf("tags: %q", a.Tags)
	}
	if subject := b.messages(bus.Events)[0].Subject; subject != "assize.artifact.new.npm%2Eprod."+a.Run {
		t.Errorf("subject %s", subject)
	}
}

// As many signatures as may travel with an artifact, as large as they may be,
// under names as long as they may be.
func TestPutMostSignatures(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var header []string
	for i := range event.MaxSignatures {
		name := strings.Repeat("\xc3\xa9", event.MaxName/2-1) + fmt.Sprintf("%02d", i)
		header = append(header, "Assize-Signature", url.PathEscape(name)+"="+b64(bytes.Repeat([]byte{byte(i)}, event.MaxAttached/event.MaxSignatures)))
	}
	if got := b.put("/v1/artifacts/r/n", strings.NewReader("x"), header...); got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.Error)
	}
	a := b.artifact([]byte("x"))
	if len(a.Signatures) != event.MaxSignatures {
		t.Fatalf("%d signatures", len(a.Signatures))
	}
	for i, s := range a.Signatures {
		if len(s.Name) != event.MaxName || len(s.Data) != event.MaxAttached/event.MaxSignatures || s.Data[0] != byte(i) {
			t.Errorf("signature %d: %d bytes called %.20q", i, len(s.Data), s.Name)
		}
	}
}

// What the bytes tell fills in what the client leaves out, and names that
// are no file names do not become any.
func TestPutWithoutHeaders(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	body := leftPad("2.0.0")
	if got := b.put("/v1/artifacts/r/%2E%2E", bytes.NewReader(body)); got.status != http.StatusAccepted {
		t.Fatalf("%+v", got)
	}
	a := b.artifact(body)
	if a.Version != "2.0.0" || a.MediaType != "application/gzip" || a.Name != ".." || a.Filename != "artifact" {
		t.Errorf("event: %+v", a)
	}
}

// The longest registry name there may be still makes subjects that NATS takes.
func TestPutLongestRegistry(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	name := strings.Repeat("\xc3\xa9", event.MaxName/2)
	if got := b.put("/v1/artifacts/"+url.PathEscape(name)+"/"+url.PathEscape(name), strings.NewReader("x")); got.status != http.StatusAccepted {
		t.Fatalf("%d %s", got.status, got.Error)
	}
	if a := b.artifact([]byte("x")); a.Registry != name || a.Name != name {
		t.Errorf("event: %.80q", a.Registry)
	}
}

func TestPutRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.MaxSize = 1000 })
	body := []byte("hello")
	short, _ := sums([]byte("hullo"))
	_, long := sums([]byte("hullo"))
	many := []string{}
	for range event.MaxSignatures + 1 {
		many = append(many, "Assize-Signature", "x.sig="+b64([]byte("x")))
	}
	large := []string{"Assize-Signature", "x.sig=" + b64(make([]byte, event.MaxAttached+1))}
	huge := bytes.Repeat([]byte("x"), 1001)
	plain := func(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} } // no Content-Length
	for name, c := range map[string]struct {
		path   string
		body   io.Reader
		header []string
		status int
		says   string
	}{
		"no token":              {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Authorization", ""}, 401, "bearer token"},
		"wrong token":           {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Authorization", "Bearer " + token + "x"}, 401, "bearer token"},
		"other scheme":          {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Authorization", "Basic " + token}, 401, "bearer token"},
		"other bytes":           {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Content-Digest", short}, 400, string(digest.Of([]byte("hullo")))},
		"other bytes, SHA-512":  {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Content-Digest", long}, 400, "SHA-512"},
		"bad digest":            {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Content-Digest", "sha-256=:AAAA:"}, 400, "32 bytes"},
		"digest without colons": {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Content-Digest", strings.TrimSuffix(short, ":")}, 400, "between colons"},
		"unknown digest":        {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Content-Digest", "md5=:AAAA:"}, 400, "sha-512"},
		"too large":             {"/v1/artifacts/r/n", bytes.NewReader(huge), nil, 413, "ASSIZE_MAX_ARTIFACT"},
		"too large, unsaid":     {"/v1/artifacts/r/n", plain(huge), nil, 413, "ASSIZE_MAX_ARTIFACT"},
		"no base64":             {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Assize-Signature", "x.sig=!"}, 400, "base64"},
		"no signature name":     {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Assize-Signature", "=AAAA"}, 400, "signatures.name"},
		"bad signature name":    {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Assize-Signature", "%zz=AAAA"}, 400, "percent-encoded"},
		"no equals sign":        {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Assize-Signature", "AAAA"}, 400, "base64"},
		"many signatures":       {"/v1/artifacts/r/n", bytes.NewReader(body), many, 400, "signatures"},
		"large signatures":      {"/v1/artifacts/r/n", bytes.NewReader(body), large, 400, "signatures"},
		"file name":             {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Assize-Filename", "a/.."}, 400, "Assize-Filename"},
		"media type":            {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Content-Type", strings.Repeat("x", event.MaxName+1)}, 400, "Content-Type"},
		"long key":              {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Idempotency-Key", strings.Repeat("x", event.MaxName+1)}, 400, "Idempotency-Key"},
		"encoded":               {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Content-Encoding", "gzip"}, 415, "Content-Encoding"},
		"a part":                {"/v1/artifacts/r/n", bytes.NewReader(body), []string{"Content-Range", "bytes 0-4/10"}, 400, "Content-Range"},
		"long name":             {"/v1/artifacts/r/" + strings.Repeat("n", event.MaxName+1), bytes.NewReader(body), nil, 400, "name"},
		"name not UTF-8":        {"/v1/artifacts/r/%FF", bytes.NewReader(body), nil, 400, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			b.t = t
			got := b.put(c.path, c.body, c.header...)
			if got.status != c.status || !strings.Contains(got.Error, c.says) {
				t.Errorf("%d %q, want %d and %q", got.status, got.Error, c.status, c.says)
			}
			if c.status == 401 && got.header.Get("WWW-Authenticate") != "Bearer" {
				t.Error("401 without WWW-Authenticate")
			}
			if strings.Contains(got.Error, token) {
				t.Error("the answer tells the token")
			}
		})
	}
	b.t = t
	b.nothing()
	if got := b.put("/v1/artifacts/r/n", bytes.NewReader(huge[:1000]), "Authorization", "bearer  "+token); got.status != http.StatusAccepted {
		t.Errorf("as large as may be: %d %s", got.status, got.Error)
	}
}

// Without a token only this machine may PUT, and nothing that passes through
// it.
func TestPutWithoutToken(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Token = "" })
	for name, c := range map[string]struct {
		remote, host string
		header       http.Header
		status       int
	}{
		"loopback":      {"127.0.0.1:4000", "127.0.0.1:8080", nil, 202},
		"IPv6 loopback": {"[::1]:4000", "[::1]:8080", nil, 202},
		"mapped":        {"[::ffff:127.0.0.1]:4000", "localhost", nil, 202},
		"elsewhere":     {"192.0.2.7:4000", "127.0.0.1:8080", nil, 401},
		"no address":    {"@", "127.0.0.1:8080", nil, 401},
		"rebound name":  {"127.0.0.1:4000", "attacker.example:8080", nil, 401},
		"no host":       {"127.0.0.1:4000", "", nil, 401},
		"forwarded":     {"127.0.0.1:4000", "localhost:8080", http.Header{"X-Forwarded-For": {"192.0.2.7"}}, 401},
	} {
		r := httptest.NewRequest(http.MethodPut, "/v1/artifacts/r/n", strings.NewReader(name))
		r.RemoteAddr, r.Host = c.remote, c.host
		for k, v := range c.header {
			r.Header[k] = v
		}
		w := httptest.NewRecorder()
		b.service.Handler().ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.status)
		}
	}
}

func TestPutTooMany(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.MaxPuts = 1 })
	r, w := io.Pipe()
	first := make(chan answer)
	go func() { first <- b.put("/v1/artifacts/r/n", r) }()
	if _, err := w.Write([]byte("he")); err != nil {
		t.Fatal(err)
	}
	bustest.Eventually(t, "the first PUT is at work", func() bool { return len(b.service.slots) == 1 })
	if got := b.put("/v1/artifacts/r/n", strings.NewReader("x")); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("%d %v", got.status, got.header)
	}
	if _, err := w.Write([]byte("llo")); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if got := <-first; got.status != http.StatusAccepted {
		t.Errorf("%+v", got)
	}
	b.artifact([]byte("hello"))
}

// When the store is gone the client is told to come back, and not where the
// store was; nothing is ordered.
func TestPutStoreDown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := os.RemoveAll(b.storeDir); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"", "k"} {
		got := b.put("/v1/artifacts/r/n", strings.NewReader("x"), "Idempotency-Key", key)
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(got.Error, "again") {
			t.Errorf("%d %v %s", got.status, got.header, got.Error)
		}
	}
	if !strings.Contains(b.log.String(), "not taken") {
		t.Errorf("the log does not say why: %s", b.log)
	}
	if all := b.artifacts(); len(all) != 0 {
		t.Errorf("ordered: %+v", all)
	}
}

// A full stream takes nothing; once there is room, the same PUT goes through
// with the run it was bound to.
func TestPutStreamFull(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limit := func(bytes int64) {
		t.Helper()
		s, err := b.bus.JetStream().Stream(t.Context(), bus.Events)
		if err != nil {
			t.Fatal(err)
		}
		c := s.CachedInfo().Config
		c.MaxBytes = bytes
		if _, err := b.bus.JetStream().UpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	limit(1)
	got := b.put("/v1/artifacts/r/n", strings.NewReader("x"), "Idempotency-Key", "k")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Fatalf("%d %v %s", got.status, got.header, got.Error)
	}
	limit(1 << 20)
	got = b.put("/v1/artifacts/r/n", strings.NewReader("x"), "Idempotency-Key", "k")
	if a := b.artifact([]byte("x")); got.status != http.StatusAccepted || got.Run != a.Run {
		t.Errorf("%+v, but the event is %+v", got, a)
	}
}
