package ingest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/event"
)

// download spools what is at the upload's URL. The error is blob.ErrTooLarge,
// permanent, an outage, or worth a few more attempts.
func (s *Service) download(ctx context.Context, u *event.Upload) (spooled *blob.Spooled, err error) {
	if u.Size > s.config.MaxSize {
		return nil, fmt.Errorf("%w: %d bytes are announced", blob.ErrTooLarge, u.Size)
	}
	err = s.get(ctx, u.URL, func(getting context.Context, body *sent, size int64) error {
		if size > s.config.MaxSize {
			return fmt.Errorf("%w: %d bytes", blob.ErrTooLarge, size)
		}
		var err error
		spooled, err = blob.Spool(getting, "", body, s.config.MaxSize)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, blob.ErrTooLarge), body.err != nil, getting.Err() != nil:
			return fmt.Errorf("after %d bytes: %w", body.n, err)
		}
		return bus.Unavailable(err) // our disk
	})
	return spooled, err
}

// get gives read the bytes at a URL and their number or -1. It ends them when
// they come too slowly, and read's context with them. Errors say what of,
// without the URL's secrets.
func (s *Service) get(ctx context.Context, raw string, read func(getting context.Context, body *sent, size int64) error) error {
	getting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clock := time.AfterFunc(s.pace.patience, func() { cancel(errTooSlow) })
	defer clock.Stop()

	object, size, err := s.fetch.open(getting, raw)
	if err == nil {
		defer object.Close()
		err = read(getting, s.pace.read(object, func(t time.Time) { clock.Reset(time.Until(t)) }), size)
	}
	if cause := context.Cause(getting); err != nil && errors.Is(cause, errTooSlow) && !errors.Is(err, errTooSlow) {
		err = errors.Join(cause, err) // the reader says only that it was cancelled
	}
	if err != nil {
		return fmt.Errorf("get %s: %w", withoutSecrets(raw), err)
	}
	return nil
}

// fetcher opens the URLs of uploads. An announcement is a stranger's word,
// so nothing is fetched but from where the operator said packages come from.
type fetcher struct {
	hosts     []string
	buckets   []string
	siblings  []string // suffixes to ask hosts for
	s3        blob.S3Config
	transport *http.Transport
	client    *http.Client

	mu     sync.Mutex
	stores map[string]*blob.S3 // by bucket, once opened
}

func newFetcher(c Config, s3 blob.S3Config) (*fetcher, error) {
	f := &fetcher{buckets: c.FetchBuckets, s3: s3, stores: map[string]*blob.S3{}}
	for _, h := range c.FetchHosts {
		h = strings.ToLower(strings.TrimSpace(h))
		name := strings.TrimPrefix(h, "*.")
		if name == "" || strings.ContainsAny(name, "/@*? ") || strings.HasPrefix(name, ".") || strings.HasPrefix(name, ":") {
			return nil, fmt.Errorf("ASSIZE_FETCH_HOSTS: %q: want a host, host:port or *.domain", h)
		}
		f.hosts = append(f.hosts, h)
	}
	var err error
	if f.siblings, err = siblingSuffixes(c.FetchSiblings); err != nil {
		return nil, err
	}
	f.transport = http.DefaultTransport.(*http.Transport).Clone()
	f.transport.ResponseHeaderTimeout = 30 * time.Second
	f.transport.MaxResponseHeaderBytes = 64 << 10
	f.transport.DisableCompression = true // the bytes as they are, or the digest is of something else
	// Not instrumented: spans would hold the query, where presigned URLs
	// keep their signature. The bus has a span for every upload.
	f.client = &http.Client{Transport: f.transport, CheckRedirect: f.redirect}
	return f, nil
}

func (f *fetcher) close() { f.transport.CloseIdleConnections() }

// open returns the bytes at an http, https or s3 URL, and their number or -1.
// What is not permitted stays so: the error is permanent. It ends with ctx.
func (f *fetcher) open(ctx context.Context, raw string) (io.ReadCloser, int64, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, 0, bus.Permanent(withoutURL(err))
	}
	if u.Scheme == "s3" {
		return f.openS3(ctx, u)
	}
	if err := f.permitted(u); err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, raw, nil)
	if err != nil {
		return nil, 0, bus.Permanent(withoutURL(err))
	}
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := f.client.Do(req)
	if err != nil {
		err = withoutURL(err)
		if unreachable(err) {
			err = bus.Unavailable(err)
		}
		return nil, 0, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, resp.ContentLength, nil
	}
	_ = resp.Body.Close() // nothing is expected of it
	err = &statusError{resp.StatusCode, resp.Status}
	switch code := resp.StatusCode; {
	case code == http.StatusNotImplemented || code == http.StatusHTTPVersionNotSupported:
	case code >= 500 || code == http.StatusTooManyRequests:
		err = bus.Unavailable(err)
	}
	return nil, 0, err // registries answer 404 before a fresh upload is visible: try again, but not for ever
}

// statusError is an answer that brings no bytes.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return fmt.Sprintf("the answer is %.80q", e.text) }

// unreachable tells a registry that is away from one that answers badly,
// which may be about this one upload.
func unreachable(err error) bool {
	var name *net.DNSError
	if errors.As(err, &name) {
		return !name.IsNotFound
	}
	var op *net.OpError
	var untrusted *tls.CertificateVerificationError
	return errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") || errors.As(err, &untrusted)
}

func (f *fetcher) openS3(ctx context.Context, u *url.URL) (io.ReadCloser, int64, error) {
	for _, bucket := range f.buckets {
		if strings.TrimSpace(bucket) != u.Host {
			continue
		}
		object, err := f.openObject(ctx, u.Host, strings.TrimPrefix(u.Path, "/"))
		switch {
		case errors.Is(err, blob.ErrKey):
			return nil, 0, bus.Permanent(err)
		case errors.Is(err, blob.ErrNotFound), ctx.Err() != nil && err != nil:
			return nil, 0, err
		case err != nil:
			return nil, 0, bus.Unavailable(err)
		}
		return object, object.Size(), nil
	}
	return nil, 0, bus.Permanent(fmt.Errorf("bucket %.80q is not one that uploads may come from: add it to ASSIZE_FETCH_BUCKETS", u.Host))
}

func (f *fetcher) openObject(ctx context.Context, bucket, key string) (blob.Object, error) {
	f.mu.Lock()
	store := f.stores[bucket]
	f.mu.Unlock()
	if store == nil {
		c := f.s3
		c.Bucket, c.Prefix, c.EnsureBucket = bucket, "", false
		var err error
		if store, err = blob.OpenS3(ctx, c); err != nil {
			return nil, err
		}
		f.mu.Lock()
		f.stores[bucket] = store // two at once: the later one stays
		f.mu.Unlock()
	}
	return store.OpenForeign(ctx, key)
}
