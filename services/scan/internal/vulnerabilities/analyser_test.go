package vulnerabilities

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/services/scan/internal/index"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

func database(t testing.TB) *index.Index {
	t.Helper()
	dir := t.TempDir()
	record := `{"id":%q,"modified":"2026-01-01T00:00:00Z","summary":"it breaks","aliases":["CVE-2026-9"],"affected":[{"package":{"ecosystem":%q,"name":"a"},
		"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}],"database_specific":{"severity":"HIGH"}}]}`
	for i, eco := range []string{"npm", "Debian:12"} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i, ".json")), fmt.Appendf(nil, record, fmt.Sprint("TEST-", i), eco), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	to := filepath.Join(t.TempDir(), "index")
	if err := index.WriteExport(context.Background(), to, dir); err != nil {
		t.Fatal(err)
	}
	db, err := index.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	return db // closed by the handles that hold it, or with the process
}

// holding knows an index, or nothing.
func holding(x *index.Index) *Knowledge {
	k := new(Knowledge)
	k.Advisories.Swap(x)
	return k
}

func bom(root string, purls ...string) string {
	var list []string
	for _, p := range purls {
		list = append(list, fmt.Sprintf(`{"type":"library","name":"n","purl":%q}`, p))
	}
	return fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":"1.5","metadata":{"component":{"type":"library","name":"root","purl":%q}},"components":[%s]}`,
		root, strings.Join(list, ","))
}

func analyse(t *testing.T, db *index.Index, sbom *event.Evidence, document string) *evidence.Answer {
	t.Helper()
	answer, err := New(holding(db)).Analyse(context.Background(), evidence.Input{
		Evidence: sbom,
		Document: func(context.Context, event.Document) ([]byte, error) { return []byte(document), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Reason == "" && answer.Status != event.Complete && answer.Status != event.NotApplicable {
		t.Errorf("status %s without a reason", answer.Status)
	}
	return answer
}

func sbom(status event.Status, reason string) *event.Evidence {
	return &event.Evidence{Kind: event.KindSBOM, Status: status, Reason: reason, Documents: []event.Document{{Name: "other"}, {Name: "sbom", Key: "k", Size: 10}}}
}

func TestStatus(t *testing.T) {
	db := database(t)
	huge := sbom(event.Complete, "")
	huge.Documents[1].Size = 1 << 40
	for name, test := range map[string]struct {
		db       *index.Index
		sbom     *event.Evidence
		document string
		status   event.Status
		reason   string
	}{
		"no database":             {nil, sbom(event.Complete, ""), bom("pkg:npm/b@1.0.0"), event.Failed, "no advisories loaded"},
		"no evidence":             {db, nil, "", event.Failed, "no SBOM"},
		"another kind":            {db, &event.Evidence{Kind: event.KindContent, Status: event.Complete}, "", event.Failed, "no SBOM"},
		"failed SBOM":             {db, sbom(event.Failed, "it broke"), "", event.Failed, "no SBOM: it broke"},
		"no document":             {db, &event.Evidence{Kind: event.KindSBOM, Status: event.Complete}, "", event.Failed, "no document named sbom"},
		"huge document":           {db, huge, "", event.Failed, "at most"},
		"broken document":         {db, sbom(event.Complete, ""), "{", event.Failed, "not JSON"},
		"another document":        {db, sbom(event.Complete, ""), `{"spdxVersion":"SPDX-2.3"}`, event.Failed, "lists no packages"},
		"not applicable":          {db, sbom(event.NotApplicable, ""), "", event.NotApplicable, ""},
		"partial SBOM":            {db, sbom(event.Partial, "truncated"), bom("pkg:npm/b@1.0.0"), event.Partial, "the SBOM is partial: truncated"},
		"no components":           {db, sbom(event.Complete, ""), `{"bomFormat":"CycloneDX","specVersion":"1.5"}`, event.Complete, ""},
		"clean":                   {db, sbom(event.Complete, ""), bom("pkg:npm/a@2.0.0"), event.Complete, ""},
		"ecosystem not loaded":    {db, sbom(event.Complete, ""), bom("pkg:npm/a@2.0.0", "pkg:pypi/x@1", "pkg:pypi/y@1", "pkg:cargo/z@1.0.0"), event.Partial, "no advisories loaded for PyPI (2 components), crates.io (1 component)"},
		"release not loaded":      {db, sbom(event.Complete, ""), bom("pkg:deb/debian/a@1?distro=debian-11"), event.Partial, "Debian:11 (1 component)"},
		"distribution not loaded": {db, sbom(event.Complete, ""), bom("pkg:apk/alpine/a@1-r0"), event.Partial, "Alpine (1 component)"},
		"both partial":            {db, sbom(event.Partial, "truncated"), bom("pkg:pypi/x@1"), event.Partial, "truncated; no advisories loaded for PyPI"},
		"types without a source":  {db, sbom(event.Complete, ""), bom("pkg:generic/app@1", "pkg:docker/x@1"), event.Complete, ""},
	} {
		t.Run(name, func(t *testing.T) {
			answer := analyse(t, test.db, test.sbom, test.document)
			if answer.Status != test.status || !strings.Contains(answer.Reason, test.reason) || test.reason == "" && answer.Reason != "" {
				t.Errorf("%s, %q, want %s, %q", answer.Status, answer.Reason, test.status, test.reason)
			}
			if answer.Status != event.Failed && answer.Basis["advisories"] != db.Generation() {
				t.Errorf("basis %v", answer.Basis)
			}
		})
	}
}

func TestFindings(t *testing.T) {
	nested := strings.Replace(bom("pkg:npm/a@1.0.0", "pkg:npm/a@1.0.0", "pkg:npm/a@latest", "pkg:generic/x@1", "pkg:generic/y@1", "pkg:deb/debian/a@1"),
		`"components":[`, `"components":[{"type":"library","name":"outer","components":[{"type":"library","name":"in","purl":"pkg:deb/debian/a@1-1?distro=debian-12"}]},{"type":"file","name":"README"},`, 1)
	answer := analyse(t, database(t), sbom(event.Complete, ""), nested)
	if answer.Status != event.Complete {
		t.Errorf("%s: %s", answer.Status, answer.Reason)
	}
	var got []string
	for _, f := range answer.Findings {
		got = append(got, fmt.Sprintf("%s %s %s %s %s", f.ID, f.Class, f.Severity, f.Component, f.Message))
	}
	want := []string{
		"TEST-0 vulnerability high pkg:npm/a@1.0.0 a 1.0.0 is affected by TEST-0: it breaks",
		"TEST-1 vulnerability high pkg:deb/debian/a@1-1?distro=debian-12 a 1-1 is affected by TEST-1: it breaks",
		"vulnerabilities/unevaluated unevaluated info  2 not evaluated: no source of advisories for packages of type \"generic\": pkg:generic/x@1, pkg:generic/y@1",
		"vulnerabilities/unevaluated unevaluated info  1 not evaluated: no package URL: outer",
		"vulnerabilities/unevaluated unevaluated info pkg:deb/debian/a@1 1 not evaluated: release of the distribution unknown: pkg:deb/debian/a@1",
		"vulnerabilities/unevaluated unevaluated info pkg:npm/a@latest 1 not evaluated: version cannot be compared: pkg:npm/a@latest",
	}
	for _, w := range want {
		found := false
		for _, g := range got {
			found = found || g == w
		}
		if !found {
			t.Errorf("missing %q", w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d findings:\n%s", len(got), strings.Join(got, "\n"))
	}
	if f := answer.Findings[0]; f.Fixed[0] != "2.0.0" || f.Aliases[0] != "CVE-2026-9" {
		t.Errorf("finding %+v", f)
	}
}

func TestDocumentUnreachable(t *testing.T) {
	gone := errors.New("store is away")
	db := database(t)
	_, err := New(holding(db)).Analyse(context.Background(), evidence.Input{
		Evidence: sbom(event.Complete, ""),
		Document: func(context.Context, event.Document) ([]byte, error) { return nil, gone },
	})
	if !errors.Is(err, gone) {
		t.Errorf("error %v: an unreachable store must be tried again, not answered", err)
	}
}

func FuzzSBOM(f *testing.F) {
	f.Add([]byte(bom("pkg:npm/a@1.0.0", "pkg:npm/%zz@1", "pkg:deb/debian/a@1?distro=debian-12")))
	f.Add([]byte(`{"bomFormat":"CycloneDX","components":[{"components":[{"purl":"pkg:"}]}]}`))
	known, _ := holding(database(f)).Acquire()
	f.Fuzz(func(t *testing.T, data []byte) {
		_, purls, err := ComponentsOf(data)
		if err != nil {
			return
		}
		if _, err := known.evaluate(context.Background(), purls); err != nil {
			t.Error(err)
		}
	})
}
