package config

import (
	"strings"
	"testing"
)

type yamlSample struct {
	Name  string `yaml:"name"`
	Inner struct {
		List []string `yaml:"list"`
	} `yaml:"inner"`
}

func TestParseYAML(t *testing.T) {
	var s yamlSample
	if err := ParseYAML([]byte("name: a\ninner:\n  list: [b, c]\n"), &s); err != nil || s.Name != "a" || len(s.Inner.List) != 2 {
		t.Errorf("%+v, %v", s, err)
	}
	for text, want := range map[string]string{
		"":                              "not a list of keys and values",
		"# only a comment":              "not a list of keys and values",
		"- a":                           "not a list of keys and values",
		"{}":                            "not a list of keys and values",
		"name:":                         "has no value",
		"name: a\ninner:\n  list: ~":    "has no value",
		"name: a\ninner: {}\n---\nx: y": "more than one",
		"nmae: a":                       "there is no key nmae here",
		"name: a\nx: 1\ny: 2":           "no key x here; line 3: there is no key y here",
		"name: a\nname: b":              "already",
		"name: [a":                      "parse YAML",
		"name: {a: b}":                  "parse YAML",
	} {
		if err := ParseYAML([]byte(text), &yamlSample{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// An anonymous type prints over several words, none of them for people.
func TestParseYAMLAnonymousType(t *testing.T) {
	var s struct {
		Allow []yamlSample `yaml:"allow"`
	}
	if err := ParseYAML([]byte("deny: []"), &s); err == nil || !strings.HasSuffix(err.Error(), "there is no key deny here") {
		t.Error(err)
	}
}

func FuzzParseYAML(f *testing.F) {
	f.Add([]byte("name: a\ninner: {list: [b]}"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("a: &a {b: 1}\nc: {<<: *a}"))
	f.Fuzz(func(_ *testing.T, text []byte) { _ = ParseYAML(text, &yamlSample{}) })
}
