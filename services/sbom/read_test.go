package sbom

import (
	"fmt"
	"strings"
	"testing"

	"assize.dev/shared/identify"
)

func sample(components ...string) *Result {
	r := &Result{Identity: identify.Identity{Format: identify.NPM, Name: "app", Version: "1.0.0", PURL: "pkg:npm/app@1.0.0"}}
	for _, c := range components {
		name, rest, _ := strings.Cut(c, "@")
		version, declared, _ := strings.Cut(rest, " ")
		p := identify.Package{Type: "npm", Name: name, Version: version}
		if declared != "" {
			p.Licenses = []string{declared}
		}
		r.Components = append(r.Components, Component{Package: p, PURL: p.PURL(), Relation: Contains, Paths: []string{name}, Found: 1})
	}
	return r
}

// Every format that is written is read, and says the same.
func TestReadWhatIsWritten(t *testing.T) {
	r := sample("a@1.0.0 MIT", "b@2.0.0 MIT OR ISC", "c@3.0.0 homemade", "d@4.0.0")
	for _, f := range Formats {
		document, err := r.Document(f, Subject{Filename: "app.tgz"})
		if err != nil {
			t.Fatal(err)
		}
		l, err := Read(document)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if got := fmt.Sprint(l.Subject, l.Parts); got != "{pkg:npm/app@1.0.0 app 1.0.0 } [{pkg:npm/a@1.0.0 a 1.0.0 MIT} {pkg:npm/b@2.0.0 b 2.0.0 MIT OR ISC} {pkg:npm/c@3.0.0 c 3.0.0 homemade} {pkg:npm/d@4.0.0 d 4.0.0 }]" {
			t.Errorf("%s: %s", f, got)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"": "not JSON", "{}": "neither", `{"spdxVersion":"SPDX-3.0"}`: "neither", "[]": "not JSON",
		`{"bomFormat":"CycloneDX","components":7}`:     "CycloneDX",
		`{"spdxVersion":"SPDX-2.3","packages":"none"}`: "SPDX",
	} {
		if _, err := Read([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestCompare(t *testing.T) {
	listing := func(r *Result, f Format) *Listing {
		document, err := r.Document(f, Subject{Filename: "app.tgz"})
		if err != nil {
			t.Fatal(err)
		}
		l, err := Read(document)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	old := sample("a@1.0.0 MIT", "b@1.0.0", "c@1.0.0", "e@1.0.0", "e@2.0.0")
	now := sample("a@1.0.0 ISC", "b@2.0.0", "d@1.0.0", "e@3.0.0")
	var got []string
	for _, c := range Compare(listing(old, CycloneDX15), listing(now, SPDX23)) {
		from, to := "", ""
		if c.From != nil {
			from = c.From.PURL
		}
		if c.To != nil {
			to = c.To.PURL
		}
		got = append(got, c.What+" "+from+">"+to)
	}
	want := "licence pkg:npm/a@1.0.0>pkg:npm/a@1.0.0; version pkg:npm/b@1.0.0>pkg:npm/b@2.0.0; removed pkg:npm/c@1.0.0>; added >pkg:npm/d@1.0.0; " +
		"removed pkg:npm/e@1.0.0>; removed pkg:npm/e@2.0.0>; added >pkg:npm/e@3.0.0"
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("%s\nwant %s", s, want)
	}
	if same := Compare(listing(old, SPDX23), listing(old, CycloneDX17)); len(same) != 0 {
		t.Errorf("the same content differs: %v", same)
	}
}

func FuzzRead(f *testing.F) {
	for _, format := range Formats {
		document, err := sample("a@1.0.0 MIT", "b@2.0.0 homemade").Document(format, Subject{Filename: "x"})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(document)
	}
	f.Fuzz(func(_ *testing.T, document []byte) {
		if l, err := Read(document); err == nil {
			Compare(l, l)
		}
	})
}
