package dsse

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/dsse/dssetest"
)

// TestParseIsStrict: what two readers could understand differently is
// refused, and what DSSE lets be there is passed over.
func TestParseIsStrict(t *testing.T) {
	key := dssetest.Ed25519("a")
	envelope := string(seal(t, `{"a":1}`, key))
	bundle := string(bundleOf(t, []byte(envelope)))
	edit := func(text, old, new string) string {
		t.Helper()
		if !strings.Contains(text, old) {
			t.Fatalf("no %q in %s", old, text)
		}
		return strings.Replace(text, old, new, 1)
	}
	for _, c := range []struct {
		name, data string
		ok         bool
	}{
		{"envelope", envelope, true},
		{"bundle", bundle, true},
		{"white space", " \n" + edit(envelope, `,"payload"`, ` , "payload"`) + "\n", true},
		{"members we do not know", edit(envelope, `{`, `{"more":{"deep":[1,{"x":null}]},`), true},
		{"no key id", edit(envelope, `"keyid"`, `"other"`), true},

		{"payload twice", edit(envelope, `{`, `{"payload":"e30=",`), false},
		{"signatures twice", edit(envelope, `{`, `{"signatures":[],`), false},
		{"escaped name twice", edit(envelope, `{`, `{"\u0070ayload":"e30=",`), false},
		{"unknown name twice", edit(envelope, `{`, `{"x":1,"x":1,`), false},
		{"deep name twice", edit(envelope, `{`, `{"x":[{"y":1,"y":2}],`), false},
		{"sig twice", edit(envelope, `"sig":`, `"sig":"AAAA","sig":`), false},
		{"another case", edit(envelope, `"payload"`, `"Payload"`), false},
		{"another case inside", edit(envelope, `"sig"`, `"Sig"`), false},
		{"long s", edit(envelope, `"sig"`, `"ſig"`), false},
		{"trailing value", envelope + "{}", false},
		{"trailing bracket", envelope + "}", false},
		{"too deep", edit(envelope, `{`, `{"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`,`), false},
		{"not UTF-8", edit(envelope, `{`, "{\"x\":\"\xff\","), false},
		{"too large", envelope + strings.Repeat(" ", MaxEnvelope), false},
		{"not JSON", envelope[1:], false},
		{"nothing", "", false},
		{"null", "null", false},
		{"array", "[" + envelope + "]", false},

		{"payload without padding", edit(envelope, `eyJhIjoxfQ==`, `eyJhIjoxfQ`), false},
		{"payload with other last bits", edit(envelope, `eyJhIjoxfQ==`, `eyJhIjoxfR==`), false},
		{"payload on two lines", edit(envelope, `eyJhIjoxfQ==`, `eyJh\nIjoxfQ==`), false},
		{"payload is null", edit(envelope, `"eyJhIjoxfQ=="`, `null`), false},
		{"payload is a number", edit(envelope, `"eyJhIjoxfQ=="`, `1`), false},
		{"sig is URL-safe", edit(envelope, `"sig":"`, `"sig":"-_-_`), false},
		{"no payload", edit(envelope, `"payload"`, `"x"`), false},
		{"no payload type", edit(envelope, `"payloadType"`, `"x"`), false},
		{"no signatures", edit(envelope, `"signatures"`, `"x"`), false},
		{"signatures null", `{"payloadType":"x","payload":"","signatures":null}`, false},
		{"too many signatures", `{"payloadType":"x","payload":"","signatures":[{}` + strings.Repeat(",{}", maxSignatures) + `]}`, false},

		{"bundle and envelope at once", edit(bundle, `{`, `{"payload":"",`), false},
		{"bundle of another version", edit(bundle, "v0.3", "v0.9"), false},
		{"bundle without media type", edit(bundle, `"mediaType"`, `"x"`), false},
		{"bundle with two envelopes", edit(bundle, `"dsseEnvelope"`, `"dsseEnvelope":null,"dsseEnvelope"`), false},
		{"bundle with two signatures", edit(bundle, `"signatures":[`, `"signatures":[{},`), false},
		{"empty bundle", `{"dsseEnvelope":{}}`, false},
	} {
		e, err := Parse([]byte(c.data))
		if (err == nil) != c.ok || c.ok && string(e.Payload) != `{"a":1}` {
			t.Errorf("%s: %+v, %v", c.name, e, err)
		}
	}
	if got, err := Open(key.Public(), []byte(edit(envelope, "vnd.in-toto", "vnd.in-tutu"))); err == nil {
		t.Errorf("another payload type: opened %q", got)
	}
}

// FuzzOpen: nothing is opened that was not signed, and the envelope that is
// parsed says the same when it is written again.
func FuzzOpen(f *testing.F) {
	classical, quantum := dssetest.Ed25519("a"), dssetest.MLDSA(f, "a")
	envelope := seal(f, "{}", classical)
	f.Add(envelope)
	f.Add(bundleOf(f, envelope))
	f.Add(seal(f, "{}", classical, quantum))
	f.Add([]byte(`{"payloadType":"x","payload":"","signatures":[{"keyid":"","sig":""}],"x":[[{"y":1}]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if payload, err := Open(classical.Public(), data); err == nil && string(payload) != "{}" {
			t.Errorf("opened %q, which was never signed", payload)
		}
		e, err := Parse(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		same, err := Parse(again)
		if err != nil || !bytes.Equal(same.Payload, e.Payload) || len(same.Signatures) != len(e.Signatures) {
			t.Errorf("%q reads back as %+v, %v", again, same, err)
		}
	})
}
