package match

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/osv-scalibr/semantic"

	"assize.dev/services/scan/internal/advisory"
	"assize.dev/services/scan/internal/testdata"
	"assize.dev/shared/realdata"
)

// real loads a part of the real export, once.
func real(t testing.TB) *advisory.Database {
	t.Helper()
	from := realdata.Dir(t)
	loaded.Do(func() {
		ecosystems := []string{"crates.io", "npm", "opam"}
		if !testdata.Race {
			ecosystems = append(ecosystems, "Go", "PyPI")
		}
		to := t.TempDir()
		for _, e := range ecosystems {
			if err := os.Symlink(filepath.Join(from, "osv", e), filepath.Join(to, e)); err != nil {
				t.Fatal(err)
			}
		}
		var err error
		if database, err = advisory.Load(context.Background(), to); err != nil {
			t.Fatal(err)
		}
	})
	if database == nil {
		t.Fatal("the real export did not load")
	}
	return database
}

var (
	loaded   sync.Once
	database *advisory.Database
)

// TestKnownPairs pins a few advisories of the real export by what their
// texts say.
func TestKnownPairs(t *testing.T) {
	db := real(t)
	if s := db.Stats(); s.Rejected > 0 {
		t.Errorf("rejected: %q", s.RejectedNames)
	}
	for _, test := range []struct {
		purl, id string
		want     bool
	}{
		{"pkg:golang/stdlib@1.16.0", "CVE-2021-27919", true},
		{"pkg:golang/stdlib@1.16.1", "CVE-2021-27919", false},
		{"pkg:golang/stdlib@1.15.8", "CVE-2021-27919", false},
		{"pkg:opam/ocaml@4.02.3", "CVE-2015-8869", true},
		{"pkg:opam/ocaml@4.03.0", "CVE-2015-8869", false},
		{"pkg:cargo/libusb@0.3.0", "RUSTSEC-2016-0004", true},
		{"pkg:cargo/libusb@0.3.1", "RUSTSEC-2016-0004", false},
	} {
		p, err := Resolve(test.purl)
		if err != nil {
			t.Fatal(err)
		}
		if !db.Loaded(p.Ecosystem) {
			t.Logf("%s: %s is not loaded under the race detector", test.purl, p.Ecosystem)
			continue
		}
		res, err := Find(db, p)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, v := range res.Vulnerabilities {
			found = found || strings.Contains(" "+v.ID+" "+strings.Join(v.Aliases, " ")+" ", " "+test.id+" ")
		}
		if found != test.want {
			t.Errorf("%s and %s: %v, want %v", test.purl, test.id, found, test.want)
		}
	}
}

// TestAgreesWithOracle evaluates every single-interval range of real records
// directly with osv-scalibr's comparator, at its bounds.
func TestAgreesWithOracle(t *testing.T) {
	db := real(t)
	f, err := os.Open(filepath.Join(realdata.Dir(t), "bench", "bench1000.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	types := map[string]string{"PyPI": "pypi", "crates.io": "cargo", "npm": "npm"}
	checked, affected := 0, 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(lines.Text(), "\t")
		typ, ok := types[fields[0]]
		if !ok || len(fields) != 3 {
			continue
		}
		p, err := Resolve("pkg:" + typ + "/" + fields[1] + "@" + fields[2])
		if err != nil {
			t.Fatal(err)
		}
		order, err := orderOf(p.Ecosystem)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range db.Lookup(p.Ecosystem, p.Name) {
			for _, r := range e.Ranges {
				if len(r.Bounds) > 2 || len(r.Limits) > 0 {
					continue
				}
				want := oracle(t, p, r)
				if got, err := inRange(order, p.Version, r); err != nil || got != want {
					t.Errorf("%s in %s %+v: %v, %v, want %v", p.PURL, e.ID, r, got, err, want)
				}
				checked++
				if want {
					affected++
				}
			}
		}
	}
	if checked < 20 || affected < 5 {
		t.Errorf("only %d ranges checked, %d affected", checked, affected)
	}
}

func oracle(t *testing.T, p Package, r advisory.Range) bool {
	v, err := semantic.Parse(p.Version, p.Ecosystem)
	if err != nil {
		t.Fatal(err)
	}
	in := true
	for _, b := range r.Bounds {
		if b.IsZero() {
			continue
		}
		c, err := v.CompareStr(b.Version)
		if err != nil {
			t.Fatal(err)
		}
		switch b.Kind {
		case advisory.Introduced:
			in = in && c >= 0
		case advisory.Fixed:
			in = in && c < 0
		case advisory.LastAffected:
			in = in && c <= 0
		}
	}
	return in
}

// FuzzRecord loads any bytes as a record and matches against them.
func FuzzRecord(f *testing.F) {
	f.Add(record("A", "npm", "a", events("introduced 0, fixed 1, limit 2"), `["1.0.0"]`), "1.0.0")
	f.Add(record("A", "PyPI", "a", `[`+rng("GIT", "introduced 0")+`]`, ""), "1.0rc1")
	f.Add(`[{"name":"AVG-1","packages":["a"],"fixed":"1"}]`, "1-1")
	f.Add(`{"id":"x","affected":[{"package":{"ecosystem":"npm:","name":"a"},"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:"}]}]}`, "v")
	f.Fuzz(func(t *testing.T, rec, version string) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "all.json"), []byte(rec), 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := advisory.Load(context.Background(), dir)
		if err != nil {
			return
		}
		var r struct {
			Affected []struct {
				Package struct{ Ecosystem, Name string }
			}
		}
		_ = json.Unmarshal([]byte(rec), &r) // a tracker's export is no record
		for _, a := range r.Affected {
			base, release, _ := strings.Cut(a.Package.Ecosystem, ":")
			res, err := Find(db, Package{Ecosystem: base, Release: release, Name: a.Package.Name, Version: version})
			if err == nil && res == nil {
				t.Error("neither result nor error")
			}
		}
	})
}
