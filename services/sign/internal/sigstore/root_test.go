package sigstore_test

import (
	"bytes"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/sigstore/sigstoretest"
)

func TestParseRoot(t *testing.T) {
	good := fake.TrustedRoot(sigstoretest.Trust{CT: true})
	first := func(list string) []any { return []any{list, 0} }
	twice := func(list string) func(object) {
		return func(d object) { d[list] = append(d[list].([]any), at(d, list, 0)) }
	}
	many := func(list string) func(object) {
		return func(d object) {
			for len(d[list].([]any)) < 65 {
				twice(list)(d)
			}
		}
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "empty"},
		{"not JSON", []byte("{"), "not JSON"},
		{"two documents", append(bytes.Clone(good), good...), "more than 1"},
		{"unknown media type", edited(t, good, set("application/json", "mediaType")), "media type"},
		{"unknown member", edited(t, good, set(1, "x")), "unknown field"},
		{"member twice", bytes.Replace(good, []byte(`"mediaType"`), []byte(`"mediaType":"","mediaType"`), 1), "duplicate"},
		{"too large", append(bytes.Repeat([]byte(" "), 1<<20), good...), "at most 1048576"},
		{"no authorities", edited(t, good, set([]any{}, "certificateAuthorities")), "no certificate authority"},
		{"no logs", edited(t, good, set([]any{}, "tlogs")), "no transparency log"},
		{"log twice", edited(t, good, twice("tlogs")), "same id"},
		{"CT log twice", edited(t, good, twice("ctlogs")), "same id"},
		{"too many logs", edited(t, good, many("tlogs")), "65 transparency logs, at most 64"},
		{"too many CT logs", edited(t, good, many("ctlogs")), "65 certificate transparency logs, at most 64"},
		{"too many authorities", edited(t, good, many("certificateAuthorities")), "65 certificate authorities, at most 64"},
		{"too many timestamp authorities", edited(t, good, many("timestampAuthorities")), "65 timestamp authorities, at most 64"},
		{"no chain", edited(t, good, set([]any{}, append(first("certificateAuthorities"), "certChain", "certificates")...)), "cert chain is empty"},
		{"certificate", edited(t, good, set("AAAA", append(first("certificateAuthorities"), "certChain", "certificates", 0, "rawBytes")...)), "failed to parse certificate"},
		{"timestamp authority without root", edited(t, good, func(d object) {
			chain := at(d, "timestampAuthorities", 0, "certChain").(object)
			chain["certificates"] = chain["certificates"].([]any)[:1]
		}), "timestamp authority without a root"},
		{"key", edited(t, good, set("AAAA", append(first("tlogs"), "publicKey", "rawBytes")...)), "failed to parse public key"},
		{"kind of key", edited(t, good, set("PKIX_ED25519", append(first("tlogs"), "publicKey", "keyDetails")...)), "tlog public key"},
		{"weak RSA key", edited(t, good, func(d object) {
			d["tlogs"] = append(d["tlogs"].([]any), object{
				"baseUrl": "https://x.test", "hashAlgorithm": "SHA2_256", "logId": object{"keyId": "AAAA"},
				"publicKey": object{
					"rawBytes":   "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDDEhkYXRi9AI2lA1NUs6AT08g0T9MwPY4PYHR+V4ShASk7V0H5X7YB9bMv5IY0wHhC0gHhzH/JoQbTTO2T1Ybzw8aZQfjEhXJGMZhrdvYSLvCVcW2gKp3Q3DWxiY9RUEzaLZZyNGUsFIPSpTGK7jKIc5Bln9pJj4hDJDvzRPzPUwIDAQAB",
					"keyDetails": "PKIX_RSA_PKCS1V15_2048_SHA256", "validFor": object{"start": "2024-01-01T00:00:00Z"},
				},
			})
		}), "1024 bits"},
	} {
		if _, err := sigstore.ParseRoot(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
