package match

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/osv-scalibr/semantic"

	"assize.dev/services/scan/internal/advisory"
	"assize.dev/services/scan/internal/index"
	"assize.dev/services/scan/internal/testdata"
	"assize.dev/shared/event"
	"assize.dev/shared/realdata"
)

// real indexes the real export, or a part of it under the race detector.
func real(t testing.TB) (*index.Index, string) {
	t.Helper()
	from := filepath.Join(realdata.Dir(t), "osv")
	if testdata.Race || testing.Short() {
		to := t.TempDir()
		for _, e := range []string{"crates.io", "npm", "opam"} {
			if err := os.Symlink(filepath.Join(from, e), filepath.Join(to, e)); err != nil {
				t.Fatal(err)
			}
		}
		from = to
	}
	return build(t, from), from
}

// TestKnownPairs pins a few advisories of the real export by what their
// texts say.
func TestKnownPairs(t *testing.T) {
	db, _ := real(t)
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

// TestBruteForce holds Find against the OSV algorithm as the schema writes it
// down, on records as they are decoded and with osv-scalibr's comparators, for
// over a million pairs of advisory and version.
func TestBruteForce(t *testing.T) {
	x, export := real(t)
	byPackage := map[string][]*advisory.Record{}
	names := map[string]advisory.Entry{}
	if _, err := advisory.Read(t.Context(), export, func(r *advisory.Record, _ []byte) error {
		for _, a := range r.Affected {
			key := advisory.Key(a.Ecosystem, a.Name)
			if list := byPackage[key]; len(list) == 0 || list[len(list)-1] != r {
				byPackage[key] = append(list, r)
			}
			names[key] = a
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 8))
	pairs, affected, explained, wrong := 0, 0, 0, 0
	want := 1_000_000
	if testdata.Race || testing.Short() {
		want = 20_000
	}
	keys := slices.Sorted(maps.Keys(byPackage))
	for round := 0; pairs < want && round < 200; round++ {
		for _, key := range keys {
			if pairs >= want {
				break
			}
			a := names[key]
			version := someVersion(r, byPackage[key], key)
			p := Package{PURL: key + "@" + version, Ecosystem: a.Ecosystem, Release: a.Release, Name: a.Name, Version: version}
			res, err := Find(x, p)
			if err != nil {
				continue // the version is none
			}
			found := map[string]bool{}
			for _, v := range res.Vulnerabilities {
				found[v.ID] = true
				for _, id := range v.Aliases {
					found[id] = true
				}
			}
			for _, rec := range byPackage[key] {
				is, ok := bruteForce(rec, key, a.Release, version)
				if !ok {
					continue
				}
				pairs++
				if is {
					affected++
				}
				// An alias that is affected brings its names along.
				if found[rec.ID] == is || !is && aliasFound(rec, res) {
					continue
				}
				if why := explain(a.Ecosystem, version, rec); why != "" {
					explained++
					continue
				}
				if wrong++; wrong <= 10 {
					t.Errorf("%s@%s and %s: found %v, by brute force %v", key, version, rec.ID, found[rec.ID], is)
				}
			}
		}
	}
	t.Logf("%d pairs, %d affected, %d differences explained, %d not", pairs, affected, explained, wrong)
	if pairs < want || affected < want/100 {
		t.Errorf("only %d pairs, %d of them affected", pairs, affected)
	}
}

// someVersion picks one that a record names, or one near it.
func someVersion(r *rand.Rand, records []*advisory.Record, key string) string {
	var all []string
	rec := records[r.IntN(len(records))]
	for _, a := range rec.Affected {
		if advisory.Key(a.Ecosystem, a.Name) != key {
			continue
		}
		all = append(all, a.Versions...)
		for _, g := range a.Ranges {
			for _, b := range g.Bounds {
				all = append(all, b.Version)
			}
		}
	}
	if len(all) == 0 {
		return "1.0.0"
	}
	v := all[r.IntN(len(all))]
	switch r.IntN(4) {
	case 0:
		return v + ".1"
	case 1:
		if i := strings.LastIndexByte(v, '.'); i > 0 {
			return v[:i]
		}
	case 2:
		return v + "-1"
	}
	return v
}

// bruteForce is the evaluation of the OSV schema, step by step. ok is false
// where the oracle cannot compare.
func bruteForce(rec *advisory.Record, key, release, version string) (affected, ok bool) {
	for i := range rec.Affected {
		a := &rec.Affected[i]
		if advisory.Key(a.Ecosystem, a.Name) != key || a.Release != "" && a.Release != release {
			continue
		}
		v, err := semantic.Parse(version, a.Ecosystem)
		if err != nil {
			return false, false
		}
		if len(a.Ranges) == 0 && len(a.Versions) == 0 {
			affected = affected || a.Class == event.ClassMalware
			continue
		}
		for _, w := range a.Versions {
			if c, err := v.CompareStr(w); w == version || err == nil && c == 0 {
				affected = true
			}
		}
		for _, g := range a.Ranges {
			in, ok := included(v, g, a.Ecosystem)
			if !ok {
				return false, false
			}
			affected = affected || in
		}
	}
	return affected, true
}

func included(v semantic.Version, g advisory.Range, ecosystem string) (in, ok bool) {
	if len(g.Limits) > 0 && !slices.Contains(g.Limits, "*") {
		return false, false // the oracle's family does not know them
	}
	bounds := slices.Clone(g.Bounds)
	failed := false
	slices.SortStableFunc(bounds, func(a, b advisory.Bound) int {
		if a.IsZero() || b.IsZero() {
			return map[bool]int{true: 1}[b.IsZero()] - map[bool]int{true: 1}[a.IsZero()]
		}
		w, err := semantic.Parse(a.Version, ecosystem)
		if err != nil {
			failed = true
			return 0
		}
		c, err := w.CompareStr(b.Version)
		failed = failed || err != nil
		return c
	})
	for _, b := range bounds {
		if b.IsZero() {
			in = true
			continue
		}
		c, err := v.CompareStr(b.Version)
		switch {
		case err != nil:
			failed = true
		case b.Kind == advisory.Introduced && c >= 0:
			in = true
		case b.Kind == advisory.Fixed && c >= 0, b.Kind == advisory.LastAffected && c > 0:
			in = false
		}
	}
	return in, !failed
}

func aliasFound(rec *advisory.Record, res *Result) bool {
	for _, v := range res.Vulnerabilities {
		if v.ID == rec.ID || slices.Contains(v.Aliases, rec.ID) {
			return true
		}
	}
	return false
}

// explain says why brute force may answer otherwise; "" if nothing does.
func explain(ecosystem, version string, rec *advisory.Record) string {
	switch ecosystem {
	case "Julia":
		return "build numbers are ordered (Julia's VersionNumber); the oracle drops them"
	case "Bitnami":
		return "the packaging revision is no prerelease; the oracle takes it for one"
	case "npm", "crates.io", "Go", "Hex", "GHC", "Hackage":
		if strings.Count(strings.SplitN(version, "-", 2)[0], ".") > 2 {
			return "numbers beyond the third are numbers; the oracle takes them for a prerelease"
		}
	}
	return ""
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
		to := filepath.Join(t.TempDir(), "index")
		if err := index.WriteExport(t.Context(), to, dir); err != nil {
			return
		}
		db, err := index.Open(to)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
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
