package blob_test

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"assize.dev/shared/blob"
	"assize.dev/shared/blob/storetest"
)

// proxy stands before the real server, remembers requests and loses answers.
type proxy struct {
	*httptest.Server

	mu       sync.Mutex
	seen     []request
	toLose   map[string]int // by method
	losses   int
	truncate int64
}

type request struct {
	method, query string
	header        http.Header
}

func startProxy(t *testing.T, server *storetest.Endpoint) *proxy {
	t.Helper()
	p := newProxy(t, server)
	p.Start()
	t.Cleanup(p.Close)
	return p
}

func newProxy(t *testing.T, server *storetest.Endpoint) *proxy {
	t.Helper()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{toLose: map[string]int{}}
	forward := &httputil.ReverseProxy{
		// The host is signed, so it is passed on as it came.
		Rewrite:        func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host },
		ModifyResponse: p.modify,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.seen = append(p.seen, request{r.Method, r.URL.RawQuery, r.Header.Clone()})
		p.mu.Unlock()
		forward.ServeHTTP(w, r)
	}))
	return p
}

func (p *proxy) modify(answer *http.Response) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	method := answer.Request.Method
	if p.toLose[method] > 0 {
		p.toLose[method]--
		p.losses++
		return http.ErrAbortHandler
	}
	if method == http.MethodGet && p.truncate > 0 {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, p.truncate), answer.Body}
	}
	return nil
}

// loseAnswers makes the next n answers to method end in a broken connection.
func (p *proxy) loseAnswers(method string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.toLose[method], p.losses = n, 0
}

func (p *proxy) lost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.losses
}

// truncateAnswers breaks the connection after n bytes of each GET.
func (p *proxy) truncateAnswers(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.truncate = n
}

func (p *proxy) requests() []request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

func testS3TLS(t *testing.T, server *storetest.Endpoint) {
	p := newProxy(t, server)
	p.StartTLS()
	t.Cleanup(p.Close)
	config := throughProxy(server, p)
	if _, err := blob.OpenS3(t.Context(), config); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate nobody vouches for: %v", err)
	}
	config.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	if err := os.WriteFile(config.CAFile, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	config.Endpoint, config.TLS = strings.TrimPrefix(config.Endpoint, "https://"), true
	create(t, openS3(t, config), "tls/object", "content")
}
