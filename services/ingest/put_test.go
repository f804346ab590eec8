package ingest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

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
	b := newBench(t)
	body := leftPad("1.3.0")
	short, long := sums(body)
	got := b.put("/v1/artifacts/npm.prod/%40acme%2Fleft-pad/1.3.0", bytes.NewReader(body),
		"Content-Type", "application/octet-stream", "Content-Digest", short, "Content-Digest", "unixsum=:AAAA:, "+long+";q=1",
		"Assize-Filename", "left-pad-1.3.0.tgz", "Assize-Signature", "left-pad%3D1.3.0.tgz.sig="+b64([]byte("sig")),
		"Assize-Signature", "left-pad.tgz.asc="+b64([]byte("asc")))
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
	if subject := b.messages(bus.Events)[0].Subject; subject != "assize.artifact.new.npm%2Eprod."+a.Run {
		t.Errorf("subject %s", subject)
	}
}

// What the bytes tell fills in what the client leaves out, and names that
// are no file names do not become any.
func TestPutWithoutHeaders(t *testing.T) {
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

// A refused PUT is answered before its body is asked for.
func TestPutExpectContinue(t *testing.T) {
	b := newBench(t)
	answer := b.speak("Authorization: Bearer no\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n", nil)
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("%s", answer.Status)
	}
	answer = b.speak("Authorization: Bearer "+token+"\r\nExpect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n", nil)
	if answer.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%s", answer.Status)
	}
}

// speak sends the header of a PUT and what then does, and reads the answer.
func (b *bench) speak(header string, then func(net.Conn)) *http.Response {
	b.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	if _, err := fmt.Fprintf(c, "PUT /v1/artifacts/r/n HTTP/1.1\r\nHost: x\r\n%s", header); err != nil {
		b.t.Fatal(err)
	}
	if then != nil {
		then(c)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer
}

// A body that breaks off, lies about its length or trickles leaves nothing.
func TestPutBrokenBody(t *testing.T) {
	b := newBench(t)
	b.service.pace = pace{patience: 300 * time.Millisecond, slowest: 1 << 30}
	bearer := "Authorization: Bearer " + token + "\r\nIdempotency-Key: k\r\n"
	for name, c := range map[string]struct {
		header, body string
		closeWrite   bool
		status       int
	}{
		"shorter than announced": {"Content-Length: 10\r\n\r\n", "hello", true, 400},
		"broken chunk":           {"Transfer-Encoding: chunked\r\n\r\n", "5\r\nhelloXX", true, 400},
		"no last chunk":          {"Transfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", true, 400},
		"silent":                 {"Content-Length: 10\r\n\r\n", "hello", false, 408},
	} {
		answer := b.speak(bearer+c.header, func(conn net.Conn) {
			_, _ = io.WriteString(conn, c.body)
			if c.closeWrite {
				_ = conn.(*net.TCPConn).CloseWrite()
			}
		})
		if answer.StatusCode != c.status {
			t.Errorf("%s: %s, want %d", name, answer.Status, c.status)
		}
	}
	b.nothing()

	// And one that vanishes altogether.
	c, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "PUT /v1/artifacts/r/n HTTP/1.1\r\nHost: x\r\n%sContent-Length: 10\r\n\r\nhello", bearer)
	bustest.Eventually(t, "the PUT is at work", func() bool { return len(b.service.slots) == 1 })
	_ = c.Close()
	bustest.Eventually(t, "the PUT is given up", func() bool { return len(b.service.slots) == 0 })
	b.nothing()
}

// A client may take longer than the patience if it keeps the pace, and the
// deadline for its bytes does not end what comes after them.
func TestPutSlowButSteady(t *testing.T) {
	b := newBench(t)
	b.service.pace = pace{patience: 100 * time.Millisecond, slowest: 2}
	answer := b.speak("Authorization: Bearer "+token+"\r\nContent-Length: 4\r\n\r\n", func(c net.Conn) {
		for _, one := range "slow" {
			_, _ = io.WriteString(c, string(one))
			time.Sleep(60 * time.Millisecond)
		}
	})
	if answer.StatusCode != http.StatusAccepted {
		t.Errorf("%s", answer.Status)
	}
	b.artifact([]byte("slow"))
}

func TestPutTooMany(t *testing.T) {
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

func TestPutIdempotencyKey(t *testing.T) {
	b := newBench(t)
	body := leftPad("1.0.0")
	answers := make(chan answer, 8)
	for range cap(answers) {
		go func() { answers <- b.put("/v1/artifacts/r/n", bytes.NewReader(body), "Idempotency-Key", "k") }()
	}
	runs := map[string]bool{}
	for range cap(answers) {
		a := <-answers
		if a.status != http.StatusAccepted || a.PURL != leftPadPURL+"1.0.0" {
			t.Errorf("%+v", a)
		}
		runs[a.Run] = true
	}
	if a := b.artifact(body); len(runs) != 1 || !runs[a.Run] {
		t.Errorf("runs %v, on the stream %s", runs, a.Run)
	}

	if got := b.put("/v1/artifacts/r/n", strings.NewReader("other"), "Idempotency-Key", "k"); got.status != http.StatusConflict {
		t.Errorf("key for other bytes: %d %s", got.status, got.Error)
	}
	if got := b.put("/v1/artifacts/r/n", bytes.NewReader(body), "Idempotency-Key", "k", "Assize-Signature", "n.sig=AAAA"); got.status != http.StatusConflict {
		t.Errorf("key for other signatures: %d %s", got.status, got.Error)
	}
	if n := len(b.artifacts()); n != 1 {
		t.Errorf("%d artifacts", n)
	}
	// Another name, another key space; and no key, no memory.
	for i, path := range []string{"/v1/artifacts/r/n/1", "/v1/artifacts/r2/n", "/v1/artifacts/r/n%2F1"} {
		if got := b.put(path, bytes.NewReader(body), "Idempotency-Key", "k"); got.status != http.StatusAccepted || runs[got.Run] || len(b.artifacts()) != i+2 {
			t.Errorf("%s: %+v", path, got)
		}
	}
	first, second := b.put("/v1/artifacts/r/n", bytes.NewReader(body)), b.put("/v1/artifacts/r/n", bytes.NewReader(body))
	if first.Run == second.Run || slices.Contains([]string{first.Run, second.Run}, "") {
		t.Errorf("%+v and %+v", first, second)
	}
}

// A process that died after it bound the key, or after it stored the bytes,
// is continued: the run is the one it chose.
func TestPutAfterCrash(t *testing.T) {
	b := newBench(t)
	r := httptest.NewRequest(http.MethodPut, "/v1/artifacts/r/n", nil)
	r.SetPathValue("registry", "r")
	r.SetPathValue("name", "n")
	a, err := orderOf(r)
	if err != nil {
		t.Fatal(err)
	}
	chosen := a.Run
	if err := b.service.rememberRun(t.Context(), "k", a, digest.Of([]byte("x"))); err != nil {
		t.Fatal(err)
	}
	got := b.put("/v1/artifacts/r/n", strings.NewReader("x"), "Idempotency-Key", "k")
	if got.Run != chosen || b.artifact([]byte("x")).Run != chosen {
		t.Errorf("%+v, want run %s", got, chosen)
	}
}

// A damaged memory of a key is not taken for a run.
func TestPutDamagedMemory(t *testing.T) {
	b := newBench(t)
	damaged := `{"run":"../../x","digest":"` + string(digest.Of([]byte("x"))) + `"}`
	if err := b.store.Create(t.Context(), keyObject(&event.Artifact{Registry: "r", Name: "n"}, "k"), strings.NewReader(damaged), int64(len(damaged))); err != nil {
		t.Fatal(err)
	}
	if got := b.put("/v1/artifacts/r/n", strings.NewReader("x"), "Idempotency-Key", "k"); got.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", got.status, got.Error)
	}
	if n := len(b.artifacts()); n != 0 {
		t.Errorf("%d artifacts", n)
	}
}
