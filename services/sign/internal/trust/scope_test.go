package trust

import "testing"

func TestScope(t *testing.T) {
	const purl = "pkg:npm/%40example/app@1.2.0?arch=x#sub"
	for _, c := range []struct {
		registries, packages []string
		registry, purl       string
		want                 bool
	}{
		{nil, nil, "npm-prod", purl, true},
		{nil, nil, "npm-prod", "", true},
		{[]string{"npm-prod"}, nil, "npm-prod", "", true},
		{[]string{"npm-prod"}, nil, "npm-test", purl, false},
		{[]string{"a", "npm-*"}, nil, "npm-test", purl, true},
		{nil, []string{"pkg:npm/%40example/*"}, "r", purl, true},
		{nil, []string{"pkg:npm/%40example/app"}, "r", purl, true},
		{nil, []string{"pkg:npm/%40example/app@1.2.0"}, "r", purl, true},
		{nil, []string{"pkg:npm/%40example/app@1.*"}, "r", purl, true},
		{nil, []string{"pkg:npm/%40example/app@2.*"}, "r", purl, false},
		{nil, []string{"pkg:npm/%40example/ap"}, "r", purl, false},
		{nil, []string{"pkg:npm/*"}, "r", purl, false}, // one star stops at a slash
		{nil, []string{"pkg:npm/**"}, "r", purl, true},
		{nil, []string{"pkg:npm/**"}, "r", "pkg:pypi/app@1", false},
		{nil, []string{"pkg:npm/**"}, "r", "", false}, // names no package
		{nil, []string{"pkg:**"}, "r", "", false},
		{[]string{"r"}, []string{"pkg:npm/app"}, "r", "pkg:npm/app", true},
		{[]string{"q"}, []string{"pkg:npm/app"}, "r", "pkg:npm/app", false},
	} {
		s, err := newScope(c.registries, c.packages)
		if err != nil {
			t.Errorf("%q %q: %v", c.registries, c.packages, err)
			continue
		}
		if got := s.trusts(NewArtifact(c.registry, c.purl)); got != c.want || s.restricts(NewArtifact(c.registry, c.purl)) != c.want {
			t.Errorf("%q %q includes %q %q: %v", c.registries, c.packages, c.registry, c.purl, got)
		}
	}
	// The bytes and the registry name different packages.
	s, err := newScope(nil, []string{"pkg:npm/app"})
	if err != nil {
		t.Fatal(err)
	}
	two := NewArtifact("r", "pkg:npm/app", "pkg:npm/other")
	if s.trusts(two) || !s.restricts(two) || !s.trusts(NewArtifact("r", "pkg:npm/app", "", "pkg:npm/app@1")) {
		t.Error("two names: trusted for one of them, or not restricted by one")
	}
	for _, bad := range [][2][]string{{{""}, nil}, {nil, {"npm/app"}}, {nil, {""}}, {nil, {"*"}}, {{}, nil}, {nil, {}}, {nil, {"pkg:npm/@example/*"}}, {nil, {"pkg:NPM/a"}}, {nil, {"pkg:npm/(a|b)"}}, {nil, {"pkg:npm/a?x=y"}}} {
		if _, err := newScope(bad[0], bad[1]); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
