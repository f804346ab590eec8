package ingest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// refused is an upload that must become a dead letter.
type refused struct {
	serve  http.HandlerFunc
	change func(*event.Upload)
	asked  int // how often the registry must be asked for it; -1: see below
	says   string
}

func refusedUploads(other string) map[string]refused {
	body, huge := []byte("hello"), bytes.Repeat([]byte("x"), 2000)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	at := func(url string) func(*event.Upload) { return func(u *event.Upload) { u.URL = url } }
	return map[string]refused{
		"other digest":        {serveBytes(body), func(u *event.Upload) { u.Digest = digest.Of(huge) }, 1, string(digest.Of(huge))},
		"other size":          {serveBytes(body), func(u *event.Upload) { u.Size = 6 }, 1, "holds 5 bytes, but 6 were announced"},
		"not found":           {http.NotFound, nil, fetchAttempts, "404 Not Found"},
		"forbidden":           {status(http.StatusForbidden), nil, fetchAttempts, "403 Forbidden"},
		"not implemented":     {status(http.StatusNotImplemented), nil, fetchAttempts, "501 Not Implemented"},
		"no content":          {status(http.StatusNoContent), nil, fetchAttempts, "204"},
		"too large":           {serveBytes(huge), nil, 1, "ASSIZE_MAX_ARTIFACT"},
		"announced too large": {serveBytes(body), func(u *event.Upload) { u.Size = 1001 }, 0, "ASSIZE_MAX_ARTIFACT"},
		"too large, unsaid": {func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = w.Write(huge)
		}, nil, 1, "ASSIZE_MAX_ARTIFACT"},
		"shorter than it says": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write(body)
		}, nil, fetchAttempts, "unexpected EOF"},
		// The client itself asks again when a kept connection breaks.
		"broken connection":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, -1, "EOF"},
		"redirect elsewhere": {redirect(other), nil, 1, "ASSIZE_FETCH_HOSTS"},
		"redirect to a file": {redirect("file:///etc/passwd"), nil, 1, `scheme "file"`},
		"redirect for ever":  {redirect("n"), nil, 5 * fetchAttempts, "redirects"},
		"host not permitted": {nil, at(other + "/n"), 0, "ASSIZE_FETCH_HOSTS"},
		"other bucket":       {nil, at("s3://bucket/n"), 0, "ASSIZE_FETCH_BUCKETS"},
		"no use as a name":   {http.NotFound, func(u *event.Upload) { u.URL = strings.Replace(u.URL, "/n?", "/%FF?", 1) }, fetchAttempts, "404"},
	}
}

// What cannot be had is a dead letter that says why, after as many attempts
// as make sense; nothing is stored, and no secret of a URL is told.
func TestUploadBecomesDeadLetter(t *testing.T) {
	t.Parallel()
	other, _, otherAsked := registry(t, serveBytes([]byte("hello")))
	cases := refusedUploads(other)
	var mu sync.Mutex
	asked := map[string]int{}
	address, host, _ := registry(t, func(w http.ResponseWriter, r *http.Request) {
		name := strings.Split(r.URL.Path, "/")[1]
		mu.Lock()
		asked[name]++
		mu.Unlock()
		cases[name].serve(w, r)
	})
	b := newBench(t, from(host), func(c *Config) { c.MaxSize, c.Workers = 1000, 4 })
	secret := strings.Repeat("q", 20)
	for name, c := range cases {
		u := &event.Upload{Registry: "r", ID: name, Name: "n",
			URL: strings.Replace(address, "//", "//ann:"+secret+"@", 1) + "/" + strings.ReplaceAll(name, " ", "%20") + "/n?sig=" + secret}
		if c.change != nil {
			c.change(u)
		}
		b.publish(u)
	}
	b.run()
	for _, d := range b.deadLetters(len(cases)) {
		var u event.Upload
		if err := json.Unmarshal(d.Data, &u); err != nil {
			t.Fatal(err)
		}
		c := cases[u.ID]
		if !strings.Contains(d.Reason, c.says) || strings.Contains(d.Reason, secret) {
			t.Errorf("%s: reason %q, want %q", u.ID, d.Reason, c.says)
		}
		mu.Lock()
		got := asked[u.ID]
		mu.Unlock()
		if got != c.asked && (c.asked >= 0 || got < fetchAttempts) {
			t.Errorf("%s: the registry was asked %d times, want %d", u.ID, got, c.asked)
		}
	}
	if n := otherAsked.Load(); n != 0 {
		t.Errorf("the registry that is not permitted was asked %d times", n)
	}
	if strings.Contains(b.log.String(), secret) {
		t.Error("the log tells the URLs' secrets")
	}
	b.nothing()
}

// A registry that trickles or falls silent does not hold a worker.
func TestUploadTooSlow(t *testing.T) {
	t.Parallel()
	address, host, _ := registry(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("h"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	b := newBench(t, from(host))
	b.service.pace = pace{patience: 100 * time.Millisecond, slowest: 1000}
	b.run()
	b.publish(&event.Upload{Registry: "r", ID: "1", Name: "n", URL: address + "/n"})
	if d := b.deadLetters(1)[0]; !strings.Contains(d.Reason, errTooSlow.Error()) || d.Attempts != fetchAttempts {
		t.Errorf("%d attempts, %s", d.Attempts, d.Reason)
	}
	b.nothing()
}
