package match

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"assize.dev/services/scan/internal/index"
	"assize.dev/shared/event"
)

// record writes an OSV record with one affected package; ranges and
// versions are JSON.
func record(id, ecosystem, name, ranges, versions string, more ...string) string {
	if ranges == "" {
		ranges = "[]"
	}
	if versions == "" {
		versions = "[]"
	}
	eco, _ := json.Marshal(ecosystem)
	pkg, _ := json.Marshal(name)
	return `{"id":"` + id + `","modified":"2026-01-02T03:04:05Z"` + strings.Join(more, "") +
		`,"affected":[{"package":{"ecosystem":` + string(eco) + `,"name":` + string(pkg) + `},"ranges":` + ranges + `,"versions":` + versions + `}]}`
}

// events is one range: "introduced 1, fixed 2".
func events(list string) string { return `[` + rng("ECOSYSTEM", list) + `]` }

func rng(kind, list string) string {
	var out []string
	for e := range strings.SplitSeq(list, ", ") {
		k, v, _ := strings.Cut(e, " ")
		out = append(out, `{"`+k+`":"`+v+`"}`)
	}
	return `{"type":"` + kind + `","events":[` + strings.Join(out, ",") + `]}`
}

func load(t testing.TB, records ...string) *index.Index {
	t.Helper()
	dir := t.TempDir()
	for i, r := range records {
		if err := os.WriteFile(filepath.Join(dir, "r"+string(rune('a'+i))+".json"), []byte(r), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	x := build(t, dir)
	if s := x.Stats(); s.Rejected > 0 {
		t.Fatalf("rejected: %q", s.RejectedNames)
	}
	return x
}

// build makes an index of an export.
func build(t testing.TB, export string) *index.Index {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "index")
	if err := index.WriteExport(context.Background(), dir, export); err != nil {
		t.Fatal(err)
	}
	x, err := index.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func ids(t *testing.T, db *index.Index, purl string) []string {
	t.Helper()
	p, err := Resolve(purl)
	if err != nil {
		t.Fatalf("%s: %v", purl, err)
	}
	res, err := Find(db, p)
	if err != nil {
		t.Fatalf("%s: %v", purl, err)
	}
	if len(res.Unevaluated) > 0 {
		t.Errorf("%s: not evaluated: %q", purl, res.Unevaluated)
	}
	var out []string
	for _, v := range res.Vulnerabilities {
		out = append(out, v.ID)
	}
	return out
}

// TestTraps holds cases that other matchers get wrong.
func TestTraps(t *testing.T) {
	for name, test := range map[string]struct {
		record   string
		affected []string
		clean    []string
	}{
		"1 v prefix of Go": {record("A", "Go", "example.org/m", events("introduced 0, fixed 1.2.3"), ""),
			[]string{"pkg:golang/example.org/m@v1.2.2", "pkg:golang/example.org/m@1.2.2"}, []string{"pkg:golang/example.org/m@v1.2.3"}},
		"1 v prefix of Packagist": {record("A", "Packagist", "a/b", events("introduced v1.0, fixed v1.2"), ""),
			[]string{"pkg:composer/a/b@v1.1", "pkg:composer/A/B@1.1"}, []string{"pkg:composer/a/b@v1.2", "pkg:composer/a/b@0.9"}},
		"2 Go pseudo-versions": {record("A", "Go", "example.org/m", events("introduced 0, fixed 0.0.0-20210101000000-abcdefabcdef"), ""),
			[]string{"pkg:golang/example.org/m@v0.0.0-20201231235959-ffffffffffff"},
			[]string{"pkg:golang/example.org/m@v0.0.0-20210101000000-abcdefabcdef", "pkg:golang/example.org/m@v0.1.0"}},
		"3 stdlib bounds": {record("A", "Go", "stdlib", events("introduced 1.16.0-0, fixed 1.16.1"), ""),
			[]string{"pkg:golang/stdlib@1.16", "pkg:golang/stdlib@1.16rc1", "pkg:golang/stdlib@go1.16", "pkg:golang/std@1.16.0"},
			[]string{"pkg:golang/stdlib@1.16.1", "pkg:golang/stdlib@1.15.9", "pkg:golang/toolchain@1.16"}},
		"4 +incompatible": {record("A", "Go", "example.org/m", events("introduced 0, fixed 2.0.0+incompatible"), ""),
			[]string{"pkg:golang/example.org/m@v1.9.0%2Bincompatible"}, []string{"pkg:golang/example.org/m@v2.0.0%2Bincompatible", "pkg:golang/example.org/m@2.0.0+incompatible"}},
		"5 /vN belongs to the name": {record("A", "Go", "example.org/m/v2", events("introduced 0"), ""),
			[]string{"pkg:golang/example.org/m/v2@v2.1.0"}, []string{"pkg:golang/example.org/m@v2.1.0", "pkg:golang/example.org/m/v3@v3.0.0"}},
		"6 upper-case Go paths": {record("A", "Go", "github.com/Masterminds/x", events("introduced 0, fixed 2.0.0"), ""),
			[]string{"pkg:golang/github.com/Masterminds/x@v1.0.0", "pkg:golang/github.com/masterminds/x@v1.0.0"},
			[]string{"pkg:golang/github.com/MasterMinds/x@v1.0.0"}},
		"7 prerelease below introduced": {record("A", "npm", "a", events("introduced 1.0.0, fixed 2.0.0"), ""),
			[]string{"pkg:npm/a@1.0.0", "pkg:npm/a@2.0.0-rc.1"}, []string{"pkg:npm/a@1.0.0-rc.1", "pkg:npm/a@2.0.0"}},
		"8 numeric prereleases": {record("A", "npm", "a", events("introduced 0, fixed 1.0.0-beta.10"), ""),
			[]string{"pkg:npm/a@1.0.0-beta.9"}, []string{"pkg:npm/a@1.0.0-beta.11", "pkg:npm/a@1.0.0-beta.10", "pkg:npm/a@1.0.0-beta.x"}},
		"9 gaps": {record("A", "npm", "a", `[`+rng("SEMVER", "introduced 1.0.0, fixed 1.5.0")+`,`+rng("SEMVER", "introduced 2.0.0, fixed 2.5.0")+`]`, ""),
			[]string{"pkg:npm/a@1.4.9", "pkg:npm/a@2.0.0"}, []string{"pkg:npm/a@1.5.0", "pkg:npm/a@2.5.0", "pkg:npm/a@0.9.0"}},
		"9 gaps in one range": {record("A", "npm", "a", events("introduced 1.0.0, fixed 1.5.0, introduced 2.0.0, fixed 2.5.0"), ""),
			[]string{"pkg:npm/a@1.4.9", "pkg:npm/a@2.0.0"}, []string{"pkg:npm/a@1.5.0", "pkg:npm/a@2.5.0", "pkg:npm/a@0.9.0"}},
		"10 PEP 440": {record("A", "PyPI", "Jw.Util", events("introduced 0, fixed 2.2"), `["3.0rc1"]`),
			[]string{"pkg:pypi/jw-util@2.2rc1", "pkg:pypi/jw_util@2.1.post1", "pkg:pypi/JW-UTIL@3.0c1", "pkg:pypi/jw--util@3.0.0rc1"},
			[]string{"pkg:pypi/jw-util@2.2.0", "pkg:pypi/jw-util@2.2.post1"}},
		"11 last_affected is affected": {record("A", "npm", "a", events("introduced 0, last_affected 1.5.0"), ""),
			[]string{"pkg:npm/a@1.5.0"}, []string{"pkg:npm/a@1.5.1"}},
		"12 GIT before ECOSYSTEM": {record("A", "PyPI", "a", `[`+rng("GIT", "introduced 0, fixed abc")+`,`+rng("ECOSYSTEM", "introduced 0, fixed 2")+`]`, ""),
			[]string{"pkg:pypi/a@1"}, []string{"pkg:pypi/a@2"}},
		"13 unsorted events": {record("A", "npm", "a", events("fixed 2.5.0, introduced 2.0.0, fixed 1.5.0, introduced 0"), ""),
			[]string{"pkg:npm/a@1.0.0", "pkg:npm/a@2.1.0"}, []string{"pkg:npm/a@1.6.0", "pkg:npm/a@3.0.0"}},
		"13 ties among many": {record("A", "npm", "a", events("introduced 1.0.0, last_affected 1.0.0, introduced 2.0.0, last_affected 2.0.0, introduced 3.0.0, last_affected 3.0.0, introduced 4.0.0, last_affected 4.0.0, introduced 5.0.0, last_affected 5.0.0, introduced 6.0.0, last_affected 6.0.0, introduced 7.0.0, last_affected 7.0.0"), ""),
			[]string{"pkg:npm/a@1.0.0", "pkg:npm/a@4.0.0", "pkg:npm/a@7.0.0"}, []string{"pkg:npm/a@1.0.1", "pkg:npm/a@4.5.0", "pkg:npm/a@8.0.0"}},
		"14 introduced is fixed": {record("A", "npm", "a", events("introduced 1.0.0, fixed 1.0.0"), ""), nil, []string{"pkg:npm/a@1.0.0", "pkg:npm/a@0.1.0"}},
		"15 withdrawn though listed": {record("A", "npm", "a", events("introduced 0"), `["1.0.0"]`, `,"withdrawn":"2026-01-01T00:00:00Z"`),
			nil, []string{"pkg:npm/a@1.0.0"}},
		"16 npm upper case": {record("A", "npm", "JSONStream", events("introduced 0"), ""), []string{"pkg:npm/JSONStream@1.0.0"}, []string{"pkg:npm/jsonstream@1.0.0"}},
		"17 Julia builds": {record("A", "Julia", "a", events("introduced 0, fixed 1.0.7+1"), ""),
			[]string{"pkg:julia/a@1.0.7%2B0", "pkg:julia/a@1.0.7"}, []string{"pkg:julia/a@1.0.7+1", "pkg:julia/a@1.0.7+10"}},
		"18 rpm epoch": {record("A", "AlmaLinux:9", "openssl", events("introduced 0, fixed 1:3.0.1-41.el9_0"), ""),
			[]string{"pkg:rpm/almalinux/openssl@3.0.0-1.el9?epoch=1&distro=almalinux-9.2", "pkg:rpm/almalinux/openssl@1:3.0.1-40.el9_0?distro=almalinux-9", "pkg:rpm/almalinux/openssl@9.9-1.el9"},
			[]string{"pkg:rpm/almalinux/openssl@3.0.1-41.el9_0?epoch=1&distro=almalinux-9.2"}},
		"18 rpm tilde": {record("A", "AlmaLinux:9", "a", events("introduced 0, fixed 1.0-1"), ""), []string{"pkg:rpm/almalinux/a@1.0~rc1-1?distro=almalinux-9"}, []string{"pkg:rpm/almalinux/a@1.0-1?distro=almalinux-9"}},
		"19 release in the key": {record("A", "Debian:12", "a", events("introduced 0, fixed 2-1"), ""),
			[]string{"pkg:deb/debian/a@1-1?distro=debian-12", "pkg:deb/debian/a@1-1?distro=bookworm", "pkg:deb/debian/a@1-1~deb12u1", "pkg:deb/debian/a@1-1?distro=debian-12.5"},
			[]string{"pkg:deb/debian/a@1-1?distro=debian-11", "pkg:deb/debian/a@2-1?distro=debian-12"}},
		"21 Drupal's namespace": {record("A", "Packagist:https://packages.drupal.org/8", "drupal/webform", events("introduced 0, fixed 6.2.0"), ""),
			[]string{"pkg:composer/drupal/webform@6.1.0", "pkg:composer/drupal/webform@6.1.0?repository_url=https%3A%2F%2Fpackages.drupal.org%2F8"},
			[]string{"pkg:composer/drupal/webform@6.2.0", "pkg:composer/drupal/webform@6.1.0?repository_url=https://other.example"}},
		"limit":        {record("A", "npm", "a", events("introduced 0, limit 2.0.0"), ""), []string{"pkg:npm/a@1.9.9"}, []string{"pkg:npm/a@2.0.0"}},
		"limit of any": {record("A", "npm", "a", events("introduced 0, limit *, limit 1.0.0"), ""), []string{"pkg:npm/a@7.0.0"}, nil},
		"Maven qualifiers": {record("A", "Maven", "org.example:a", events("introduced 1.0-beta1, fixed 1.0"), ""),
			[]string{"pkg:maven/org.example/a@1.0-rc1", "pkg:maven/org.example/a@1.0-SNAPSHOT", "pkg:maven/org.example/a@1.0-milestone2"},
			[]string{"pkg:maven/org.example/a@1.0-alpha9", "pkg:maven/org.example/a@1.0.GA", "pkg:maven/org.example/a@1.0-sp1", "pkg:maven/org.other/a@1.0-rc1"}},
		"NuGet":    {record("A", "NuGet", "Some.Package", events("introduced 0, fixed 1.2.3.4"), ""), []string{"pkg:nuget/some.package@1.2.3.3", "pkg:nuget/SOME.PACKAGE@1.2.3"}, []string{"pkg:nuget/Some.Package@1.2.3.4"}},
		"RubyGems": {record("A", "RubyGems", "a", events("introduced 0, fixed 1.0.0"), ""), []string{"pkg:gem/a@1.0.0.pre"}, []string{"pkg:gem/a@1.0.0"}},
		"Debian tilde": {record("A", "Debian:12", "a", events("introduced 0, fixed 1.0-1"), ""),
			[]string{"pkg:deb/debian/a@1.0~rc1-1?distro=debian-12"}, []string{"pkg:deb/debian/a@1.0-1%2Bb1?distro=debian-12", "pkg:deb/debian/a@1:0.1-1?distro=debian-12"}},
		"Debian source name": {record("A", "Debian:12", "openssl", events("introduced 0, fixed 3.0.11-1"), ""),
			[]string{"pkg:deb/debian/libssl3@3.0.9-1?distro=debian-12&upstream=openssl", "pkg:deb/debian/libssl3@9?distro=debian-12&upstream=openssl%403.0.9-1"},
			[]string{"pkg:deb/debian/libssl3@3.0.9-1?distro=debian-12"}},
		"Alpine": {record("A", "Alpine:v3.18", "a", events("introduced 0, fixed 1.2.0-r1"), ""),
			[]string{"pkg:apk/alpine/a@1.2.0-r0?distro=alpine-3.18.4", "pkg:apk/alpine/a@1.2.0_rc1-r1?distro=3.18.4"}, []string{"pkg:apk/alpine/a@1.2.0-r1?distro=alpine-3.18.4", "pkg:apk/alpine/a@1.1-r0?distro=alpine-3.19.0"}},
		"Ubuntu":                   {record("A", "Ubuntu:Pro:18.04:LTS", "a", events("introduced 0, fixed 2"), ""), []string{"pkg:deb/ubuntu/a@1?distro=ubuntu-18.04"}, []string{"pkg:deb/ubuntu/a@1?distro=ubuntu-22.04"}},
		"npm scope":                {record("A", "npm", "@scope/a", events("introduced 0"), ""), []string{"pkg:npm/%40scope/a@1.0.0", "pkg:npm/@scope/a@1.0.0"}, []string{"pkg:npm/a@1.0.0"}},
		"malware without versions": {record("MAL-2026-1", "npm", "evil", "", ""), []string{"pkg:npm/evil@0.0.1"}, nil},
		"opam":                     {record("A", "opam", "ocaml", events("introduced 0, fixed 4.03.0"), ""), []string{"pkg:opam/ocaml@4.02.3", "pkg:opam/ocaml@4.03.0~beta1"}, []string{"pkg:opam/ocaml@4.03.0", "pkg:opam/ocaml@4.10.0"}},
		"Bitnami revision":         {record("A", "Bitnami", "airflow", events("introduced 0, fixed 2.7.3"), ""), []string{"pkg:bitnami/airflow@2.7.2-5"}, []string{"pkg:bitnami/airflow@2.7.3-0", "pkg:bitnami/airflow@2.7.3"}},
		"SEMVER in an unordered ecosystem's place": {record("A", "GitHub Actions", "org/action", `[`+rng("SEMVER", "introduced 0, fixed 4.1.0")+`]`, ""),
			[]string{"pkg:githubactions/Org/action@v4.0.0"}, []string{"pkg:githubactions/org/action@v4.1.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			db := load(t, test.record)
			for _, purl := range test.affected {
				if got := ids(t, db, purl); len(got) != 1 {
					t.Errorf("%s: %q, want it affected", purl, got)
				}
			}
			for _, purl := range test.clean {
				if got := ids(t, db, purl); len(got) != 0 {
					t.Errorf("%s: %q, want it not affected", purl, got)
				}
			}
		})
	}
}

func TestUnevaluated(t *testing.T) {
	db := load(t,
		record("EMPTY", "npm", "empty", "", ""),
		record("GIT", "npm", "git", `[`+rng("GIT", "introduced 0")+`]`, ""),
		record("BOUND", "Hackage", "bound", events("introduced 0, fixed 1.0-x"), ""),
		record("ODD", "Weird", "odd", events("introduced 0"), ""))
	for _, purl := range []string{"pkg:npm/empty@1.0.0", "pkg:npm/git@1.0.0", "pkg:hackage/bound@0.9"} {
		p, err := Resolve(purl)
		if err != nil {
			t.Fatal(err)
		}
		res, err := Find(db, p)
		if err != nil || len(res.Unevaluated) != 1 || len(res.Vulnerabilities) != 0 {
			t.Errorf("%s: %+v, %v, want one advisory not evaluated", purl, res, err)
		}
	}
	for _, purl := range []string{"pkg:npm/a", "pkg:npm/a@latest", "pkg:golang/x/y@(devel)", "pkg:hackage/bound@1-x", "pkg:composer/a/b@dev-main",
		"pkg:npm/a@" + strings.Repeat("1", 600)} {
		p, err := Resolve(purl)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := Find(db, p); !errors.Is(err, ErrVersion) {
			t.Errorf("%.60s: %+v, %v, want ErrVersion", purl, res, err)
		}
	}
	if _, err := Find(db, Package{Ecosystem: "Weird", Name: "odd", Version: "1"}); !errors.Is(err, ErrVersion) {
		t.Errorf("unknown ecosystem: %v, want ErrVersion", err)
	}
}

func TestResolveRefuses(t *testing.T) {
	for purl, want := range map[string]error{
		"pkg:generic/a@1": ErrNoSource, "pkg:rpm/fedora/a@1": ErrNoSource, "pkg:docker/a@1": ErrNoSource,
		"pkg:deb/debian/a@1-1": ErrRelease, "pkg:rpm/redhat/a@1": ErrRelease, "pkg:apk/alpine/a@1-r0": ErrRelease,
	} {
		if _, err := Resolve(purl); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", purl, err, want)
		}
	}
	for _, purl := range []string{"", "a", "pkg:", "pkg:npm", "pkg:npm/", "pkg:npm/%zz@1", "pkg:npm/a?x=%zz", "pkg:npm/a@%f"} {
		if p, err := Resolve(purl); err == nil || errors.Is(err, ErrNoSource) {
			t.Errorf("%q: %+v, %v, want an error of its own", purl, p, err)
		}
	}
}

func TestGroups(t *testing.T) {
	severe := `,"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]`
	db := load(t,
		record("PYSEC-1", "PyPI", "a", events("introduced 0, fixed 3"), "", `,"aliases":["CVE-2026-1"]`),
		record("GHSA-1", "PyPI", "a", events("introduced 0, fixed 3.0"), "", `,"aliases":["CVE-2026-1"]`, severe, `,"summary":"bad  thing\n`+strings.Repeat("é", 300)+`"`),
		record("CVE-2026-2", "PyPI", "a", events("introduced 0"), "", `,"related":["GHSA-1"],"upstream":["PYSEC-1"]`),
		record("RUSTSEC-1", "crates.io", "old", events("introduced 0"), ""),
		`{"id":"RUSTSEC-2","modified":"x","affected":[{"package":{"ecosystem":"crates.io","name":"old"},"ranges":`+events("introduced 0")+`,"database_specific":{"informational":"unmaintained"}}]}`,
		`{"id":"RUSTSEC-3","modified":"x","affected":[{"package":{"ecosystem":"crates.io","name":"old"},"ranges":`+events("introduced 0")+`,"database_specific":{"categories":["malicious"]}}]}`)
	p, _ := Resolve("pkg:pypi/a@1")
	res, err := Find(db, p)
	if err != nil || len(res.Vulnerabilities) != 2 {
		t.Fatalf("%+v, %v, want two groups", res, err)
	}
	other, v := res.Vulnerabilities[0], res.Vulnerabilities[1]
	if v.ID != "GHSA-1" || !slices.Equal(v.Aliases, []string{"CVE-2026-1", "PYSEC-1"}) || v.Severity != event.Critical || v.Score != 9.8 ||
		!slices.Equal(v.Fixed, []string{"3.0", "3"}) || !strings.HasPrefix(v.Summary, "bad thing é") || len([]rune(v.Summary)) != 200 {
		t.Errorf("group %+v", v)
	}
	if other.ID != "CVE-2026-2" || other.Severity != event.Unknown {
		t.Errorf("related and upstream must not join: %+v", other)
	}
	p, _ = Resolve("pkg:cargo/old@1.0.0")
	res, err = Find(db, p)
	if err != nil || len(res.Vulnerabilities) != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
	for i, want := range []struct {
		class    event.Class
		severity event.Severity
	}{{event.ClassVulnerability, event.Unknown}, {event.ClassInformational, event.Info}, {event.ClassMalware, event.Critical}} {
		if v := res.Vulnerabilities[i]; v.Class != want.class || v.Severity != want.severity {
			t.Errorf("%s: %s %s, want %s %s", v.ID, v.Class, v.Severity, want.class, want.severity)
		}
	}
}

func TestArchTracker(t *testing.T) {
	dir := t.TempDir()
	tracker := `[{"name":"AVG-1","packages":["curl","libcurl"],"status":"Fixed","severity":"Low","type":"denial of service","affected":"7.50.2-1","fixed":"7.50.3-1","issues":["CVE-1"]},
	{"name":"AVG-2","packages":["open"],"status":"Vulnerable","severity":"High","affected":"1-1","fixed":null},
	{"name":"AVG-3","packages":["curl"],"status":"Not affected","severity":"High","affected":"1-1","fixed":null}]`
	if err := os.WriteFile(filepath.Join(dir, "all.json"), []byte(tracker), 0o600); err != nil {
		t.Fatal(err)
	}
	db := build(t, dir)
	for purl, want := range map[string]int{
		"pkg:alpm/arch/curl@7.50.2-1?arch=x86_64": 1, "pkg:alpm/arch/libcurl@7.40.0-3": 1, "pkg:alpm/arch/curl@7.50.3-1": 0,
		"pkg:alpm/arch/curl@1:1.0-1": 0, "pkg:alpm/arch/open@99-1": 1,
	} {
		if got := ids(t, db, purl); len(got) != want {
			t.Errorf("%s: %q, want %d", purl, got, want)
		}
	}
}
