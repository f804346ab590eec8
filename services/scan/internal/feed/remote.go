package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"assize.dev/shared/blob"
)

// remote is a mirror of the OSV export, or a single file, over HTTP, which is
// also how a bucket is read.
type remote struct {
	base   *url.URL
	client *http.Client
	pause  time.Duration // before the first new try; doubled each time
}

// Bounds of a download.
const (
	maxZip     = 8 << 30
	maxList    = 1 << 30 // bytes of modified_id.csv
	tries      = 4
	maxHops    = 5
	idle       = time.Minute // without a byte
	maxMessage = 200
)

// newRemote checks an address, of a web server or of a bucket. Plain http is
// taken for this machine only: who can change an advisory on its way can hide
// a flaw.
func newRemote(address string, bucket blob.S3Config) (*remote, error) {
	base, transport, err := locate(address, bucket)
	if err != nil {
		return nil, err
	}
	if err := secure(base); err != nil {
		return nil, err
	}
	return &remote{base: base, pause: time.Second, client: &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) >= maxHops {
			return fmt.Errorf("more than %d redirects", maxHops)
		}
		return secure(r.URL)
	}}}, nil
}

func locate(address string, bucket blob.S3Config) (*url.URL, http.RoundTripper, error) {
	if !strings.HasPrefix(address, "s3://") {
		base, err := url.Parse(address)
		if err != nil {
			return nil, nil, errors.New("malformed address") // the error quotes it, and it may hold a password
		}
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = time.Minute
		return base, transport, nil
	}
	config, err := bucket.At(address)
	if err != nil {
		return nil, nil, err
	}
	return config.HTTP()
}

func secure(u *url.URL) error {
	switch {
	case u.Host == "":
		return errors.New("no host")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"):
		return nil
	case u.Scheme == "http":
		return errors.New("plain http is only taken from this machine: use https, or a directory")
	}
	return fmt.Errorf("scheme %.20q: want https, s3, or a directory", u.Scheme)
}

func (r *remote) at(path ...string) *url.URL {
	if len(path) == 0 {
		return r.base
	}
	return r.base.JoinPath(path...)
}

// errUnchanged says that the server has the version that is known by its tag.
var errUnchanged = errors.New("not changed")

// answerError is an answer other than 200.
type answerError struct {
	code int
	text string
}

func (e *answerError) Error() string { return "the server answers " + e.text }

// get fetches to a writer, at most limit bytes, and tries again what may
// pass. to is emptied before each try. It returns the server's tag for what
// it sent.
func (r *remote) get(ctx context.Context, u *url.URL, tag string, limit int64, to *os.File) (newTag string, err error) {
	pause := r.pause
	for try := 1; ; try++ {
		newTag, err = r.once(ctx, u, tag, limit, to)
		var answer *answerError
		if err == nil || ctx.Err() != nil || errors.Is(err, errUnchanged) || errors.Is(err, errTooLarge) || errors.As(err, &answer) && answer.code < 500 && answer.code != 429 || try == tries {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause *= 2
	}
	if err != nil && !errors.Is(err, errUnchanged) {
		err = fmt.Errorf("get %s: %w", u.Redacted(), withoutURL(err))
	}
	return newTag, err
}

var errTooLarge = errors.New("too large")

func (r *remote) once(ctx context.Context, u *url.URL, tag string, limit int64, to *os.File) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(idle, func() { cancel(fmt.Errorf("nothing came for %s", idle)) })
	defer stalled.Stop()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("User-Agent", "assize-advisories")
	if tag != "" {
		request.Header.Set("If-None-Match", tag)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return "", causeOr(ctx, err)
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotModified && tag != "":
		return tag, errUnchanged
	case response.StatusCode != http.StatusOK:
		return "", &answerError{response.StatusCode, cutTo(response.Status, maxMessage)}
	case response.ContentLength > limit:
		return "", fmt.Errorf("%w: %d bytes, at most %d", errTooLarge, response.ContentLength, limit)
	}
	if _, err := to.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	if err := to.Truncate(0); err != nil {
		return "", err
	}
	n, err := io.Copy(to, io.LimitReader(&moving{response.Body, stalled}, limit+1))
	switch {
	case err != nil:
		return "", causeOr(ctx, err)
	case n > limit:
		return "", fmt.Errorf("%w: more than %d bytes", errTooLarge, limit)
	}
	_, err = to.Seek(0, io.SeekStart)
	return response.Header.Get("ETag"), err
}

// moving puts off a timer with every byte that comes.
type moving struct {
	io.Reader
	timer *time.Timer
}

func (m *moving) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	if n > 0 {
		m.timer.Reset(idle)
	}
	return n, err
}

func causeOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// withoutURL drops the address, credentials and all, that net/http puts into
// its errors.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

func cutTo(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
