package enrich

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
)

const kev = `{"title":"x","catalogVersion":"2026.01.01","vulnerabilities":[
 {"cveID":"CVE-2021-44228","dateAdded":"2021-12-10","knownRansomwareCampaignUse":"Known"},
 {"cveID":"CVE-2024-0001","dateAdded":"2024-02-01","knownRansomwareCampaignUse":"Unknown"}]}`

const epss = "#model_version:v2023.03.01,score_date:2024-10-25T00:00:00+0000\ncve,epss,percentile\nCVE-2021-44228,0.97565,0.99999\nCVE-2020-1234,0.00043,0.09\n"

func table(t *testing.T) *Table {
	t.Helper()
	k, err := ParseKEV(strings.NewReader(kev))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(epss))
	z.Close()
	e, err := ParseEPSS(&packed)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := ParseEPSS(strings.NewReader(epss))
	if err != nil || len(plain) != len(e) {
		t.Errorf("plain text gives %d, %v", len(plain), err)
	}
	return Merge(k, e)
}

func TestLookup(t *testing.T) {
	all := table(t)
	if all.Len() != 3 || all.Exploited() != 2 || len(all.Digest()) != 64 {
		t.Errorf("%d facts, %d exploited", all.Len(), all.Exploited())
	}
	if f, ok := all.Lookup("GHSA-jfh8-c2jp-5v3q", "CVE-2021-44228"); !ok || f.KEV != "2021-12-10" || !f.Ransomware || f.EPSS != 0.97565 {
		t.Errorf("%+v, %v", f, ok)
	}
	if f, ok := all.Lookup("CVE-2020-1234", "CVE-2024-0001"); !ok || f.KEV != "2024-02-01" || f.Ransomware || f.EPSS != 0.00043 {
		t.Errorf("of two names the gravest: %+v, %v", f, ok)
	}
	if _, ok := all.Lookup("CVE-1999-0001"); ok {
		t.Error("something is known of what nobody told")
	}
	if f, ok := new(Table).Lookup("CVE-2021-44228"); ok {
		t.Errorf("the zero table knows %+v", f)
	}
	if Merge(nil, nil).Digest() == all.Digest() {
		t.Error("two tables, one digest")
	}
}

func TestRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"": "unexpected end", "{}": "lists nothing", `{"vulnerabilities":[{"cveID":"GHSA-1","dateAdded":"2024-01-01"}]}`: "no CVE id",
		`{"vulnerabilities":[{"cveID":"CVE-2024-0001","dateAdded":"soon"}]}`: "no day",
	} {
		if _, err := ParseKEV(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("KEV %q: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "EOF", "cve,epss\n": "wrong number", "a,b,c\n": "want cve,epss,percentile", "cve,epss,percentile\n": "no scores",
		"cve,epss,percentile\nCVE-2024-0001,2,0\n": "line 2", "cve,epss,percentile\nCVE-2024-0001,x,0\n": "line 2", "cve,epss,percentile\nnone,0,0\n": "line 2",
		"cve,epss,percentile\nCVE-2024-0001,NaN,0\n": "line 2", "\x1f\x8bxx": "EOF",
	} {
		if _, err := ParseEPSS(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("EPSS %q: %v, want %q", text, err, want)
		}
	}
}

func FuzzSources(f *testing.F) {
	f.Add([]byte(kev))
	f.Add([]byte(epss))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, _ := ParseKEV(bytes.NewReader(text))
		e, _ := ParseEPSS(bytes.NewReader(text))
		if n := Merge(k, e).Len(); n > len(k)+len(e) {
			t.Errorf("%d facts of %d", n, len(k)+len(e))
		}
	})
}
