package ingest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"assize.dev/shared/blob/storetest"
	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/event"
)

// front stands before a real store, counts the objects it is asked for, and
// answers for it where a test says so.
type front struct {
	mu     sync.Mutex
	asked  map[string]int              // by key
	answer map[string]http.HandlerFunc // by key, instead of the store's
}

func (f *front) serve(w http.ResponseWriter, r *http.Request, store http.Handler) {
	key, isObject := strings.CutPrefix(r.URL.Path, "/"+storetest.Bucket+"/")
	if r.Method != http.MethodGet || !isObject || key == "" {
		store.ServeHTTP(w, r)
		return
	}
	f.mu.Lock()
	f.asked[key]++
	answer := f.answer[key]
	f.mu.Unlock()
	if answer == nil {
		answer = store.ServeHTTP
	}
	answer(w, r)
}

func (f *front) say(key string, answer http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer[key] = answer
}

// requests is how often objects were asked for whose keys start with prefix.
func (f *front) requests(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	sum := 0
	for key, n := range f.asked {
		if strings.HasPrefix(key, prefix) {
			sum += n
		}
	}
	return sum
}

// newS3Bench is a service that fetches from a real store, through a front;
// the client goes past it.
func newS3Bench(t *testing.T) (*bench, *front, *minio.Client) {
	t.Helper()
	server := storetest.Start(t)
	behind, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, err := minio.New(behind.Host, &minio.Options{Creds: credentials.NewStaticV4(server.AccessKey, server.SecretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	// The host stays as it came: the request's signature is about it.
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(behind); r.Out.Host = r.In.Host }}
	f := &front{asked: map[string]int{}, answer: map[string]http.HandlerFunc{}}
	through := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, proxy) }))
	t.Cleanup(through.Close)
	s3 := server.Config()
	s3.Endpoint = through.URL

	b := newBench(t)
	s, err := New(Config{MaxSize: 1 << 20, Workers: 4, FetchBuckets: []string{storetest.Bucket}}, s3, b.bus, b.store, slog.New(slog.NewTextHandler(b.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s.backoff = b.service.backoff
	b.service = s
	return b, f, client
}

// put stores an object under any key, as a registry would.
func put(t *testing.T, client *minio.Client, key, content string) {
	t.Helper()
	if _, err := client.PutObject(t.Context(), storetest.Bucket, key, strings.NewReader(content), int64(len(content)), minio.PutObjectOptions{}); err != nil {
		t.Fatalf("%q: %v", key, err)
	}
}

func TestSiblingsFromS3(t *testing.T) {
	t.Parallel()
	b, store, client := newS3Bench(t)
	large := strings.Repeat("x", event.MaxAttached+1)
	long, deep := strings.Repeat("n", 251), strings.Repeat(strings.Repeat("d", 250)+"/", 4)+"nnnnnnnn"
	upTo := func(longest int) (n int) { // suffixes of at most so many bytes
		for _, suffix := range event.SignatureSuffixes {
			if len(suffix) <= longest {
				n++
			}
		}
		return n
	}
	all := len(event.SignatureSuffixes)
	cases := map[string]struct {
		key       string
		query     string
		files     map[string]string // by suffix
		announced []event.Attached
		want      string
		asked     int // for signatures
	}{
		"all": {key: "all/f", files: map[string]string{".tsr": "t", ".sigstore.json": "{}", ".sig": "s", ".chain.pem": "c", ".p7s": "p"},
			want: "f.sig=s f.p7s=p f.sigstore.json={} f.chain.pem=c f.tsr=t", asked: all},
		"none":      {key: "none/f", files: map[string]string{".sig.bak": "b", ".tgz": "x", "sig": "y", ".minisig/z": "a folder"}, asked: all},
		"query":     {key: "query/f", query: "?X-Signature=0", files: map[string]string{".sig": "s"}, want: "f.sig=s", asked: all},
		"hostile":   {key: "hostile//x/ \u202e#?+%2F.tgz", files: map[string]string{".sig": "s"}, want: " \u202e#?+%2F.tgz.sig=s", asked: all},
		"too large": {key: "large/f", files: map[string]string{".sig": large, ".asc": "a"}, want: "f.sig= f.asc=a", asked: all},
		"announced": {key: "announced/f", files: map[string]string{".sig": "sibling", ".asc": "a"}, announced: []event.Attached{{Name: "f.sig", Data: []byte("said")}},
			want: "f.sig=said f.asc=a", asked: all - 1},
		// As long as a name may be where objects are kept as files, and as a
		// key may be anywhere: longer ones are not asked for.
		"long name": {key: long, files: map[string]string{".sig": "s"}, want: long + ".sig=s", asked: upTo(255 - len(long))},
		"long key":  {key: deep, files: map[string]string{".sig": "s"}, want: "nnnnnnnn.sig=s", asked: upTo(1024 - len(deep))},
	}
	for name, c := range cases {
		put(t, client, c.key, "bytes of "+name)
		for suffix, file := range c.files {
			put(t, client, c.key+suffix, file)
		}
		u := url.URL{Scheme: "s3", Host: storetest.Bucket, Path: "/" + c.key}
		b.publish(&event.Upload{Registry: "r", ID: name, Name: name, URL: u.String() + c.query, Signatures: c.announced})
	}
	b.run()
	got := b.settled(len(cases))
	for _, d := range b.messages(bus.Dead) {
		t.Errorf("dead letter: %s", d.Data)
	}
	for name, c := range cases {
		if a, ok := got[name]; !ok || attached(a) != c.want || a.Size != int64(len("bytes of "+name)) {
			t.Errorf("%s: attached %q, want %q", name, attached(a), c.want)
		}
		if n := store.requests(c.key); n != c.asked+1 {
			t.Errorf("%s: %d objects asked for, want the artifact and %d", name, n, c.asked)
		}
	}
}

// A store that is away, or does not let us read a signature, is waited for:
// whether there is one is not known until then.
func TestSiblingsOutageOfS3(t *testing.T) {
	t.Parallel()
	b, store, client := newS3Bench(t)
	put(t, client, "f", "hello")
	put(t, client, "f.asc", "a")
	b.run()
	for i, answer := range []http.HandlerFunc{
		statusOnly(http.StatusServiceUnavailable),
		statusOnly(http.StatusForbidden),
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		store.say("f.asc", answer)
		u := &event.Upload{Registry: "r", ID: strconv.Itoa(i), Name: strconv.Itoa(i), URL: "s3://" + storetest.Bucket + "/f"}
		if _, err := b.service.siblings(t.Context(), u, &event.Artifact{Filename: "f"}); !unavailable(err) {
			t.Errorf("outage %d: %v", i, err)
		}
		before := store.requests("f.asc")
		b.publish(u)
		bustest.Eventually(t, "the store is asked", func() bool { return store.requests("f.asc") > before })
		if n := len(b.artifacts()); n != i {
			t.Fatalf("%d artifacts while the store is away, want %d", n, i)
		}
		store.say("f.asc", nil)
		if a := b.settled(i + 1)[strconv.Itoa(i)]; attached(a) != "f.asc=a" {
			t.Errorf("after outage %d: attached %q", i, attached(a))
		}
	}
	if n := len(b.messages(bus.Dead)); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}
