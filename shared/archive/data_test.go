package archive

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// testData is the directory of real packages, which are not part of the
// project.
func testData(t *testing.T, sub string) string {
	t.Helper()
	root := os.Getenv("ASSIZE_TESTDATA")
	for dir, err := filepath.Abs("."); root == "" && err == nil && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if s, err := os.Stat(filepath.Join(dir, "../shared/data")); err == nil && s.IsDir() {
			root = filepath.Join(dir, "../shared/data")
		}
	}
	if s, err := os.Stat(filepath.Join(root, sub)); root == "" || err != nil || !s.IsDir() {
		t.Skipf("no real packages here; set ASSIZE_TESTDATA to a directory with %s", sub)
	}
	return filepath.Join(root, sub)
}

func walkFile(t *testing.T, name string, visit Visitor) *Report {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	report, err := Walk(t.Context(), f, info.Size(), filepath.Base(name), Limits{}, visit)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return report
}

func readAll(_ context.Context, _ *Entry, content io.Reader) error {
	if content == nil {
		return nil
	}
	_, err := io.Copy(io.Discard, content)
	return err
}

func TestRealPackages(t *testing.T) {
	if testing.Short() {
		t.Skip("reads real packages to their end")
	}
	err := filepath.WalkDir(testData(t, "packages"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) == ".json" {
			return err
		}
		t.Run(d.Name(), func(t *testing.T) {
			report := walkFile(t, name, readAll)
			if !report.Complete() || report.Entries == 0 {
				t.Errorf("%s, %d entries, problems %v", report.Format, report.Entries, report.Problems)
			}
			t.Logf("%s, %d entries, %d bytes inflated", report.Format, report.Entries, report.Inflated)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestHeapOfDictionaries nests the largest dictionaries granted, again in a
// process of its own.
func TestHeapOfDictionaries(t *testing.T) {
	if os.Getenv("ARCHIVE_TEST_DICTIONARIES") == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHeapOfDictionaries$", "-test.v")
		cmd.Env = append(os.Environ(), "ARCHIVE_TEST_DICTIONARIES=1")
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		t.Logf("%s", out)
		return
	}
	var items []item
	for range 20 {
		items = append(items, item{name: "n.xz", body: string(xzClaiming([]byte("x"), 25))}) // 24 MiB
	}
	b := xzClaiming(tarOf(items...), 28) // 64 MiB
	b = tarOf(item{name: "1", body: string(b)}, item{name: "2", body: string(b)})
	report, err := Walk(t.Context(), bytes.NewReader(b), int64(len(b)), "p", Limits{}, readAll)
	if err != nil || report.Entries != 82 || !report.Complete() {
		t.Errorf("%+v, %v", report, err)
	}
	checkHeap(t)
}

func checkHeap(t *testing.T) {
	t.Helper()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("heap %d MB", m.HeapSys>>20)
	if m.HeapSys > 128<<20 {
		t.Errorf("heap of %d MB", m.HeapSys>>20)
	}
}

// TestHostilePackages measures each in a process of its own, as the heap of
// this one holds what other tests left.
func TestHostilePackages(t *testing.T) {
	if name := os.Getenv("ARCHIVE_TEST_HOSTILE"); name != "" {
		hazards := map[Hazard]bool{}
		report := walkFile(t, name, func(c context.Context, e *Entry, content io.Reader) error {
			for _, h := range e.Hazards {
				hazards[h] = true
			}
			return readAll(c, e, content)
		})
		t.Logf("%d entries, hazards %v, problems %v", report.Entries, hazards, report.Problems)
		checkHeap(t)
		if report.Complete() && len(hazards) == 0 {
			t.Error("nothing was found wrong")
		}
		return
	}
	if testing.Short() {
		t.Skip("runs five processes")
	}
	dir := testData(t, "hostile")
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		t.Run(n.Name(), func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestHostilePackages$", "-test.v")
			cmd.Env = append(os.Environ(), "ARCHIVE_TEST_HOSTILE="+filepath.Join(dir, n.Name()))
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "--- PASS") {
				t.Errorf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
