package ingest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"assize.dev/shared/blob"
	"assize.dev/shared/event"
)

// What is read of Content-Digest is a digest, or the caller's mistake.
func FuzzAnnouncedDigest(f *testing.F) {
	short, long := sums([]byte("x"))
	for _, s := range []string{"", short, long, short + ", " + long, long + ";a=1," + short, "sha-256=::", "sha-256", "sha-256=:" + strings.Repeat("A", 43) + "=", ",,;=:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		a, err := announcedDigest(http.Header{"Content-Digest": {header}})
		if err != nil {
			if statusOf(err) != http.StatusBadRequest || a != (announced{}) {
				t.Errorf("%q: %v, %+v", header, err, a)
			}
			return
		}
		if a == (announced{}) && strings.TrimSpace(header) != "" {
			t.Errorf("%q promises nothing, silently", header)
		}
		if a.sha256 != "" && len(a.sha256.Hex()) != 64 || a.sha512 != "" && len(a.sha512) != 128 {
			t.Errorf("%q: %+v", header, a)
		}
	})
}

// Whatever a client says in path and headers is an order that can be
// published, or its own mistake.
func FuzzOrder(f *testing.F) {
	f.Add("r", "n", "1", "text/plain", "a.tgz", "a.tgz.sig=AAAA")
	f.Add("", "..", "\x00", "\xff", "../..", "%zz=")
	f.Add("r", "@a/b", "", "", `C:\x\y.zip`, "=")
	f.Fuzz(func(t *testing.T, registry, name, version, mediaType, file, signature string) {
		r := httptest.NewRequest(http.MethodPut, "/", nil)
		r.SetPathValue("registry", registry)
		r.SetPathValue("name", name)
		r.SetPathValue("version", version)
		r.Header = http.Header{"Content-Type": {mediaType}, "Assize-Filename": {file}, "Assize-Signature": {signature}}
		a, err := orderOf(r)
		if err != nil {
			if statusOf(err) != http.StatusBadRequest {
				t.Errorf("%v is answered with %d", err, statusOf(err))
			}
			return
		}
		if err := checkOrder(a); err != nil || a.Registry != registry || a.Name != name || a.Version != version || len(a.Signatures) != 1 {
			t.Errorf("%+v: %v", a, err)
		}
	})
}

// The same as bytes on the wire, through server and routes: no panic, and
// nothing is our fault. What gets as far as the store needs none.
func FuzzPutRequest(f *testing.F) {
	f.Add("/v1/artifacts/r/n", "sha-256=:AAAA:", "k", "a=AAAA")
	f.Add("/v1/artifacts/%2e%2e/%00/%FF", "", "", "")
	f.Add("/v1/artifacts//n/../x", ",", strings.Repeat("k", 2000), "%")
	s, err := New(Config{Token: token, MaxSize: 1}, blob.S3Config{}, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	handler := s.Handler()
	f.Fuzz(func(t *testing.T, target, sum, key, signature string) {
		r := httptest.NewRequest(http.MethodPut, "/", strings.NewReader("too large"))
		u, err := r.URL.Parse(target)
		if err != nil {
			t.Skip()
		}
		r.URL = u
		r.Header.Set("Authorization", "Bearer "+token)
		for name, value := range map[string]string{"Content-Digest": sum, "Idempotency-Key": key, "Assize-Signature": signature} {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code < 300 || w.Code >= 500 {
			t.Errorf("PUT %q: %d %s", target, w.Code, w.Body)
		}
	})
}

func FuzzFilename(f *testing.F) {
	for _, s := range []string{"", ".", "..", "/", "a/..", `..\..`, `C:\a.zip`, "a.tgz", "\xff", "a\x00b", strings.Repeat("a", 2000)} {
		f.Add(s, "b")
		f.Add("", s)
	}
	f.Fuzz(func(t *testing.T, given, fallback string) {
		got := filename(given, fallback)
		if got == "" || got == "." || got == ".." || path.Base(got) != got || strings.ContainsAny(got, "\\/\x00") || !utf8.ValidString(got) || len(got) > event.MaxName {
			t.Errorf("filename(%q, %q) = %q", given, fallback, got)
		}
	})
}

// A derived run is a UUIDv7 that tells its time, and another upload's run is
// another.
func FuzzDerivedRun(f *testing.F) {
	f.Add(int64(0), "", "")
	f.Add(int64(-1), "r", "1")
	f.Add(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMilli(), "r.x", "\xff")
	f.Fuzz(func(t *testing.T, ms int64, registry, id string) {
		run := derivedRun(time.UnixMilli(ms), registry, id)
		parsed, err := uuid.Parse(run)
		if err != nil || event.ValidRun(run) != nil || parsed.Version() != 7 || parsed.Variant() != uuid.RFC4122 {
			t.Fatalf("%s: %v", run, err)
		}
		told := int64(0)
		for _, b := range parsed[:6] {
			told = told<<8 | int64(b)
		}
		if want := max(0, ms) & (1<<48 - 1); told != want {
			t.Errorf("%s tells %d, want %d", run, told, want)
		}
		if derivedRun(time.UnixMilli(ms), registry, id) != run || derivedRun(time.UnixMilli(ms), registry+"x", id) == run ||
			registry != "" && derivedRun(time.UnixMilli(ms), registry[:len(registry)-1], registry[len(registry)-1:]+id) == run {
			t.Errorf("%s is not about %q and %q alone", run, registry, id)
		}
	})
}
