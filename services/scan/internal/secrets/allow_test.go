package secrets

import (
	"strings"
	"testing"
	"time"
)

func TestAllow(t *testing.T) {
	const one, two = "0123456789abcdef0123456789abcdef", "ffffffffffffffff0123456789abcdef"
	list, err := ParseAllow([]byte("allow:\n- fingerprint: " + strings.ToUpper(one) + "\n  reason: documented example\n  expires: 2026-12-31\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		fingerprint, now string
		known, counts    bool
	}{
		{one, "2026-12-31T23:59:59Z", true, true},
		{one, "2027-01-01T00:00:00Z", true, false},
		{two, "2026-01-01T00:00:00Z", false, false},
	} {
		now, err := time.Parse(time.RFC3339, test.now)
		if err != nil {
			t.Fatal(err)
		}
		if entry, counts := list.Entry(test.fingerprint, now); (entry != nil) != test.known || counts != test.counts {
			t.Errorf("%s at %s: %v %t", test.fingerprint, test.now, entry, counts)
		}
	}
	var none *Allow
	if entry, counts := none.Entry(one, time.Now()); entry != nil || counts {
		t.Error("no list allows nothing")
	}
}

func TestAllowErrors(t *testing.T) {
	entry := func(fingerprint, reason, expires string) string {
		return "allow:\n- fingerprint: '" + fingerprint + "'\n  reason: '" + reason + "'\n  expires: '" + expires + "'\n"
	}
	good := strings.Repeat("0a", 16)
	for text, want := range map[string]string{
		"":                                  "not a list of keys",
		"deny: []":                          "there is no key deny here",
		entry("hunter2", "x", "2026-01-01"): "want the 32 hexadecimal digits",
		entry(good, " ", "2026-01-01"):      "reason is missing",
		entry(good, "x", "soon"):            "want a day like",
		entry(good, "x", "2026-02-30"):      "want a day like",
		entry(good, "x", "2026-01-01") + entry(good, "x", "2026-01-01")[7:]: "given twice",
		strings.Repeat("#", maxAllowFile+1):                                 "at most",
	} {
		_, err := ParseAllow([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Error("what stands for a fingerprint may be a secret")
		}
	}
}
