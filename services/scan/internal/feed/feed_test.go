package feed

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"assize.dev/services/scan/internal/index"
	"assize.dev/shared/blob"
)

func record(id, modified, ecosystem, name string) string {
	return fmt.Sprintf(`{"id":%q,"modified":%q,"affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`,
		id, modified, ecosystem, name)
}

// mirror is a server with the layout of the OSV export.
type mirror struct {
	*httptest.Server
	mu       sync.Mutex
	records  map[string]map[string]string // by ecosystem and id
	modified map[string]string            // by id
	asked    []string
	answer   func(w http.ResponseWriter, r *http.Request) bool // true: it answered
}

func newMirror(t *testing.T) *mirror {
	m := &mirror{records: map[string]map[string]string{}, modified: map[string]string{}}
	m.Server = httptest.NewServer(http.HandlerFunc(m.serve))
	t.Cleanup(m.Close)
	return m
}

func (m *mirror) put(ecosystem, id, modified, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records[ecosystem] == nil {
		m.records[ecosystem] = map[string]string{}
	}
	m.records[ecosystem][id], m.modified[id] = record(id, modified, ecosystem, name), modified
}

func (m *mirror) serve(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, r.URL.Path)
	if m.answer != nil && m.answer(w, r) {
		return
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if path[0] == "ecosystems.txt" {
		for name := range m.records {
			fmt.Fprintln(w, name)
		}
		fmt.Fprintln(w, "Debian:12")
		return
	}
	all, ok := m.records[path[0]]
	switch {
	case !ok || len(path) != 2:
		http.NotFound(w, r)
	case path[1] == "all.zip":
		archive := zipped(all)
		tag := fmt.Sprintf(`"%x"`, len(archive))
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Write(archive)
	case path[1] == "modified_id.csv":
		for id := range all {
			fmt.Fprintf(w, "%s,%s\n", m.modified[id], id)
		}
	case all[strings.TrimSuffix(path[1], ".json")] != "":
		fmt.Fprint(w, all[strings.TrimSuffix(path[1], ".json")])
	default:
		http.NotFound(w, r)
	}
}

func zipped(records map[string]string) []byte {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for id, text := range records {
		w, _ := z.Create(id + ".json")
		w.Write([]byte(text))
	}
	z.Close()
	return out.Bytes()
}

// requests are the paths asked for since the last call.
func (m *mirror) requests() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	asked := m.asked
	m.asked = nil
	slices.Sort(asked)
	return strings.Join(asked, " ")
}

func updated(t *testing.T, s *Store, o Options) *Report {
	t.Helper()
	o.pause = time.Millisecond
	r, err := s.Update(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ids are those of the current generation.
func ids(t *testing.T, s *Store) string {
	t.Helper()
	x, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	var all []string
	for e, err := range x.All() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Clone(e.ID))
	}
	return strings.Join(all, " ")
}

// First whole archives, then what has changed, what came and what went.
func TestMirror(t *testing.T) {
	m := newMirror(t)
	m.put("npm", "A", "2026-01-01T00:00:00Z", "a")
	m.put("npm", "B", "2026-01-02T00:00:00Z", "b")
	m.put("Go", "C", "2026-01-02T00:00:00Z", "c")
	s := At(filepath.Join(t.TempDir(), "advisories"))
	o := Options{Sources: []string{m.URL}}
	first := updated(t, s, o)
	if ids(t, s) != "A B C" || first.Read != 3 || first.Previous != "" || !strings.Contains(m.requests(), "all.zip") {
		t.Errorf("%s, %+v", ids(t, s), first)
	}
	if again := updated(t, s, o); again.Generation != first.Generation || m.requests() != "/Go/modified_id.csv /ecosystems.txt /npm/modified_id.csv" {
		t.Errorf("nothing has changed: %+v", again)
	}
	m.put("npm", "A", "2026-02-01T00:00:00Z", "a")
	m.put("npm", "D", "2026-02-02T00:00:00Z", "d")
	m.mu.Lock()
	delete(m.records["npm"], "B")
	m.mu.Unlock()
	r := updated(t, s, o)
	if asked := m.requests(); ids(t, s) != "A C D" || r.Retracted != 1 || r.Read != 2 || strings.Contains(asked, "all.zip") || !strings.Contains(asked, "/npm/A.json /npm/D.json") {
		t.Errorf("%s, %+v, asked for %s", ids(t, s), r, asked)
	}
	state, err := s.State()
	if err != nil || state.Updated.IsZero() || state.Sources[m.URL+" npm"].Until.Format("01-02") != "02-02" {
		t.Errorf("%+v, %v", state, err)
	}
	for i := range maxSingle + 1 {
		m.put("Go", fmt.Sprintf("M%04d", i), "2026-03-01T00:00:00Z", "m")
	}
	if r := updated(t, s, o); r.Read != maxSingle+2 || !strings.Contains(m.requests(), "/Go/all.zip") {
		t.Errorf("many changes are not fetched one by one: %+v", r)
	}
}

// A server that lies, breaks off, sends too much or goes away leaves what
// there is, and says so.
func TestHostileMirror(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request) bool
		says   string
		asks   int // for the archive
	}{
		"away":       {func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(503); return true }, "503", tries},
		"forbidden":  {func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(403); return true }, "403", 1},
		"no archive": {func(w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, "<html>"); return true }, "zip", 1},
		"too large": {func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Length", fmt.Sprint(int64(maxZip)+1))
			return true
		}, "too large", 1},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "http://mirror.example/all.zip", http.StatusFound)
			return true
		}, "plain http", tries},
		"in circles": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
			return true
		}, "redirects", tries},
		"half of it": {func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte("PK"))
			return true
		}, "EOF", tries},
		"only rubbish": {func(w http.ResponseWriter, _ *http.Request) bool {
			w.Write(zipped(map[string]string{"A": "{", "B": "7"}))
			return true
		}, "refused", 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMirror(t)
			m.put("npm", "A", "2026-01-01T00:00:00Z", "a")
			s := At(filepath.Join(t.TempDir(), "advisories"))
			o := Options{Sources: []string{m.URL}, Ecosystems: []string{"npm"}}
			before := updated(t, s, o)
			m.requests()
			// The list cannot be had, so the archive is asked for.
			asks := 0
			m.mu.Lock()
			m.put2("npm", "A", "2026-02-01T00:00:00Z")
			m.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "all.zip") {
					if r.URL.Path == "/npm/all.zip" {
						asks++
					}
					return test.answer(w, r)
				}
				return false
			}
			m.mu.Unlock()
			// Forget what is known of the mirror.
			if err := s.saveState(&State{}); err != nil {
				t.Fatal(err)
			}
			o.pause = time.Millisecond
			r, err := s.Update(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), test.says) || len(r.Failed) == 0 {
				t.Errorf("%v, %+v, want %q", err, r, test.says)
			}
			if asks != test.asks {
				t.Errorf("asked %d times, want %d", asks, test.asks)
			}
			if now, err := s.Manifest(); err != nil || now.Generation != before.Generation {
				t.Errorf("what there was is gone: %v", err)
			}
		})
	}
}

// put2 is put for who holds the lock.
func (m *mirror) put2(ecosystem, id, modified string) {
	m.records[ecosystem][id], m.modified[id] = record(id, modified, ecosystem, "a"), modified
}

func TestSourcesRefused(t *testing.T) {
	for source, want := range map[string]string{
		"http://mirror.example/osv": "plain http", "ftp://mirror.example": "scheme", "https:///x": "no host", "/nowhere/at/all": "no such file",
		"https://user:hunter2@\x00": "malformed",
	} {
		_, err := At(filepath.Join(t.TempDir(), "a")).Update(t.Context(), Options{Sources: []string{source}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", source, err, want)
		}
	}
	if _, err := At(t.TempDir()).Update(t.Context(), Options{}); err == nil {
		t.Error("an update from nowhere")
	}
}

func export(t *testing.T, records ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "npm"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i, r := range records {
		if err := os.WriteFile(filepath.Join(dir, "npm", fmt.Sprintf("R%d.json", i)), []byte(r), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDirectoryAndTracker(t *testing.T) {
	dir := export(t, record("R0", "2026-01-01T00:00:00Z", "npm", "a"), record("R1", "2026-01-01T00:00:00Z", "npm", "b"))
	tracker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `[{"name":"AVG-1","packages":["curl"],"status":"Vulnerable","severity":"High","affected":"1-1"},{"name":"","packages":["x"]}]`)
	}))
	defer tracker.Close()
	s := At(filepath.Join(t.TempDir(), "advisories"))
	o := Options{Sources: []string{dir, tracker.URL + "/all.json"}}
	if r := updated(t, s, o); ids(t, s) != "AVG-1 R0 R1" || r.Rejected != 1 {
		t.Errorf("%s, %+v", ids(t, s), r)
	}
	// One record cannot be read any more, one is gone.
	if err := os.WriteFile(filepath.Join(dir, "npm", "R0.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "npm", "R1.json")); err != nil {
		t.Fatal(err)
	}
	if r := updated(t, s, o); ids(t, s) != "AVG-1 R0" || r.Retracted != 1 {
		t.Errorf("what cannot be read is not gone: %s, %+v", ids(t, s), r)
	}
}

// One archive of everything.
func TestArchive(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "osv.zip")
	write := func(records map[string]string) {
		t.Helper()
		if err := os.WriteFile(archive, zipped(records), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := At(filepath.Join(t.TempDir(), "advisories"))
	o := Options{Sources: []string{archive}}
	write(map[string]string{"A": record("A", "2026-01-01T00:00:00Z", "npm", "a"), "B": record("B", "2026-01-01T00:00:00Z", "npm", "b"), "C": record("C", "2026-01-01T00:00:00Z", "Go", "c")})
	first := updated(t, s, o)
	if again := updated(t, s, o); ids(t, s) != "A B C" || again.Generation != first.Generation || again.Read != 0 {
		t.Errorf("%s, %+v", ids(t, s), again)
	}
	write(map[string]string{"A": record("A", "2026-02-01T00:00:00Z", "npm", "a")})
	if r := updated(t, s, o); ids(t, s) != "A C" || r.Retracted != 1 {
		t.Errorf("%s, %+v", ids(t, s), r)
	}
}

func TestEnrichment(t *testing.T) {
	dir := export(t, record("R0", "2026-01-01T00:00:00Z", "npm", "a"))
	kev, epss := filepath.Join(t.TempDir(), "kev.json"), filepath.Join(t.TempDir(), "epss.csv")
	for path, text := range map[string]string{
		kev:  `{"vulnerabilities":[{"cveID":"CVE-2021-44228","dateAdded":"2021-12-10"}]}`,
		epss: "cve,epss,percentile\nCVE-2021-44228,0.97,0.99\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := At(filepath.Join(t.TempDir(), "advisories"))
	updated(t, s, Options{Sources: []string{dir}, KEV: kev})
	updated(t, s, Options{Sources: []string{dir}, EPSS: epss})
	facts, err := s.Enrichment()
	if f, ok := facts.Lookup("CVE-2021-44228"); err != nil || !ok || f.KEV != "2021-12-10" || f.EPSS != 0.97 {
		t.Errorf("%+v, %v, %v", f, ok, err)
	}
	// One that cannot be read leaves what was known.
	if err := os.WriteFile(kev, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := updated(t, s, Options{Sources: []string{dir}, KEV: kev}); len(r.Failed) != 1 {
		t.Errorf("%+v", r)
	}
	if facts, err = s.Enrichment(); err != nil || facts.Exploited() != 1 {
		t.Errorf("%d exploited, %v", facts.Exploited(), err)
	}
}

// An export is indexed once, until it changes.
func TestFromExport(t *testing.T) {
	dir := export(t, record("R0", "2026-01-01T00:00:00Z", "npm", "a"))
	s := At(filepath.Join(t.TempDir(), "advisories"))
	for i, want := range []bool{true, false} {
		if built, err := s.FromExport(t.Context(), dir); err != nil || built != want {
			t.Errorf("%d: built %v, %v", i, built, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "npm", "R1.json"), []byte(record("R1", "2026-01-01T00:00:00Z", "npm", "a")), 0o600); err != nil {
		t.Fatal(err)
	}
	if built, err := s.FromExport(t.Context(), dir); err != nil || !built || ids(t, s) != "R0 R1" {
		t.Errorf("built %v, %v: %s", built, err, ids(t, s))
	}
	left, err := filepath.Glob(filepath.Join(s.dir, "g-*"))
	if err != nil || len(left) != 1 {
		t.Errorf("old generations stay: %q, %v", left, err)
	}
}

// Two at once: one updates, the other is told.
func TestBusy(t *testing.T) {
	s := At(t.TempDir())
	release, err := s.lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context(), Options{Sources: []string{"x"}}); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
	release()
	if release, err = s.lock(); err != nil {
		t.Fatal(err)
	}
	release()
}

// What one replica publishes, others fetch, and believe only if it is whole.
func TestShare(t *testing.T) {
	objects := t.TempDir()
	store, err := blob.OpenDir(objects)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	one, two := At(filepath.Join(t.TempDir(), "a")), At(filepath.Join(t.TempDir(), "b"))
	if _, err := two.Fetch(t.Context(), store); !errors.Is(err, ErrNone) {
		t.Errorf("nothing was published: %v", err)
	}
	dir := export(t, record("R0", "2026-01-01T00:00:00Z", "npm", "a"))
	publish := func() {
		t.Helper()
		updated(t, one, Options{Sources: []string{dir}})
		if err := one.Publish(t.Context(), store); err != nil {
			t.Fatal(err)
		}
	}
	publish()
	for i, want := range []bool{true, false} {
		if changed, err := two.Fetch(t.Context(), store); err != nil || changed != want || ids(t, two) != "R0" {
			t.Errorf("%d: changed %v, %v", i, changed, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "npm", "R1.json"), []byte(record("R1", "2026-01-02T00:00:00Z", "npm", "a")), 0o600); err != nil {
		t.Fatal(err)
	}
	publish()
	m, err := one.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	// Somebody changes an object.
	object := filepath.Join(objects, fileKey(m.Files[0]))
	whole, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(whole)
	changed[len(changed)-1] ^= 1
	if err := os.Chmod(object, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(object, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Fetch(t.Context(), store); !errors.Is(err, index.ErrDamaged) || ids(t, two) != "R0" {
		t.Errorf("%v, %s", err, ids(t, two))
	}
	if err := os.WriteFile(object, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if changed, err := two.Fetch(t.Context(), store); err != nil || !changed || ids(t, two) != "R0 R1" {
		t.Errorf("mended: %v, %v", changed, err)
	}
}

// TestKilledWhileUpdating kills a process that updates; what is current is
// always whole.
func TestKilledWhileUpdating(t *testing.T) {
	if dir := os.Getenv("FEED_KILLED"); dir != "" {
		s := At(dir)
		for n := 0; ; n++ {
			for i := range 30 {
				name := filepath.Join(os.Getenv("FEED_EXPORT"), "npm", fmt.Sprintf("K%d.json", i))
				if err := os.WriteFile(name, []byte(record(fmt.Sprint("K", i), fmt.Sprintf("2026-01-01T00:%02d:%02dZ", n/60%60, n%60), "npm", "k")), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Update(context.Background(), Options{Sources: []string{os.Getenv("FEED_EXPORT")}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir, from := t.TempDir(), export(t, record("R0", "2026-01-01T00:00:00Z", "npm", "a"))
	s := At(dir)
	updated(t, s, Options{Sources: []string{from}})
	rounds := 15
	if testing.Short() {
		rounds = 5
	}
	for i := range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileUpdating$")
		cmd.Env = append(os.Environ(), "FEED_KILLED="+dir, "FEED_EXPORT="+from)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(40+i*9) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		x, err := s.Open()
		if err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		n := 0
		if err := x.Lookup("npm", "a", func(*index.Posting) { n++ }); err != nil || n != 1 {
			t.Errorf("round %d: %d postings, %v", i, n, err)
		}
		x.Close()
	}
	if all := ids(t, s); !strings.Contains(all, "K29") {
		t.Errorf("no update came through: %s", all)
	}
	updated(t, s, Options{Sources: []string{from}})
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("what killed processes left stays: %q", left)
	}
}

func FuzzList(f *testing.F) {
	f.Add([]byte("2026-01-01T00:00:00Z,GHSA-1\n2026-01-02T00:00:00Z,GHSA-2\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := readList(bytes.NewReader(text), time.Time{})
		if err != nil {
			return
		}
		for id := range l.all {
			if strings.ContainsAny(id, "/\\") || id == "" {
				t.Errorf("id %q leaves the folder", id)
			}
		}
	})
}
