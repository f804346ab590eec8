package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
)

// attached is what came with an artifact: name, an equals sign, the bytes.
func attached(a event.Artifact) string {
	var all []string
	for _, s := range a.Signatures {
		all = append(all, fmt.Sprintf("%s=%.20s", s.Name, s.Data))
	}
	return strings.Join(all, " ")
}

// settled waits until n uploads have become artifacts or dead letters, and
// returns the artifacts by name.
func (b *bench) settled(n int) map[string]event.Artifact {
	b.t.Helper()
	bustest.Eventually(b.t, "all uploads are settled", func() bool { return len(b.artifacts())+len(b.messages(bus.Dead)) >= n })
	byName := map[string]event.Artifact{}
	for _, a := range b.artifacts() {
		byName[a.Name] = a
	}
	return byName
}

// shelf is a registry that has files, behaves as told for some, and counts
// how often it was asked for each path, its query included.
type shelf struct {
	mu    sync.Mutex
	files map[string]string
	serve map[string]http.HandlerFunc
	asked map[string]int
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked[r.URL.RequestURI()]++
	file, ok := s.files[r.URL.Path]
	serve := s.serve[r.URL.Path]
	s.mu.Unlock()
	switch {
	case serve != nil:
		serve(w, r)
	case ok:
		_, _ = w.Write([]byte(file))
	default:
		http.NotFound(w, r)
	}
}

// put replaces a file; one without content is taken away.
func (s *shelf) put(path, content string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = content
	if content == "" {
		delete(s.files, path)
	}
}

func (s *shelf) requests() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.asked)
}

func beside(suffixes ...string) func(*Config) {
	return func(c *Config) { c.FetchSiblings = suffixes }
}

func statusOnly(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// at first lets the registry behave as first says, and then serves body.
func atFirst(times int, first http.HandlerFunc, body string) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		times--
		early := times >= 0
		mu.Unlock()
		if early {
			first(w, r)
			return
		}
		_, _ = w.Write([]byte(body))
	}
}

func TestSiblingsFromHosts(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", event.MaxAttached+1)
	broken := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("si"))
	}
	// Each upload is of /<name>/f, unless path says otherwise.
	cases := map[string]struct {
		files     map[string]string // by suffix
		serve     map[string]http.HandlerFunc
		path      string
		filename  string
		announced []event.Attached
		want      string
		asked     map[string]int // by suffix; nil: not checked
	}{
		"both":     {files: map[string]string{".asc": "a", ".sig": "s"}, want: "f.sig=s f.asc=a", asked: map[string]int{".sig": 1, ".asc": 1}},
		"none":     {asked: map[string]int{".sig": 1, ".asc": 1}},
		"other":    {files: map[string]string{".minisig": "m", ".sig.bak": "b", "sig": "x"}, asked: map[string]int{".sig": 1, ".asc": 1}},
		"empty":    {files: map[string]string{".sig": ""}, want: "f.sig="},
		"renamed":  {files: map[string]string{".sig": "s"}, filename: "pkg-1.0.tgz", want: "pkg-1.0.tgz.sig=s"},
		"hostile":  {files: map[string]string{".sig": "s"}, filename: "../../etc/x y\n.tgz", want: "x y\n.tgz.sig=s"},
		"escaped":  {files: map[string]string{".sig": "s"}, path: "/escaped%2Fa%20b/f", want: "f.sig=s", asked: map[string]int{".sig": 1, ".asc": 1}},
		"slash":    {files: map[string]string{".sig": "s"}, path: "/slash/f/", asked: map[string]int{}},
		"query":    {files: map[string]string{".sig": "s"}, path: "/query/f?X-Signature=0", asked: map[string]int{}},
		"fragment": {files: map[string]string{".sig": "s"}, path: "/fragment/f#a", want: "f.sig=s"},
		"no query": {files: map[string]string{".sig": "s"}, path: "/no%20query/f?", want: "f.sig=s"},
		"announced": {files: map[string]string{".sig": "sibling", ".asc": "a"}, announced: []event.Attached{{Name: "sigs/f.sig", Data: []byte("said")}},
			want: "sigs/f.sig=said f.asc=a", asked: map[string]int{".asc": 1}},
		"announced for another": {files: map[string]string{".sig": "s"}, announced: []event.Attached{{Name: "g.sig", Data: []byte("g")}}, want: "g.sig=g f.sig=s"},
		"forbidden":             {serve: map[string]http.HandlerFunc{".sig": statusOnly(403), ".asc": statusOnly(401)}, asked: map[string]int{".sig": 1, ".asc": 1}},
		"gone":                  {serve: map[string]http.HandlerFunc{".sig": statusOnly(410), ".asc": statusOnly(400)}, asked: map[string]int{".sig": 1, ".asc": 1}},
		"too large":             {files: map[string]string{".sig": large, ".asc": "a"}, want: "f.sig= f.asc=a"},
		"as large as may be":    {files: map[string]string{".sig": large[1:], ".asc": "a"}, want: "f.sig=" + large[:20] + " f.asc="},
		"too large with those announced": {files: map[string]string{".sig": large[2:], ".asc": "a"}, announced: []event.Attached{{Name: "f.p7s", Data: []byte("pp")}},
			want: "f.p7s=pp f.sig= f.asc=a"},
		"elsewhere, permitted": {files: map[string]string{".sig.real": "s"}, want: "f.sig=s",
			serve: map[string]http.HandlerFunc{".sig": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, r.URL.EscapedPath()+".real", http.StatusFound)
			}}},
		"outage":      {serve: map[string]http.HandlerFunc{".sig": atFirst(2*fetchAttempts, statusOnly(503), "s")}, want: "f.sig=s"},
		"busy":        {serve: map[string]http.HandlerFunc{".asc": atFirst(2*fetchAttempts, statusOnly(429), "a")}, want: "f.asc=a"},
		"breaks off":  {serve: map[string]http.HandlerFunc{".sig": atFirst(fetchAttempts-1, broken, "s")}, want: "f.sig=s"},
		"asked early": {serve: map[string]http.HandlerFunc{".sig": atFirst(1, statusOnly(425), "s")}, want: "f.sig=s"},
	}
	s := &shelf{files: map[string]string{}, serve: map[string]http.HandlerFunc{}, asked: map[string]int{}}
	address, host, _ := registry(t, s.ServeHTTP)
	b := newBench(t, from(host), beside(" .asc", ".sig", ".sig"))
	base := map[string]string{}
	for name, c := range cases {
		if c.path == "" {
			c.path = "/" + url.PathEscape(name) + "/f"
		}
		u, err := url.Parse(c.path)
		if err != nil {
			t.Fatal(err)
		}
		base[name] = u.EscapedPath()
		s.files[u.Path] = "bytes of " + name
		for suffix, file := range c.files {
			s.files[u.Path+suffix] = file
		}
		for suffix, serve := range c.serve {
			s.serve[u.Path+suffix] = serve
		}
		b.publish(&event.Upload{Registry: "r", ID: name, Name: name, Filename: c.filename, URL: address + c.path, Signatures: c.announced})
	}
	b.run()
	got, asked := b.settled(len(cases)), s.requests()
	for name, c := range cases {
		a, ok := got[name]
		if !ok {
			t.Errorf("%s: no artifact", name)
			continue
		}
		if attached(a) != c.want {
			t.Errorf("%s: attached %q, want %q", name, attached(a), c.want)
		}
		if a.Run != derivedRun(uploaded, "r", name) {
			t.Errorf("%s: run %s", name, a.Run)
		}
		if c.asked == nil {
			continue
		}
		for uri, n := range asked {
			suffix, ok := strings.CutPrefix(uri, base[name])
			if ok && suffix != "" && !strings.HasPrefix(suffix, "?") && n != c.asked[suffix] {
				t.Errorf("%s: asked for %s %d times, want %d", name, uri, n, c.asked[suffix])
			}
		}
		for suffix, n := range c.asked {
			if asked[base[name]+suffix] != n {
				t.Errorf("%s: asked for the %s %d times, want %d", name, suffix, asked[base[name]+suffix], n)
			}
		}
	}
	for _, d := range b.messages(bus.Dead) {
		t.Errorf("dead letter: %s", d.Data)
	}
	if n := strings.Count(b.log.String(), "goes without its bytes"); n != 3 {
		t.Errorf("%d warnings of signatures that are too large, want 3", n)
	}
}

// Without the setting nobody is asked for anything but the artifact.
func TestSiblingsAreNotAskedForByDefault(t *testing.T) {
	t.Parallel()
	address, host, asked := registry(t, serveBytes([]byte("x")))
	b := newBench(t, from(host))
	b.run()
	b.publish(&event.Upload{Registry: "r", ID: "1", Name: "n", URL: address + "/n"})
	if a := b.settled(1)["n"]; len(a.Signatures) != 0 || asked.Load() != 1 {
		t.Errorf("%d requests, signatures %+v", asked.Load(), a.Signatures)
	}
}

// What the operator or the registry must mend is a dead letter that says so.
func TestSiblingsBecomeDeadLetter(t *testing.T) {
	t.Parallel()
	other, _, otherAsked := registry(t, serveBytes([]byte("s")))
	secret := strings.Repeat("q", 20)
	s := &shelf{files: map[string]string{}, asked: map[string]int{}, serve: map[string]http.HandlerFunc{
		"/elsewhere/f.sig": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other+"/f.sig?"+secret, http.StatusFound)
		},
		"/not implemented/f.sig": statusOnly(http.StatusNotImplemented),
	}}
	cases := map[string]struct {
		says     string
		attempts int
	}{
		"elsewhere":       {"ASSIZE_FETCH_HOSTS", 1},
		"not implemented": {"501", fetchAttempts},
		"many":            {"24 signatures are announced and 1 others lie beside", 1},
	}
	address, host, _ := registry(t, s.ServeHTTP)
	b := newBench(t, from(host), beside(".sig"), func(c *Config) { c.Workers = 4 })
	for name := range cases {
		s.files["/"+name+"/f"] = name
		u := &event.Upload{Registry: "r", ID: name, Name: name,
			URL: strings.Replace(address, "//", "//ann:"+secret+"@", 1) + "/" + url.PathEscape(name) + "/f"}
		if name == "many" {
			s.files["/many/f.sig"] = "s"
			for i := range event.MaxSignatures {
				u.Signatures = append(u.Signatures, event.Attached{Name: fmt.Sprintf("f.%d.sig", i), Data: []byte("x")})
			}
		}
		b.publish(u)
	}
	b.run()
	for _, d := range b.deadLetters(len(cases)) {
		var u event.Upload
		if err := json.Unmarshal(d.Data, &u); err != nil {
			t.Fatal(err)
		}
		c := cases[u.Name]
		if !strings.Contains(d.Reason, c.says) || d.Attempts != c.attempts || strings.Contains(d.Reason, secret) {
			t.Errorf("%s: %d attempts, %q; want %d and %q", u.Name, d.Attempts, d.Reason, c.attempts, c.says)
		}
	}
	if n := otherAsked.Load(); n != 0 {
		t.Errorf("the host that is not permitted was asked %d times", n)
	}
	if strings.Contains(b.log.String(), secret) {
		t.Error("the log tells the URLs' secrets")
	}
	b.nothing()
}

// A signature that trickles does not hold a worker, either.
func TestSiblingsTooSlow(t *testing.T) {
	t.Parallel()
	address, host, _ := registry(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("h"))
		if r.URL.Path != "/f" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	})
	b := newBench(t, from(host), beside(".sig"))
	b.service.pace = pace{patience: 500 * time.Millisecond, slowest: 1000}
	u := &event.Upload{Registry: "r", ID: "1", Name: "n", URL: address + "/f"}
	_, err := b.service.siblings(t.Context(), u, &event.Artifact{Filename: "f"})
	if !errors.Is(err, errTooSlow) || unavailable(err) || strings.Count(err.Error(), errTooSlow.Error()) != 1 {
		t.Errorf("%v", err)
	}
}

// What lies beside the artifact when it is delivered again changes nothing:
// the run is the same, and what was ordered first stays.
func TestSiblingsWhenDeliveredAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after, want string }{
		"comes":   {"", "s", ""},
		"changes": {"s", "other", "f.sig=s"},
		"goes":    {"s", "", "f.sig=s"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &shelf{files: map[string]string{"/f": "hello"}, asked: map[string]int{}}
			address, host, _ := registry(t, s.ServeHTTP)
			b := newBench(t, from(host), beside(".sig"))
			u := &event.Upload{Registry: "r", ID: "1", Name: "n", URL: address + "/f"}
			e, err := event.New("registry", uploaded, u)
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{c.before, c.after} {
				s.put("/f.sig", file)
				m := &bus.Message{Subject: e.Subject, Event: e, Payload: u, Time: uploaded}
				if err := b.service.upload(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			if a := b.artifact([]byte("hello")); attached(a) != c.want {
				t.Errorf("attached %q, want %q", attached(a), c.want)
			}
			if len(u.Signatures) != 0 {
				t.Error("the upload itself was changed")
			}
			if n := s.requests()["/f.sig"]; n != 2 {
				t.Errorf("asked %d times for the signature", n)
			}
		})
	}
}

func TestSiblingSuffixes(t *testing.T) {
	all := event.SignatureSuffixes
	if n := len(slices.Compact(slices.Sorted(slices.Values(all)))); n != len(all) || n >= event.MaxSignatures {
		t.Errorf("%d suffixes, %d of them different, want fewer than %d", len(all), n, event.MaxSignatures)
	}
	for _, suffix := range all {
		// They are put into URLs as they are, and a verifier wants the dot.
		if !strings.HasPrefix(suffix, ".") || url.PathEscape(suffix) != suffix || path.Base(suffix) != suffix {
			t.Errorf("%q", suffix)
		}
	}
	if got, err := siblingSuffixes(all); err != nil || !slices.Equal(got, all) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "sig", ".sgi", "*", ".sig/../x", ".SIG"} {
		_, err := New(Config{MaxSize: 1, FetchSiblings: []string{".sig", bad}}, blob.S3Config{}, nil, nil, nil)
		if err == nil || !strings.Contains(err.Error(), "ASSIZE_FETCH_SIBLINGS") || !strings.Contains(err.Error(), ".minisig") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Wherever an upload is, what is looked for beside it is in the same place,
// asked for by the same host, without a query, and can be attached.
func FuzzBeside(f *testing.F) {
	f.Add("https://u:p@h.example:1/a%2Fb/c%20d?", "x.tgz", "x.tgz.sig")
	f.Add("s3://bucket/a//b/%E2%80%8B?versionId=1#x", "n", "")
	f.Add("http://h/a;b/%zz/..", "..", "d/n.asc")
	f.Add("s3://bucket/"+strings.Repeat("k", 250), "n", "n.ed25519")
	f.Add("http://h", strings.Repeat("n", 1020), "\xff")
	fetch, err := newFetcher(Config{FetchSiblings: event.SignatureSuffixes}, blob.S3Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw, name, announced string) {
		u := &event.Upload{Registry: "r", ID: "1", Name: "n", URL: raw, Signatures: []event.Attached{{Name: announced}}}
		if u.Validate() != nil {
			t.Skip()
		}
		file := filename(name)
		places, err := fetch.beside(u, file)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		from, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if from.Scheme != "s3" && from.RawQuery != "" && len(places) > 0 {
			t.Errorf("%q: asked for although it has a query", raw)
		}
		for _, p := range places {
			suffix, ok := strings.CutPrefix(p.name, file)
			if !ok || !slices.Contains(event.SignatureSuffixes, suffix) || path.Base(announced) == p.name || !utf8.ValidString(p.name) || len(p.name) > event.MaxName {
				t.Errorf("%q and %q: name %q", raw, name, p.name)
			}
			at, err := url.Parse(p.url)
			if err != nil {
				t.Fatalf("%q gives %q: %v", raw, p.url, err)
			}
			if at.Path != from.Path+suffix || at.EscapedPath() != from.EscapedPath()+suffix || at.Scheme != from.Scheme || at.Host != from.Host ||
				at.User.String() != from.User.String() || at.RawQuery != "" || at.Fragment != "" {
				t.Errorf("%q gives %q", raw, p.url)
			}
		}
	})
}
