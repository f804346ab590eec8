package secrets

import (
	"slices"
	"strings"
	"testing"
)

// TestKeystores: files that hold encrypted keys, and what only looks so.
func TestKeystores(t *testing.T) {
	const pbes2 = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d"
	bag := shroudedKeyBag + "\xa0\x82\x05\x1a\x30\x82\x05\x16\x30\x57" + pbes2 + strings.Repeat("\x31\x9c", 40)
	store := func(magic string, version, entries, kind byte) string {
		return magic + "\x00\x00\x00" + string(rune(version)) + "\x00\x00\x00" + string(rune(entries)) + "\x00\x00\x00" + string(rune(kind)) + "\x00\x05alias" + strings.Repeat("\x9c\x31", 20)
	}
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"PKCS #12":                        {"\x30\x82\x0a\x00\x02\x01\x03" + bag, []string{"private_key"}},
		"a table of identifiers":          {shroudedKeyBag + "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x03" + strings.Repeat("\x00", 40), nil},
		"a bag without encryption":        {shroudedKeyBag + "\xa0\x82\x05\x1a\x30\x82\x05\x16" + strings.Repeat("\x11", 40), nil},
		"JKS":                             {store("\xfe\xed\xfe\xed", 2, 1, 1), []string{"private_key"}},
		"JCEKS":                           {store("\xce\xce\xce\xce", 2, 3, 1), []string{"private_key"}},
		"a store of trusted certificates": {store("\xfe\xed\xfe\xed", 2, 3, 2), nil},
		"an empty store":                  {store("\xfe\xed\xfe\xed", 2, 0, 0), nil},
		"another version":                 {store("\xfe\xed\xfe\xed", 9, 1, 1), nil},
		"cut off":                         {store("\xfe\xed\xfe\xed", 2, 1, 1)[:12], nil},
	} {
		if got := rulesOf(scan(t, tt.text)); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
