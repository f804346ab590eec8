package ingest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"assize.dev/shared/bus"
)

// permitted refuses, permanently, every URL whose host the operator has not
// named. It judges redirects as well.
func (f *fetcher) permitted(u *url.URL) error {
	standard, ok := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	if !ok {
		return bus.Permanent(fmt.Errorf("scheme %.80q: want http, https or s3", u.Scheme))
	}
	host := strings.ToLower(u.Hostname())
	if strings.ContainsFunc(host, func(r rune) bool { return r > '~' }) {
		return bus.Permanent(fmt.Errorf("host %.80q: write it in ASCII (xn--…)", host))
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]" // IPv6, or its end would look like a port
	}
	port := u.Port()
	if port == "" {
		port = standard
	}
	for _, allowed := range f.hosts {
		if matches(host+":"+port, allowed) || port == standard && matches(host, allowed) {
			return nil
		}
	}
	return bus.Permanent(fmt.Errorf("host %.80q is not one that uploads may come from: add it to ASSIZE_FETCH_HOSTS", host+":"+port))
}

func matches(host, allowed string) bool {
	if suffix, ok := strings.CutPrefix(allowed, "*"); ok {
		return strings.HasSuffix(host, suffix)
	}
	return host == allowed
}

// redirect judges where a registry sends us.
func (f *fetcher) redirect(r *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return errors.New("more than 5 redirects")
	}
	if via[len(via)-1].URL.Scheme == "https" && r.URL.Scheme == "http" {
		return bus.Permanent(errors.New("redirected from https to http"))
	}
	r.Header.Del("Referer") // it would tell one registry another's presigned URL
	return f.permitted(r.URL)
}

// withoutSecrets is the URL as it may be logged: user info and the query,
// where presigned URLs keep their signature, are left out.
func withoutSecrets(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(malformed URL)"
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment, u.RawFragment = nil, "", false, "", ""
	return u.String()
}

// withoutURL unwraps the error that would repeat the whole URL.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

func urlPath(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Path
}
