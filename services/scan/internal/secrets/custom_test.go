package secrets

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"assize.dev/services/scan/internal/unpack"
	"assize.dev/shared/archive"
	"assize.dev/shared/event"
)

func parseRules(t testing.TB, text string) *Rules {
	t.Helper()
	rules, err := ParseRules([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

const acme = `
title = "rules of acme"
[[rules]]
id = "acme-token"
description = "Acme token"
regex = '''\b(?P<secret>acme_[a-z0-9]{16})\b'''
keywords = ["ACME_"]
entropy = 3.0
tags = ["critical"]
`

func TestCustomRules(t *testing.T) {
	s := newSamples(12)
	token := "acme" + "_" + s.run(lower+digits, 15) + "7"
	for name, test := range map[string]struct {
		rules, path, text string
		want              []string
	}{
		"found":             {acme, "a", "x " + token + " y", []string{"acme-token critical entropy 2"}},
		"keyword in a word": {acme, "a", "x" + token, nil},
		"low entropy":       {acme, "a", "acme_" + strings.Repeat("a", 16), nil},
		"without keywords":  {"[[rules]]\nid='n'\nregex='''zq[0-9]{6}'''", "a", "zq123456", []string{"n medium structure 0"}},
		"short keyword":     {"[[rules]]\nid='n'\nregex='''zq[0-9]{6}'''\nkeywords=['zq']", "a", "\n zq123456", []string{"n medium structure 2"}},
		"group":             {"[[rules]]\nid='n'\nregex='''(a+)=(zq[0-9]{6})'''\nsecretGroup=2\nkeywords=['zq1']", "a", "aa=zq123456", []string{"n medium structure 3"}},
		"path met":          {"[[rules]]\nid='n'\nregex='''zq[0-9]{6}'''\npath='''\\.env$'''", "a/.env", "zq123456", []string{"n medium structure 0"}},
		"path not met":      {"[[rules]]\nid='n'\nregex='''zq[0-9]{6}'''\npath='''\\.env$'''", "a/.enw", "zq123456", nil},
		"stop word":         {acme + "[[rules.allowlists]]\nstopwords=['" + token[5:9] + "']", "a", token, nil},
		"allowed path":      {acme + "[allowlist]\npaths=['''^vendored/''']", "vendored/x", token, nil},
		"both must apply":   {acme + "[[allowlists]]\ncondition='AND'\npaths=['''^vendored/''']\nregexes=['''^none$''']", "vendored/x", token, []string{"acme-token critical entropy 0"}},
		"another rule's":    {acme + "[[allowlists]]\ntargetRules=['other']\nregexes=['''acme''']", "a", token, []string{"acme-token critical entropy 0"}},
		"line":              {acme + "[[allowlists]]\nregexTarget='line'\nregexes=['''no secret''']", "a", token + " no secret", nil},
		"disabled":          {acme + "[extend]\nuseDefault=true\ndisabledRules=['acme-token']", "a", token, nil},
		"refuted":           {"[[rules]]\nid='n'\nregex='''ghp_[a-z]{36}'''", "a", "ghp_" + s.run(lower, 36), nil},
	} {
		var got []string
		if err := New([]byte("key"), parseRules(t, test.rules)).Scan(context.Background(), test.path, strings.NewReader(test.text), func(m Match) {
			checkMatch(t, test.text, m)
			got = append(got, fmt.Sprintf("%s %s %s %d", m.Rule, m.Severity, m.Confidence, m.Offset))
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestCustomChunks plants a custom secret around the ends of chunks.
func TestCustomChunks(t *testing.T) {
	s := newSamples(13)
	token := "acme" + "_" + s.run(lower+digits, 15) + "7"
	e := New([]byte("key"), parseRules(t, acme))
	filler := strings.Repeat("0123456 ", bufferSize/4)
	for _, near := range []int{chunkSize, chunkSize + lookBehind, bufferSize, 2*chunkSize + lookBehind} {
		for _, shift := range []int{-21, -8, -1, 0, 3} {
			n := 0
			text := filler[:near+shift] + " " + token + " "
			if err := e.Scan(context.Background(), "a", strings.NewReader(text), func(m Match) {
				n++
				if m.Offset != int64(near+shift+1) {
					t.Errorf("at %d, want %d", m.Offset, near+shift+1)
				}
			}); err != nil {
				t.Fatal(err)
			}
			if n != 1 {
				t.Errorf("%d found at %d%+d", n, near, shift)
			}
		}
	}
}

func TestRuleOnPath(t *testing.T) {
	e := New([]byte("key"), parseRules(t, "[[rules]]\nid='keystore'\ndescription='key store'\npath='''\\.p12$'''\ntags=['high']"))
	data := gz(t, tarOf(t, "etc/server.p12", "binary", "etc/other", "x"))
	var got []string
	if _, err := e.Examine(context.Background(), unpack.Artifact{Bytes: strings.NewReader(data), Size: int64(len(data)), Name: "a.tgz"}, archive.Limits{}, func(location string, m Match) {
		got = append(got, location+" "+m.Rule)
		if m.Severity != event.High {
			t.Errorf("severity %s", m.Severity)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{"etc/server.p12 keystore"}) {
		t.Errorf("found %q", got)
	}
}

// TestCustomBeforeGeneric: what somebody made a rule for has its name.
func TestCustomBeforeGeneric(t *testing.T) {
	rules, err := ParseRules([]byte(acme))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	text := "api_secret = 'acme_" + "k7w2q9x4m1z8v3b6" + "'\n"
	if err := New([]byte("key"), rules).Scan(context.Background(), "", strings.NewReader(text), func(m Match) { got = append(got, m.Rule) }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{"acme-token"}) {
		t.Errorf("found %q", got)
	}
}

func TestRuleErrors(t *testing.T) {
	for text, want := range map[string]string{
		"x = ": "parse TOML",
		"[[rules]]\nid='a'\nregex='b'\nentropi=3":                                    `unknown key "rules.entropi"`,
		"[[rules]]\nregex='b'":                                                       "rule 1: id is missing",
		"[[rules]]\nid='a'":                                                          `rule "a": neither regex nor path`,
		"[[rules]]\nid='a'\nregex='('":                                               "regex: error parsing regexp",
		"[[rules]]\nid='a'\nregex='(?=a)'":                                           "no look-around",
		"[[rules]]\nid='a'\nregex='b'\nsecretGroup=1":                                "secretGroup: 1, but the regex has 0 groups",
		"[[rules]]\nid='a'\nregex='b'\n[[rules]]\nid='a'\nregex='c'":                 "given twice",
		"[[rules]]\nid='a'\nregex='b'\nkeywords=['x']":                               "keyword \"x\": 1 bytes",
		"[[rules]]\nid='a'\nregex='b'\nkeywords=['" + strings.Repeat("x", 65) + "']": "65 bytes, want 2 to 64",
		"[[rules]]\nid='a'\nregex='" + strings.Repeat("x", maxPattern+1) + "'":       "at most 16384",
		"[[rules]]\nid='a'\nregex='b'\nentropy=9.0":                                  "entropy: 9",
		"[extend]\npath='other.toml'":                                                "other files are not read",
		"[[allowlists]]\ndescription='x'":                                            "no paths, regexes or stopwords",
		"[[allowlists]]\nregexes=['a']\nregexTarget='file'":                          "regexTarget",
		"[[allowlists]]\nregexes=['a']\ncondition='XOR'":                             "condition",
		strings.Repeat("#", maxRuleFile+1):                                           "at most",
		strings.Repeat("[[rules]]\nid='a'\nregex='b'\n", maxRules+1):                 "1001 rules",
	} {
		if _, err := ParseRules([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

// FuzzRules feeds any file and any text to it: no panic, and every match
// keeps its promises.
func FuzzRules(f *testing.F) {
	f.Add(acme, "x acme_0123456789abcdef y")
	f.Add("[[rules]]\nid='n'\nregex='''(a)|b'''\n[[rules.allowlists]]\nstopwords=['z']", "ab")
	f.Add("[allowlist]\npaths=['a']\n[[rules]]\nid='p'\npath='b'", "")
	f.Fuzz(func(t *testing.T, file, text string) {
		rules, err := ParseRules([]byte(file))
		if err != nil || len(rules.rules) > 5 {
			return
		}
		if err := New([]byte("key"), rules).Scan(context.Background(), "a/b", strings.NewReader(text), func(m Match) {
			if m.Offset < 0 || m.Length <= 0 || m.Offset+int64(m.Length) > int64(len(text)) || m.Line < 1 || m.Column < 1 {
				t.Errorf("match %+v of %d bytes", m, len(text))
			}
		}); err != nil {
			t.Fatal(err)
		}
	})
}
