package secrets

import (
	"slices"
	"strings"
	"testing"
)

// TestForms gives one value to a name in the ways of many languages.
func TestForms(t *testing.T) {
	s := newSamples(12)
	v := s.run(alnum, 32)
	for _, text := range []string{
		"acme_token ::= \"%\"", "acme_token :::= \"%\"", "ACME_TOKEN ?= \"%\"", "$acmeToken .= \"%\"", "acme_token := `%`",
		"var acmeToken string = \"%\"", "System.setProperty(\"ACME_TOKEN\", \"%\")", "os.Setenv('ACME_TOKEN', '%')",
		"<acmeToken>\n    %\n</acmeToken>", "<acmeToken>%</acmeToken>", "acme_token: str = '%'", "acme_token => '%'",
		"{\"acme_token\": \"%\"}", "acme_token=%", "acmeTokenString=%", "acme_token_12 = '%'", "ACME_TOKEN2=%",
	} {
		if got := rulesOf(scan(t, strings.ReplaceAll(text, "%", v))); !slices.Equal(got, []string{"generic_secret"}) {
			t.Errorf("%q: %q", text, got)
		}
	}
	for _, text := range []string{
		"acme_token == \"%\"", "[\"acme_token\", \"%\"]", "acme_token\nstring = \"%\"", "for token in x = %", "std::token::%", "token.%",
	} {
		if got := scan(t, strings.ReplaceAll(text, "%", v)); len(got) != 0 {
			t.Errorf("%q: %q", text, rulesOf(got))
		}
	}
}

// TestCurl: passwords on a command line of curl.
func TestCurl(t *testing.T) {
	for text, want := range map[string]int{
		"curl -u alice:Kx9#mQ2v https://x.example":                    1,
		"curl -s --user 'alice:Kx9#mQ2v' x":                           1,
		"curl -X POST \\\n  -d 'world' \\\n  --user  alice:Kx9mQ2vR7": 1,
		"curl -u \"$USER:$PASSWORD\" x":                               0,
		"curl -u user:password x":                                     0,
		"curl x\nprog -u alice:Kx9#mQ2v":                              0,
		"curl x | prog -u alice:Kx9#mQ2v":                             0,
		"curl -u alice x":                                             0,
		"curl -u ":                                                    0,
		"curl --user=":                                                0,
		"curl -u '":                                                   0,
	} {
		if got := scan(t, text); len(got) != want {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
