package index

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/services/scan/internal/advisory"
)

func osv(id, modified, ecosystem, name string, more ...string) string {
	return fmt.Sprintf(`{"id":%q,"modified":%q,%s"affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}]}]}`,
		id, modified, strings.Join(more, ""), ecosystem, name)
}

// export writes files; a name ending in all.zip takes members as
// name, content, name, content.
func export(t *testing.T, files map[string][]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, parts := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		data := []byte(parts[0])
		if strings.HasSuffix(name, "all.zip") && len(parts) != 1 {
			var buf bytes.Buffer
			z := zip.NewWriter(&buf)
			for i := 0; i < len(parts); i += 2 {
				w, err := z.Create(parts[i])
				if err != nil {
					t.Fatal(err)
				}
				if _, err := w.Write([]byte(parts[i+1])); err != nil {
					t.Fatal(err)
				}
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			data = buf.Bytes()
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// load indexes an export.
func load(t testing.TB, export string) (*Index, error) {
	t.Helper()
	return loadWithin(context.Background(), t, export)
}

func loadWithin(ctx context.Context, t testing.TB, export string) (*Index, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "generation")
	if err := WriteExport(ctx, dir, export); err != nil {
		return nil, err
	}
	x, err := Open(dir)
	if err == nil {
		t.Cleanup(func() { x.Close() })
	}
	return x, err
}

// found counts the postings about a package.
func found(t testing.TB, x *Index, ecosystem, name string) (n int) {
	t.Helper()
	if err := x.Lookup(ecosystem, name, func(*Posting) { n++ }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestLoadLayouts(t *testing.T) {
	dir := export(t, map[string][]string{
		"npm/all.zip":          {"A.json", osv("A", "2026-01-01T00:00:00Z", "npm", "a")},
		"PyPI/B.json":          {osv("B", "2026-03-01T00:00:00Z", "PyPI", "b_B")},
		"C.json":               {osv("C", "2026-02-01T00:00:00Z", "Debian:12", "c")},
		"all.zip":              {"D.json", osv("D", "2026-01-01T00:00:00Z", "Go", "Ex/D"), "notes.txt", "no record"},
		"npm/modified_id.csv":  {"2026-01-01T00:00:00Z,A"},
		"ecosystems.txt":       {"npm"},
		"Hackage/all.zip":      {"readme.md", "an export that lists nothing"},
		"PyPI/deeper/E/E.json": {"not looked at"},
	})
	db, err := load(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	s := db.Stats()
	if s.Rejected != 0 || s.Newest.Format("2006-01-02") != "2026-03-01" || len(s.Advisories) != 4 {
		t.Errorf("stats %+v", s)
	}
	for _, name := range []string{"npm", "PyPI", "Debian", "Debian:12", "Go", "Hackage"} {
		if !db.Loaded(name) {
			t.Errorf("%s is not loaded", name)
		}
	}
	for _, name := range []string{"Debian:11", "crates.io", ""} {
		if db.Loaded(name) {
			t.Errorf("%s is loaded", name)
		}
	}
	for eco, name := range map[string]string{"npm": "a", "PyPI": "B.b", "Debian": "c", "Go": "ex/d"} {
		if n := found(t, db, eco, name); n != 1 {
			t.Errorf("%s %s: %d entries", eco, name, n)
		}
	}
	if found(t, db, "npm", "A") != 0 {
		t.Error("npm names are not case-blind")
	}
}

func TestLoadRejects(t *testing.T) {
	good := osv("GOOD", "2026-01-01T00:00:00Z", "npm", "a")
	affected := func(inner string) string {
		return `{"id":"X","modified":"x","affected":[{"package":{"ecosystem":"npm","name":"a"},` + inner + `}]}`
	}
	for name, record := range map[string]string{
		"not JSON":          "nonsense",
		"no id":             `{"modified":"x"}`,
		"wrong type":        `{"id":7}`,
		"long id":           `{"id":"` + strings.Repeat("x", 300) + `"}`,
		"no name":           `{"id":"X","affected":[{"package":{"ecosystem":"npm"}}]}`,
		"no ecosystem":      `{"id":"X","affected":[{"package":{"name":"npm"}}]}`,
		"two keys":          affected(`"ranges":[{"type":"SEMVER","events":[{"introduced":"0","fixed":"1"}]}]`),
		"unknown event":     affected(`"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"repaired":"1"}]}]`),
		"nothing opens":     affected(`"ranges":[{"type":"SEMVER","events":[{"fixed":"1"}]}]`),
		"long version":      affected(`"versions":["` + strings.Repeat("1", 1000) + `"]`),
		"empty version":     affected(`"ranges":[{"type":"SEMVER","events":[{"introduced":""}]}]`),
		"larger than 8 MiB": `{"id":"X","details":"` + strings.Repeat("x", advisory.MaxRecord) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			db, err := load(t, export(t, map[string][]string{"npm/all.zip": {"bad.json", record, "good.json", good}}))
			if err != nil {
				t.Fatal(err)
			}
			s := db.Stats()
			if s.Rejected != 1 || len(s.RejectedNames) != 1 || !strings.HasPrefix(s.RejectedNames[0], filepath.Join("npm", "all.zip")+"/bad.json: ") {
				t.Errorf("rejected %d: %q", s.Rejected, s.RejectedNames)
			}
			if found(t, db, "npm", "a") != 1 {
				t.Error("the good record is missing")
			}
		})
	}
	db, err := load(t, export(t, map[string][]string{"npm/all.zip": {"no zip"}, "GOOD.json": {osv("GOOD", "x", "PyPI", "a")}}))
	if err != nil || db.Stats().Rejected != 1 || db.Loaded("npm") {
		t.Errorf("a broken export must leave its ecosystem unloaded: %v", err)
	}
	if _, err := load(t, t.TempDir()); !errors.Is(err, advisory.ErrNone) {
		t.Errorf("empty directory: %v", err)
	}
	if _, err := load(t, filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent directory: %v", err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	files := make([]string, 0, 400)
	for i := range 200 {
		files = append(files, fmt.Sprintf("%d.json", i), osv(fmt.Sprint("A", i), "x", "npm", "a"))
	}
	if _, err := loadWithin(cancelled, t, export(t, map[string][]string{"all.zip": files})); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestGeneration(t *testing.T) {
	generation := func(files map[string][]string) (string, *Index) {
		db, err := load(t, export(t, files))
		if err != nil {
			t.Fatal(err)
		}
		return db.Generation(), db
	}
	a, older, newer := osv("A", "2026-01-01T00:00:00Z", "npm", "a"), osv("B", "2026-01-01T00:00:00Z", "npm", "b"), osv("B", "2026-01-02T00:00:00+01:00", "npm", "b", `"withdrawn":"2026-01-02T00:00:00Z",`)
	one, _ := generation(map[string][]string{"npm/all.zip": {"A.json", a, "B.json", older}})
	same, _ := generation(map[string][]string{"all.zip": {"x/B.json", older}, "A.json": {a}})
	if one != same || len(one) != 64 {
		t.Errorf("generations %s and %s of the same advisories", one, same)
	}
	other, db := generation(map[string][]string{"npm/all.zip": {"A.json", a, "B.json", newer}, "B.json": {older}})
	if other == one {
		t.Error("a modified record makes no other generation")
	}
	if found(t, db, "npm", "b") != 0 || db.Stats().Withdrawn != 1 {
		t.Error("the newer record withdraws; the older one must not count")
	}
}

// TestParallelDecoding is for the race detector: many records, some of the
// same id, whatever the order they are decoded in.
func TestParallelDecoding(t *testing.T) {
	files := map[string][]string{"npm/all.zip": {}, "all.zip": {}}
	for i := range 500 {
		name := fmt.Sprintf("%d.json", i)
		files["npm/all.zip"] = append(files["npm/all.zip"], name, osv(fmt.Sprint("A", i), "2026-01-01T00:00:00Z", "npm", fmt.Sprint("old", i)))
		files["all.zip"] = append(files["all.zip"], name, osv(fmt.Sprint("A", i), "2026-01-02T00:00:00Z", "npm", fmt.Sprint("new", i)))
	}
	db, err := load(t, export(t, files))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		if found(t, db, "npm", fmt.Sprint("new", i)) != 1 || found(t, db, "npm", fmt.Sprint("old", i)) != 0 {
			t.Fatalf("A%d: the record modified last must count", i)
		}
	}
}
