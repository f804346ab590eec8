package advisory

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"assize.dev/services/scan/internal/testdata"
	"assize.dev/shared/event"
	"assize.dev/shared/realdata"
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
	db, err := Load(context.Background(), dir)
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
		if n := len(db.Lookup(eco, name)); n != 1 {
			t.Errorf("%s %s: %d entries", eco, name, n)
		}
	}
	if db.Lookup("npm", "A") != nil {
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
		"larger than 8 MiB": `{"id":"X","details":"` + strings.Repeat("x", MaxRecord) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			db, err := Load(context.Background(), export(t, map[string][]string{"npm/all.zip": {"bad.json", record, "good.json", good}}))
			if err != nil {
				t.Fatal(err)
			}
			s := db.Stats()
			if s.Rejected != 1 || len(s.RejectedNames) != 1 || !strings.HasPrefix(s.RejectedNames[0], filepath.Join("npm", "all.zip")+"/bad.json: ") {
				t.Errorf("rejected %d: %q", s.Rejected, s.RejectedNames)
			}
			if len(db.Lookup("npm", "a")) != 1 {
				t.Error("the good record is missing")
			}
		})
	}
	db, err := Load(context.Background(), export(t, map[string][]string{"npm/all.zip": {"no zip"}, "GOOD.json": {osv("GOOD", "x", "PyPI", "a")}}))
	if err != nil || db.Stats().Rejected != 1 || db.Loaded("npm") {
		t.Errorf("a broken export must leave its ecosystem unloaded: %v", err)
	}
	if _, err := Load(context.Background(), t.TempDir()); !errors.Is(err, ErrNone) {
		t.Errorf("empty directory: %v", err)
	}
	if _, err := Load(context.Background(), filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent directory: %v", err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	files := make([]string, 0, 400)
	for i := range 200 {
		files = append(files, fmt.Sprintf("%d.json", i), osv(fmt.Sprint("A", i), "x", "npm", "a"))
	}
	if _, err := Load(cancelled, export(t, map[string][]string{"all.zip": files})); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestGeneration(t *testing.T) {
	generation := func(files map[string][]string) (string, *Database) {
		db, err := Load(context.Background(), export(t, files))
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
	if db.Lookup("npm", "b") != nil || db.Stats().Withdrawn != 1 {
		t.Error("the newer record withdraws; the older one must not count")
	}
}

func TestRating(t *testing.T) {
	v3 := `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:N/I:L/A:N"}],`
	for name, test := range map[string]struct {
		record string
		want   Rating
	}{
		"v3":           {osv("A", "x", "npm", "a", v3), Rating{event.Medium, 4.3}},
		"v2":           {osv("A", "x", "npm", "a", `"severity":[{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:C/I:C/A:C"}],`), Rating{event.High, 10}},
		"v4":           {osv("A", "x", "npm", "a", `"severity":[{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}],`), Rating{event.Critical, 9.3}},
		"the worst":    {osv("A", "x", "npm", "a", `"severity":[{"type":"CVSS_V3","score":"CVSS:3.0/AV:N/AC:L/PR:L/UI:N/S:U/C:N/I:L/A:N"},{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],`), Rating{event.Critical, 9.8}},
		"word":         {osv("A", "x", "npm", "a", `"database_specific":{"severity":"MODERATE"},`), Rating{event.Medium, 0}},
		"odd specific": {osv("A", "x", "npm", "a", `"database_specific":{"severity":7,"categories":{}},`), Rating{event.Unknown, 0}},
		"broken":       {osv("A", "x", "npm", "a", `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:"}],"database_specific":{"severity":"LOW"},`), Rating{event.Low, 0}},
		"ubuntu":       {osv("A", "x", "Ubuntu:22.04:LTS", "a", `"severity":[{"type":"Ubuntu","score":"negligible"}],`), Rating{event.Low, 0}},
		"erratum":      {osv("ALSA-1", "x", "AlmaLinux:9", "a", `"summary":"Important: a security update",`), Rating{event.High, 0}},
		"bug fix":      {osv("ALBA-1", "x", "AlmaLinux:9", "a"), Rating{event.Info, 0}},
		"none":         {osv("A", "x", "npm", "a"), Rating{event.Unknown, 0}},
		"malware":      {osv("MAL-1", "x", "npm", "a", v3), Rating{event.Critical, 0}},
	} {
		r, err := decode([]byte(test.record))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := r.affected[0].Rating; got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

// TestRealExport loads the whole real export within its budget of memory.
func TestRealExport(t *testing.T) {
	dir := filepath.Join(realdata.Dir(t), "osv")
	if testing.Short() || testdata.Race {
		t.Skip("loads 130 MB of JSON: not in short tests, nor under the race detector")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	db, err := Load(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	if held > 150<<20 {
		t.Errorf("the database holds %d MiB, want less than 150", held>>20)
	}
	s := db.Stats()
	if s.Rejected > 0 {
		t.Errorf("rejected %d: %q", s.Rejected, s.RejectedNames)
	}
	total := 0
	for _, n := range s.Advisories {
		total += n
	}
	if total+s.Withdrawn < 25_000 {
		t.Errorf("%d advisories and %d withdrawn, want all 25,658", total, s.Withdrawn)
	}
	runtime.KeepAlive(db)
	t.Logf("%d advisories, %d withdrawn, %d MiB held", total, s.Withdrawn, held>>20)
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
	db, err := Load(context.Background(), export(t, files))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		if len(db.Lookup("npm", fmt.Sprint("new", i))) != 1 || len(db.Lookup("npm", fmt.Sprint("old", i))) != 0 {
			t.Fatalf("A%d: the record modified last must count", i)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(osv("A", "2026-01-01T00:00:00Z", "npm", "a")))
	f.Add([]byte(`{"id":"A","severity":[{"score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}],"affected":[{"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"GIT"}],"database_specific":{"cvss":"CVSS:3.1/AV:N"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode(data)
		if err == nil && (r.ID == "" || len([]rune(r.Summary)) > MaxSummary) {
			t.Errorf("accepted %+v", r.Record)
		}
		if records, err := decodeTracker(data); err == nil && slices.ContainsFunc(records, func(r *decoded) bool { return r.ID == "" }) {
			t.Error("accepted a group without a name")
		}
	})
}
