package digest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// The SHA-256 of the empty string, from FIPS 180-4 test vectors.
const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestOf(t *testing.T) {
	d := Of(nil)
	if string(d) != "sha256:"+empty || d.Hex() != empty {
		t.Errorf("Of(nil) = %s", d)
	}
	if parsed, err := Parse(string(d)); err != nil || parsed != d {
		t.Errorf("Parse: %s, %v", parsed, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{
		"", empty, "sha512:" + empty, "sha256:" + strings.ToUpper(empty), "sha256:" + empty[1:],
		"sha256:" + empty + "0", "sha256:" + empty[1:] + "g", "SHA256:" + empty, " sha256:" + empty,
	} {
		if _, err := Parse(s); !errors.Is(err, ErrMalformed) {
			t.Errorf("Parse(%q): %v", s, err)
		}
		var d Digest
		text, _ := json.Marshal(s)
		if err := json.Unmarshal(text, &d); (err == nil) != (s == "") {
			t.Errorf("JSON %q: %v", s, err)
		}
	}
}
