package archive

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

type (
	ctx    = context.Context
	reader = io.Reader
)

// noise does not compress, so that a nested container's size is known.
func noise(n int) string { return allNoise()[:n] }

var allNoise = sync.OnceValue(func() string {
	b := make([]byte, spoolMemory+1<<20)
	_, err := rand.NewChaCha8([32]byte{1}).Read(b)
	must(err)
	return string(b)
})

func TestLimits(t *testing.T) {
	zeros := string(make([]byte, 20<<20))
	bomb := bytes.Repeat(gz([]byte(zeros[:1<<20])), 20)
	small := files("one", "1", "two", "2", "three", "3")
	inTar := func(nested string, b []byte) []byte {
		return tarOf(files("before", "b", nested, string(b), "after", "a")...)
	}
	deep := []byte("bottom")
	for range 4 {
		deep = tarOf(files("t", string(deep))...)
	}
	cases := []struct {
		name   string
		bytes  []byte
		limits Limits
		limit  string
		path   string
		value  string
		after  bool // siblings after the nested container are still seen
	}{
		{"inflated, top", gz(tarOf(files("big", noise(9000), "after", "a")...)), Limits{Inflated: 8000}, "inflated", "p", "8000 bytes", false},
		{"inflated, nested", inTar("n.gz", gz([]byte(noise(9000)))), Limits{Inflated: 8000}, "inflated", "p!n.gz", "8000 bytes", false},
		{"inflated, plain container", inTar("n", []byte(noise(9000))), Limits{Inflated: 8000}, "inflated", "p!n", "8000 bytes", false},
		{"inflated, zip", zipMethod(zip.Store, files("n", noise(9000), "after", "a")...), Limits{Inflated: 8000}, "inflated", "p!n", "8000 bytes", false},
		{"entries, top", tarOf(small...), Limits{Entries: 2}, "entries", "p!three", "2 entries", false},
		{"entries, zip", zipOf(small...), Limits{Entries: 2}, "entries", "p!three", "2 entries", false},
		{"entries, nested", inTar("n.zip", zipOf(small...)), Limits{Entries: 3}, "entries", "p!n.zip!two", "3 entries", false},
		{"depth, top", tarOf(files("n.tar", string(tarOf(small...)), "after", "a")...), Limits{Depth: 1}, "depth", "p!n.tar", "1 containers", true},
		{"depth, compressed", gz(tarOf(files("n.tgz", string(gz(tarOf(small...))), "after", "a")...)), Limits{Depth: 1}, "depth", "p!n.tgz", "1 containers", true},
		{"depth, nested", inTar("n", deep), Limits{Depth: 3}, "depth", "p!n!t!t", "3 containers", true},
		{"ratio, top", bomb, Limits{}, "ratio", "p", "200 bytes out per byte in", false},
		{"ratio, nested", tarOf(files("before", "b", "n.gz", string(bomb), "pad", noise(300<<10), "after", "a")...), Limits{}, "ratio", "p!n.gz", "200 bytes out per byte in", true},
		{"ratio, zip entry", zipOf(files("n", zeros, "pad", noise(300<<10), "after", "a")...), Limits{}, "ratio", "p!n", "200 bytes out per byte in", true},
		{"ratio, of the whole", zipOf(files("1", zeros[:15<<20], "2", zeros[:15<<20], "after", "a")...), Limits{}, "ratio", "p!2", "200 bytes out per byte in", false},
		{"buffer, nested", gz(tarOf(files("n.zip", string(zipOf(files("x", noise(9000))...)), "after", "a")...)), Limits{EntryBuffer: 8000}, "entry-buffer", "p!n.zip", "8000 bytes", true},
		{"time", tarOf(small...), Limits{Time: 1}, "time", "p", "1ns", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var s seen
			s.entries, s.bodies = map[string]*Entry{}, map[string]string{}
			report, err := Walk(t.Context(), bytes.NewReader(c.bytes), int64(len(c.bytes)), "p", c.limits, s.note(t))
			if err != nil {
				t.Fatal(err)
			}
			s.Report = report
			checkReport(t, "Walk", s)
			want := Problem{Path: c.path, Kind: KindLimit, Detail: c.limit + ": limit of " + c.value + " reached"}
			if !slices.Equal(report.Problems, []Problem{want}) {
				t.Errorf("problems %+v\nwant %+v", report.Problems, want)
			}
			if got := slices.Contains(s.paths, "p!after"); got != c.after {
				t.Errorf("what follows was seen: %v; paths %.300q", got, s.paths)
			}
			if strings.Contains(c.name, "nested") && s.bodies["p!before"] != "b" && c.limit != "entry-buffer" {
				t.Error("what came before was not seen")
			}
		})
	}
}

func TestBufferOfStreamedZip(t *testing.T) {
	report, err := WalkStream(t.Context(), bytes.NewReader(zipOf(files("x", noise(9000))...)), "p", Limits{EntryBuffer: 8000},
		func(context.Context, *Entry, io.Reader) error { return nil })
	if err != nil || len(report.Problems) != 1 || !strings.HasPrefix(report.Problems[0].Detail, "entry-buffer: ") {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestContentOverBuffer: what is too large to be opened is still shown whole.
func TestContentOverBuffer(t *testing.T) {
	nested := zipOf(files("x", noise(90_000))...)
	s := look(t, gz(tarOf(files("n.zip", string(nested))...)), "p", Limits{EntryBuffer: 8000})
	if s.bodies["p!n.zip"] != string(nested) || len(s.Problems) != 1 {
		t.Errorf("%d of %d bytes, problems %v", len(s.bodies["p!n.zip"]), len(nested), s.Problems)
	}
}

// TestSpoolFile passes the memory's share and so the temporary file.
func TestSpoolFile(t *testing.T) {
	body := noise(spoolMemory + 1<<20)
	t.Setenv("TMPDIR", t.TempDir())
	p := tarOf(files("n.zip", string(zipMethod(zip.Store, files("x", body, "y", "end")...)))...)
	s := seen{entries: map[string]*Entry{}, bodies: map[string]string{}}
	report, err := WalkStream(t.Context(), bytes.NewReader(p), "p", Limits{}, s.note(t))
	if err != nil || s.bodies["p!n.zip!x"] != body[:1<<20] || s.bodies["p!n.zip!y"] != "end" || !report.Complete() {
		t.Errorf("paths %q, problems %v, error %v", s.paths, report.Problems, err)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	t.Setenv("TMPDIR", "/does/not/exist")
	if _, err := WalkStream(t.Context(), bytes.NewReader(p), "p", Limits{}, s.note(t)); err == nil {
		t.Error("a walk without room for its temporary file reported nothing")
	}
}

func TestSparseFilesAreCharged(t *testing.T) {
	// GNU format, one file of 100 MiB that is all hole: the map in the header
	// has one empty fragment at its end.
	h := tarOf(item{name: "sparse", kind: 'S'})[:512]
	copy(h[257:], "ustar  \x00")
	copy(h[386:], "00620000000\x0000000000000\x00")
	copy(h[483:], "00620000000\x00")
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], []byte{'0' + byte(sum>>15&7), '0' + byte(sum>>12&7), '0' + byte(sum>>9&7), '0' + byte(sum>>6&7), '0' + byte(sum>>3&7), '0' + byte(sum&7), 0, ' '})
	b := append(h, make([]byte, 1024)...)
	for name, p := range map[string][]byte{"plain": b, "compressed": gz(b)} {
		report, err := Walk(t.Context(), bytes.NewReader(p), int64(len(p)), "p", Limits{}, func(_ ctx, _ *Entry, content reader) error {
			_, err := io.Copy(io.Discard, content)
			return err
		})
		if err != nil || report.Inflated > 18<<20 || len(report.Problems) != 1 || !strings.HasPrefix(report.Problems[0].Detail, "ratio") {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
	}
}

func TestDictionaries(t *testing.T) {
	huge := xzClaiming([]byte("x"), 30)
	large := func(p []byte) []byte { return xzClaiming(p, 28) }
	s := look(t, huge, "p.xz", Limits{})
	if len(s.Problems) != 1 || s.Problems[0].Kind != KindUnsupported || !strings.Contains(s.Problems[0].Detail, "134217728") {
		t.Errorf("128 MiB: %+v", s.Problems)
	}
	if s = look(t, large([]byte("x")), "p.xz", Limits{}); s.bodies["p.xz!p"] != "x" || !s.Complete() {
		t.Errorf("64 MiB: %+v", s.Problems)
	}
	s = look(t, large(tarOf(files("n.xz", string(large([]byte("x"))), "m.xz", string(xzClaiming([]byte("y"), 22)))...)), "p", Limits{})
	if len(s.Problems) != 1 || s.Problems[0].Path != "p!n.xz" || s.bodies["p!m.xz!m"] != "y" {
		t.Errorf("64 MiB inside 64 MiB: %+v, saw %q", s.Problems, s.paths)
	}
}

// TestUnwantedFiles of a zip are shown and not opened; elsewhere nobody asks.
func TestUnwantedFiles(t *testing.T) {
	bomb := string(make([]byte, 1<<20))
	damaged := zipOf(files("a.class", "unread", "n.zip", string(zipOf(files("b.class", bomb, "c", "1")...)), "d", "2")...)
	damaged[bytes.Index(damaged, []byte("unread"))]++ // its checksum is wrong now, unless it is deflated
	for name, tt := range map[string]struct {
		data []byte
		want []string
	}{
		"zip": {damaged, []string{"p!a.class -", "p!n.zip", "p!n.zip!b.class -", "p!n.zip!c", "p!d"}},
		"tar": {tarOf(files("a.class", "x", "d", "2")...), []string{"p!a.class", "p!d"}},
	} {
		var got []string
		report, err := WalkWanted(t.Context(), bytes.NewReader(tt.data), int64(len(tt.data)), "p", Limits{Inflated: 64 << 10},
			func(e *Entry) bool { return path.Ext(e.Path) != ".class" },
			func(_ ctx, e *Entry, r reader) error {
				s := e.FullPath()
				if r == nil {
					s += " -"
				}
				got = append(got, s)
				return nil
			})
		if err != nil || !report.Complete() || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, %+v, %v", name, got, report.Problems, err)
		}
	}
}

func TestVisitorDecides(t *testing.T) {
	b := tarOf(files("n.zip", string(zipOf(files("x", "1")...)), "after", "a")...)
	own := errors.New("the visitor's own")
	visit := func(at string, give error) (paths []string, err error) {
		_, err = Walk(t.Context(), bytes.NewReader(b), int64(len(b)), "p", Limits{}, func(_ ctx, e *Entry, _ reader) error {
			paths = append(paths, e.FullPath())
			if e.Path == at {
				return give
			}
			return nil
		})
		return paths, err
	}
	if paths, err := visit("n.zip", SkipNested); err != nil || !slices.Equal(paths, []string{"p!n.zip", "p!after"}) {
		t.Errorf("SkipNested: %q, %v", paths, err)
	}
	for _, give := range []error{own, io.EOF, ErrDamaged, &LimitError{Limit: "mine"}} {
		if paths, err := visit("x", give); err != give || len(paths) != 2 {
			t.Errorf("%v: %q, %v", give, paths, err)
		}
	}
}

func TestContextAndSourceErrorsAreReturned(t *testing.T) {
	b := gz(tarOf(files("a", noise(100_000), "b", "x")...))
	canceled, cancel := context.WithCancel(t.Context())
	report, err := Walk(canceled, bytes.NewReader(b), int64(len(b)), "p", Limits{}, func(_ ctx, _ *Entry, content reader) error {
		cancel()
		_, err := io.Copy(io.Discard, content)
		return err
	})
	if !errors.Is(err, context.Canceled) || report == nil || len(report.Problems) != 0 {
		t.Errorf("canceled: %+v, %v", report, err)
	}
	broken := errors.New("connection reset")
	for size := range int64(len(b)) {
		if size%997 != 0 {
			continue
		}
		src := io.MultiReader(bytes.NewReader(b[:size]), iotest.ErrReader(broken))
		report, err = WalkStream(t.Context(), src, "p", Limits{}, func(_ ctx, _ *Entry, content reader) error {
			_, err := io.Copy(io.Discard, content)
			return err
		})
		if !errors.Is(err, broken) || len(report.Problems) != 0 {
			t.Errorf("broken after %d bytes: %+v, %v", size, report, err)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	var items []item
	for range 300 {
		items = append(items, item{name: "n.gz", body: "\x1f\x8b broken"})
	}
	report, err := Walk(t.Context(), bytes.NewReader(tarOf(items...)), int64(len(tarOf(items...))), "p", Limits{Time: time.Minute},
		func(context.Context, *Entry, io.Reader) error { return nil })
	if err != nil || len(report.Problems) != maxProblems || report.Problems[maxProblems-1].Kind != KindOmitted || report.Entries != 300 {
		t.Errorf("%d problems, %d entries, %v", len(report.Problems), report.Entries, err)
	}
}
