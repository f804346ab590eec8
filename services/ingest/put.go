package ingest

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Pattern is where Handler belongs.
const Pattern = "/v1/artifacts/"

// Accepted is the answer to a PUT.
type Accepted struct {
	Run    string        `json:"run"`
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"`
	Format string        `json:"format"`
	PURL   string        `json:"purl,omitempty"`
}

// Handler serves
//
//	PUT /v1/artifacts/<registry>/<name>[/<version>]
//
// with the artifact as the body. Path segments are percent-encoded. It
// answers 202 and Accepted once the bytes are stored and the examination is
// ordered; before that, nothing is ordered. Headers:
//
//	Authorization: Bearer <token>
//	Idempotency-Key: <text>            repeating a PUT with it is one upload
//	Content-Digest: sha-256=:<base64>: refuse other bytes (RFC 9530); or sha-512
//	Assize-Filename: <name>            in UTF-8; defaults to the name
//	Assize-Signature: <file name>=<base64>  a signature beside the artifact, its
//	                                   name percent-encoded; repeatable; what
//	                                   comes in a PUT of its own is none
//	Assize-Tag: <word>                 by which policies may select; repeatable
//
// Errors are {"error": text}: 400, 401, 408 for a body that comes too slowly,
// 409 for a key used for another upload, 413, 415 for an encoded body, and
// 503 with Retry-After when the store or stream cannot take more.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT "+Pattern+"{registry}/{name}", s.put)
	mux.HandleFunc("PUT "+Pattern+"{registry}/{name}/{version}", s.put)
	return mux
}

func (s *Service) put(w http.ResponseWriter, r *http.Request) {
	accepted, err := s.receive(w, r)
	if err == nil {
		writeJSON(w, http.StatusAccepted, accepted)
		return
	}
	status, text := statusOf(err), err.Error()
	var no refusal
	if status >= 500 && !errors.As(err, &no) {
		// What ails our own servers is the operator's to know.
		s.log.WarnContext(r.Context(), "upload not taken", "path", r.URL.Path, "error", err)
		text = "the artifact could not be taken: try again later"
	}
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, status, map[string]string{"error": text})
}

// refusal is an error that is the caller's to mend.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

func statusOf(err error) int {
	var no refusal
	switch {
	case errors.As(err, &no):
		return no.status
	case errors.Is(err, blob.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, event.ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, bus.ErrUnavailable):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func (s *Service) receive(w http.ResponseWriter, r *http.Request) (*Accepted, error) {
	// Also bounds how long the server waits for the rest of a body that is
	// refused. An error means that there is no connection to wait on.
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(s.pace.patience))
	if err := s.authorize(r); err != nil {
		return nil, err
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return nil, refusal{http.StatusServiceUnavailable, "too many artifacts are being received: try again later"}
	}
	a, want, key, err := s.headers(r)
	if err != nil {
		return nil, err
	}
	bytes, err := s.spool(r, connection)
	if err != nil {
		return nil, fmt.Errorf("receive %s: %w", a.Name, err)
	}
	defer bytes.Close()
	if err := want.check(bytes); err != nil {
		return nil, err
	}
	if key != "" {
		if err := s.rememberRun(r.Context(), key, a, bytes.Digest); err != nil {
			return nil, err
		}
	}
	if a, err = s.announce(r.Context(), bytes, a); err != nil {
		return nil, err
	}
	return &Accepted{Run: a.Run, Digest: a.Digest, Size: a.Size, Format: a.Format, PURL: a.PURL}, nil
}

// headers refuses what can be refused before the body is asked for, so that
// a client that sent "Expect: 100-continue" does not send it in vain.
func (s *Service) headers(r *http.Request) (a *event.Artifact, want announced, key string, err error) {
	if a, err = orderOf(r); err != nil {
		return nil, want, "", err
	}
	if want, err = announcedDigest(r.Header); err != nil {
		return nil, want, "", err
	}
	if key = r.Header.Get("Idempotency-Key"); len(key) > event.MaxName {
		return nil, want, "", badRequest("Idempotency-Key: %d bytes, at most %d", len(key), event.MaxName)
	}
	if r.Header.Get("Content-Range") != "" { // RFC 9110 section 14.4
		return nil, want, "", badRequest("Content-Range: an artifact is taken whole or not at all")
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, want, "", refusal{http.StatusUnsupportedMediaType, "Content-Encoding: send the artifact as it is"}
	}
	if r.ContentLength > s.config.MaxSize {
		return nil, want, "", fmt.Errorf("%w: %d bytes, the limit is %d (ASSIZE_MAX_ARTIFACT)", blob.ErrTooLarge, r.ContentLength, s.config.MaxSize)
	}
	return a, want, key, nil
}

// spool reads the body. What goes wrong with it is the client's fault, what
// goes wrong with the spool file ours.
func (s *Service) spool(r *http.Request, connection *http.ResponseController) (*blob.Spooled, error) {
	body := s.pace.read(r.Body, func(t time.Time) { _ = connection.SetReadDeadline(t) })
	bytes, err := blob.Spool(r.Context(), "", body, s.config.MaxSize)
	switch {
	case err == nil:
		// The server now watches the connection for its end, for as long
		// as storing takes.
		_ = connection.SetReadDeadline(time.Time{})
		return bytes, nil
	case errors.Is(err, blob.ErrTooLarge):
		return nil, fmt.Errorf("%w (ASSIZE_MAX_ARTIFACT)", err)
	case errors.Is(body.err, os.ErrDeadlineExceeded):
		return nil, refusal{http.StatusRequestTimeout, fmt.Sprintf("%v: %d bytes came", errTooSlow, body.n)}
	case body.err != nil:
		return nil, badRequest("the body broke off after %d bytes: %v", body.n, body.err)
	}
	return nil, bus.Unavailable(err)
}

// authorize compares the token in constant time. Without a token the service
// serves its own machine only.
func (s *Service) authorize(r *http.Request) error {
	if token := s.config.Token.Reveal(); token != "" {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare([]byte(strings.TrimSpace(given)), []byte(token)) != 1 {
			return refusal{http.StatusUnauthorized, "missing or wrong bearer token: send Authorization: Bearer with the value of ASSIZE_INGEST_TOKEN"}
		}
		return nil
	}
	if !fromThisMachine(r) {
		return refusal{http.StatusUnauthorized, "no token is configured, so only this machine may upload: set ASSIZE_INGEST_TOKEN"}
	}
	return nil
}

// fromThisMachine also refuses what only passes through this machine: what a
// proxy forwards, and what a browser sends for a web page whose name was
// made to lead here (DNS rebinding), which still says that name in Host.
func fromThisMachine(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	if r.Header.Get("Forwarded") != "" || r.Header.Get("X-Forwarded-For") != "" {
		return false
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}
