package policy

import (
	"fmt"
	"strings"
	"testing"
)

func TestPackagePatterns(t *testing.T) {
	for _, tt := range []struct{ pattern, versions, purl, want string }{
		{"pkg:npm/lodash", "", "pkg:npm/lodash@4.17.20?arch=x#y", "yes"},
		{"pkg:npm/lodash", "", "pkg:npm/lodash-es@4.17.20", "no"},
		{"pkg:npm/lodash", "", "lodash", "no"},
		{"pkg:npm/lodash", "<4.17.21", "pkg:npm/lodash@4.17.20", "yes"},
		{"pkg:npm/lodash", "<4.17.21", "pkg:npm/lodash@4.17.21", "no"},
		{"pkg:npm/lodash", "<=4.17.21", "pkg:npm/lodash@4.17.21", "yes"},
		{"pkg:npm/lodash", ">4.17.21", "pkg:npm/lodash@4.17.21", "no"},
		{"pkg:npm/lodash", "!=4.17.21", "pkg:npm/lodash@4.17.21", "no"},
		{"pkg:npm/lodash", "!=4.17.21", "pkg:npm/lodash@4.17.20", "yes"},
		{"pkg:npm/lodash", ">=1, <2, !=1.5.0", "pkg:npm/lodash@1.6.0", "yes"},
		{"pkg:npm/%40babel/*", "", "pkg:npm/%40babel/core@7", "yes"},
		{"pkg:npm/@babel/*", "", "pkg:npm/%40babel/core@7", "yes"},
		{"pkg:npm/*", "", "pkg:npm/%40babel/core@7", "no"},
		{"pkg:pypi/ruamel.yaml", "", "pkg:pypi/ruamel-yaml@1", "yes"},
		{"pkg:NPM/a", "", "pkg:npm/a@1", "yes"},
		{"pkg:pypi/a", "<1.0", "pkg:pypi/a@1.0rc1", "yes"},
		{"pkg:deb/debian/a", ">=1.0~rc1", "pkg:deb/debian/a@1.0~beta?distro=debian-12", "no"},
		{"pkg:deb/debian/a", "<2", "pkg:deb/debian/a@1:1", "no"},
		{"pkg:deb/*/a", "<2", "pkg:deb/ubuntu/a@1", "yes"},
		{"pkg:alpm/arch/a", "<1-2", "pkg:alpm/arch/a@1-1", "yes"},
		{"pkg:golang/github.com/a/b", "<1.2.0", "pkg:golang/github.com/a/b@v1.1.0", "yes"},
		{"pkg:generic/a", "=1", "pkg:generic/a@1", "yes"},
		{"pkg:generic/a", "!=1", "pkg:generic/a@1", "no"},
		{"pkg:generic/a", "=1", "pkg:generic/a@2", "no"},
		{"pkg:npm/a", "<2", "pkg:npm/a@latest", "unknown"},
		{"pkg:npm/a", "<2", "pkg:npm/a", "unknown"},
		{"pkg:npm/a", "<2, >=3", "pkg:npm/a@5", "no"},
		{"pkg:npm/a@1.0.0", "", "pkg:npm/a@1.0.0", "yes"},
		{"pkg:nuget/newtonsoft.json", "", "pkg:nuget/Newtonsoft.Json@13.0.1", "yes"},
		{"pkg:golang/github.com/Evil/x", "", "pkg:golang/github.com/evil/x@v1.0.0", "yes"},
		{"pkg:golang/github.com/evil/**", "", "pkg:golang/github.com/evil/x/v2@v2.0.0", "yes"},
		{"pkg:golang/github.com/evil/*", "", "pkg:golang/github.com/evil/x/v2@v2.0.0", "no"},
		{"pkg:pypi/a-b", "", "pkg:pypi/A._b@1", "yes"},
		{"pkg:rpm/redhat/a", "<1:2", "pkg:rpm/redhat/a@3-1.el9?epoch=1", "no"},
		{"pkg:rpm/redhat/a", "<1:2", "pkg:rpm/redhat/a@3-1.el9", "yes"},
		{"pkg:deb/mydistro/a", "<2", "pkg:deb/mydistro/a@1", "yes"},
		{"pkg:generic/a", "!=1", "pkg:generic/a@2", "yes"},
		{"pkg:npm/a@1.0.0", "", "pkg:npm/a@1.0.1", "no"},
	} {
		p, err := parsePattern(tt.pattern, tt.versions)
		if err != nil {
			t.Errorf("%s %s: %v", tt.pattern, tt.versions, err)
			continue
		}
		got := differs
		if c, ok := newCandidate(tt.purl); ok {
			got = p.match(&c)
		}
		if got != tt.want {
			t.Errorf("%s %s of %s: %s, want %s", tt.pattern, tt.versions, tt.purl, got, tt.want)
		}
	}
	for _, tt := range []struct{ pattern, versions string }{
		{"lodash", ""}, {"pkg:npm", ""}, {"pkg:npm/", ""}, {"pkg:npm/a?x=y", ""},
		{"pkg:npm/a", "1.0"}, {"pkg:npm/a", "<"}, {"pkg:npm/a", "<latest"}, {"pkg:npm/a", ">1,,<2"}, {"pkg:generic/a", "<1"},
	} {
		if p, err := parsePattern(tt.pattern, tt.versions); err == nil {
			t.Errorf("%s %s: %+v", tt.pattern, tt.versions, p)
		}
	}
}

func TestLicenseAlternatives(t *testing.T) {
	for expression, want := range map[string]string{
		"MIT":                               "[[MIT]]",
		"MIT or Apache-2.0":                 "[[MIT] [Apache-2.0]]",
		"MIT OR Apache-2.0 AND X":           "[[MIT] [Apache-2.0 X]]",
		"(MIT OR Apache-2.0) AND X":         "[[MIT X] [Apache-2.0 X]]",
		"GPL-2.0+ WITH Bison-exception-2.2": "[[GPL-2.0-or-later WITH Bison-exception-2.2]]",
		"LGPL-2.1":                          "[[LGPL-2.1-only]]",
		"EPL-2.0+":                          "[[EPL-2.0+]]",
		"DocumentRef-a:LicenseRef-b":        "[[DocumentRef-a:LicenseRef-b]]",
		"((MIT))":                           "[[MIT]]",
	} {
		got, err := alternatives(expression)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v, want %s", expression, got, err, want)
		}
	}
	for _, expression := range []string{
		"", "MIT OR", "OR MIT", "MIT MIT", "(MIT", "MIT)", "MIT WITH", "WITH MIT", "see LICENSE!", "A, B",
		strings.Repeat("(", 40) + "MIT" + strings.Repeat(")", 40),
		strings.Repeat("(A OR B) AND ", 20) + "A", strings.Repeat("A OR ", 100) + "A", strings.Repeat("x", 5000),
	} {
		if got, err := alternatives(expression); err == nil {
			t.Errorf("%.60q: %v", expression, got)
		}
	}
}

func FuzzAlternatives(f *testing.F) {
	f.Add("(MIT OR GPL-2.0+ WITH X) AND BSD-3-Clause")
	f.Fuzz(func(t *testing.T, expression string) {
		choices, err := alternatives(expression)
		if (err == nil) != (len(choices) > 0) || len(choices) > maxAlternatives {
			t.Errorf("%d choices, error %v", len(choices), err)
		}
		for _, c := range choices {
			if len(c) == 0 {
				t.Error("a choice of nothing")
			}
		}
	})
}

func FuzzPackagePattern(f *testing.F) {
	f.Add("pkg:npm/%40a/*", ">=1, <2", "pkg:npm/%40a/b@1.5")
	f.Fuzz(func(t *testing.T, pattern, versions, purl string) {
		p, err := parsePattern(pattern, versions)
		if err != nil {
			return
		}
		c, ok := newCandidate(purl)
		if !ok {
			return
		}
		switch p.match(&c) {
		case matches, differs, unknown:
		default:
			t.Error("no answer")
		}
	})
}

func TestRulesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"rules: [{when: {registry: a}, set: {minimum_grad: locked}}]":                                  "minimum_grad",
		"rules: [{when: {registry: a}, set: {minimum_grade: good}}]":                                   "unknown grade",
		"rules: [{when: {registry: a}, set: {required_evidence: [sbom]}}]":                             "the same for all artifacts",
		"rules: [{when: {registry: a}, set: {name: b}}]":                                               "the same for all artifacts",
		"rules: [{when: {registry: a}, set: {rules: []}}]":                                             "the same for all artifacts",
		"rules: [{when: {}, set: {minimum_grade: locked}}]":                                            "want a registry",
		"rules: [{set: {minimum_grade: locked}}]":                                                      "want a registry",
		"rules: [{when: {registry: a}}]":                                                               "at least one setting",
		"rules: [{when: {registry: " + strings.Repeat("a", 3000) + "}, set: {minimum_grade: locked}}]": "registry",
		"rules: [{when: {package: a}, set: {minimum_grade: locked}}]":                                  "package URL",
		"rules: [{when: {versions: <1, registry: a}, set: {minimum_grade: locked}}]":                   "of which package",
		"rules: [{when: {registry: a}, set: {banned_packages: [{package: x, reason: y}]}}]":            "banned_packages",
		"rules: [{when: {registry: a}, set: {vulnerability_grace_days: soon}}]":                        "vulnerability_grace_days",
		"rules: [{when: {registry: a}, set: {waivers: [{package: \"pkg:npm/a\", owner: b}]}}]":         "reason",
		"allowed_licenses: [MIT OR X]":                                                                 "one licence",
		"allowed_licenses: [\"\"]":                                                                     "SPDX identifier",
		"unknown_license: maybe":                                                                       "unknown_license",
		"banned_packages: [{package: \"pkg:npm/a\"}]":                                                  "reason",
		"banned_packages: [{package: npm, reason: x}]":                                                 "package URL",
		"allowed_packages: [{package: \"pkg:npm/a\", versions: x}]":                                    "operator",
		"maximum_evidence_age_days: -1":                                                                "0 to 3650",
		"maximum_advisories_age_days: 4000":                                                            "0 to 3650",
	} {
		if _, err := ParseSettings([]byte(text), DefaultSettings()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
}
