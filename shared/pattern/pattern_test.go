package pattern

import (
	"regexp"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a", "aa", false}, {"a", "ba", false}, {"", "", false}, {"", "a", false},
		{"a*", "a", true}, {"a*", "abc", true}, {"a*", "ab/c", false}, {"a**", "ab/c", true}, {"*a", "ba", true}, {"*a", "b/a", false},
		{"a*c", "abc", true}, {"a*c", "ac", true}, {"a*c", "abcd", false}, {"a*bc", "abbc", true}, {"a*b*c", "axxbyyc", true},
		{"**b", "a/b", true}, {"a**b", "a/b/x", false}, {"a***b", "a/b", true}, {"*/*", "a/b", true}, {"*/*", "a/b/c", false},
		{"a.c", "abc", false}, {"a[bc]", "ab", false}, {"a?", "ab", false}, {"a+", "aa", false}, {`a\*`, `a\x`, true}, {"a*", "a\nb", true},
		{"ä*", "äö", true}, {"*ö", "äö", true},
		{"https://github.com/us/*", "https://github.com/us/app", true},
		{"https://github.com/us/*", "https://github.com/us/app/.github/workflows/x.yml@refs/tags/v1", false},
		{"https://github.com/us/**", "https://github.com/us/app/.github/workflows/x.yml@refs/tags/v1", true},
		{"https://github.com/us/*/.github/workflows/release.yml@refs/tags/v*", "https://github.com/us/app/.github/workflows/release.yml@refs/tags/v1.2", true},
		{"https://github.com/us/*/.github/workflows/release.yml@refs/tags/v*", "https://github.com/us/app/x/.github/workflows/release.yml@refs/tags/v1.2", false},
		{"https://github.com/us/*/.github/workflows/release.yml@refs/tags/v*", "https://github.com/us/app/.github/workflows/release.yml@refs/heads/v1", false},
		{"https://github.com/us/*", "https://github.com.evil.test/us/app", false},
		{"*@example.test", "dev@example.test", true}, {"*@example.test", "dev@example.test.evil.test", false},
		{strings.Repeat("a", MaxLength), strings.Repeat("a", MaxLength), true},
		{"a*", "a" + strings.Repeat("b", MaxLength), false},
		{strings.Repeat("*", MaxLength+1), "a", false},
		{strings.Repeat("*a", MaxLength/2), strings.Repeat("a", MaxLength-1) + "b", false},
	} {
		if got := Match(c.pattern, c.name); got != c.want {
			t.Errorf("Match(%.60q, %.60q) = %v", c.pattern, c.name, got)
		}
	}
	if !MatchAny([]string{"a", "b*"}, "bc") || MatchAny([]string{"a", "b"}, "c") || MatchAny(nil, "a") {
		t.Error("MatchAny")
	}
}

func TestCheck(t *testing.T) {
	for pattern, want := range map[string]string{
		"https://github.com/us/*": "", "*@example.test": "", "a": "",
		"": "empty", "*": "anybody", "***": "anybody", "a b": "white space", "a\n": "white space", "\x00": "white space",
		"\xff": "UTF-8", strings.Repeat("a", MaxLength+1): "bytes",
	} {
		err := Check(pattern)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("Check(%.60q) = %v, want %q", pattern, err, want)
		}
	}
}

// FuzzMatch compares with a regular expression.
func FuzzMatch(f *testing.F) {
	f.Add("a*b**c", "axb/y/c")
	f.Add("*", "")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if pattern == "" || len(pattern) > 200 || len(name) > 200 {
			return
		}
		expression := regexp.QuoteMeta(pattern)
		expression = strings.ReplaceAll(expression, `\*\*`, `[\x00-\x{10FFFF}]*`)
		expression = strings.ReplaceAll(expression, `\*`, `[^/]*`)
		r, err := regexp.Compile(`\A(?:` + expression + `)\z`)
		if err != nil {
			return // not UTF-8
		}
		if got, want := Match(pattern, name), r.MatchString(name); got != want && strings.ToValidUTF8(name, "") == name {
			t.Errorf("Match(%q, %q) = %v, %s says %v", pattern, name, got, expression, want)
		}
	})
}
