package sigstore_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/sigstore/sigstoretest"
)

func TestStatement(t *testing.T) {
	sum256, sum512 := sha256.Sum256(artifact), sha512.Sum512(artifact)
	good256, good512 := hex.EncodeToString(sum256[:]), hex.EncodeToString(sum512[:])
	subject := func(digest object) func(object) {
		return set([]any{object{"name": "x", "digest": digest}}, "subject")
	}
	for _, c := range []struct {
		name string
		edit func(object)
		text string // instead of the edited one
		want string
	}{
		{name: "version 1", edit: func(object) {}, want: "valid"},
		{name: "version 0.1", edit: set("https://in-toto.io/Statement/v0.1", "_type"), want: "valid"},
		{name: "SHA-512", edit: subject(object{"sha512": good512}), want: "valid"},
		{name: "both digests, capitals", edit: subject(object{"sha512": good512, "sha256": strings.ToUpper(good256), "gitCommit": "x"}), want: "valid"},
		{name: "second subject", edit: set([]any{object{"digest": object{"sha256": good512}}, object{"digest": object{"sha256": good256}}}, "subject"), want: "valid"},
		{name: "no predicate", edit: set(nil, "predicate"), want: "valid"},

		{name: "another file", edit: subject(object{"sha256": strings.Repeat("0", 64)}), want: "invalid: another file"},
		{name: "digests disagree", edit: subject(object{"sha256": good256, "sha512": strings.Repeat("0", 128)}), want: "invalid: another file"},
		{name: "digests of two subjects", edit: set([]any{
			object{"digest": object{"sha256": good256, "sha512": strings.Repeat("0", 128)}},
			object{"digest": object{"sha256": strings.Repeat("0", 64), "sha512": good512}},
		}, "subject"), want: "invalid: another file"},
		{name: "only a commit", edit: subject(object{"gitCommit": good256}), want: "invalid: another file"},
		{name: "digest cut", edit: subject(object{"sha256": good256[:62]}), want: "invalid: another file"},
		{name: "digest of another name", edit: subject(object{"SHA256": good256}), want: "invalid: another file"},
		{name: "no subject", edit: set([]any{}, "subject"), want: "invalid: subject: 0 of them"},
		{name: "too many subjects", edit: set(make([]any, 1025), "subject"), want: "invalid: subject: 1025 of them"},
		{name: "subject not an object", edit: set([]any{1}, "subject"), want: "invalid: want an object"},
		{name: "unknown version", edit: set("https://in-toto.io/Statement/v2", "_type"), want: "invalid: _type is"},
		{name: "no predicate type", edit: set("", "predicateType"), want: "invalid: predicateType of 0 bytes"},
		{name: "predicate type not text", edit: set(1, "predicateType"), want: "invalid: want a string"},
		{name: "two subjects members", text: strings.Replace(string(statement()), `"subject":`, `"subject":[],"subject":`, 1), want: "invalid: duplicate name"},
		{name: "not UTF-8", text: strings.Replace(string(statement()), `"artifact"`, "\"\xff\"", 1), want: "invalid: not UTF-8"},
		{name: "two documents", text: string(statement()) + "{}", want: "invalid: more than 1 JSON value"},
		{name: "too deep", text: strings.Repeat("[", 101), want: "invalid: nested deeper"},
		{name: "not JSON", text: "statement", want: "invalid: not JSON"},
		{name: "an array", text: "[]", want: "invalid: want an object"},
		{name: "empty", text: " ", want: "invalid: empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := []byte(c.text)
			if c.text == "" {
				s = statement(c.edit)
			}
			r := verify(t, fake.Attest(options{}, s), anchors(t), now)[0]
			wants(t, r, c.want)
			if r.Valid && (!bytes.Equal(r.Statement, s) || r.PredicateType != provenanceV1 || r.Signer != signer) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestEnvelopeInBundle(t *testing.T) {
	for _, c := range []struct {
		name string
		opts options
		want string
	}{
		{"log version 2", options{Rekor2: true}, "valid"},
		{"bundle 0.1", options{Version: "0.1"}, "valid"},
		{"statement changed", options{Edit: set(statement(set("b", "predicate")), "dsseEnvelope", "payload")}, "invalid: payload hash"},
		{"statement changed, version 2", options{Rekor2: true, Edit: set(statement(set("b", "predicate")), "dsseEnvelope", "payload")}, "invalid: log entry"},
		{"statement changed here and in the log", options{
			Edit: set(statement(set("b", "predicate")), "dsseEnvelope", "payload"),
			EditEntry: func(e object) {
				sum := sha256.Sum256(statement(set("b", "predicate")))
				at(e, "spec", "payloadHash").(object)["value"] = hex.EncodeToString(sum[:])
			},
		}, "invalid: signature"},
		{"another payload type", options{Edit: set("text/plain", "dsseEnvelope", "payloadType")}, "invalid: payload type"},
		{"two signatures", options{Edit: func(b object) {
			e := b["dsseEnvelope"].(object)
			e["signatures"] = []any{at(e, "signatures", 0), at(e, "signatures", 0)}
		}}, "invalid: exactly one"},
		{"no signature", options{Edit: set([]any{}, "dsseEnvelope", "signatures")}, "invalid: exactly one"},
		{"signature of the artifact too", options{Edit: set(object{"signature": "AAAA"}, "messageSignature")}, "invalid: "},
		{"signature", options{Edit: flip("dsseEnvelope", "signatures", 0, "sig")}, "invalid: log signature does not match"},
		{"no log", options{NoLog: true}, "invalid: not enough verified log entries"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wants(t, verify(t, fake.Attest(c.opts, statement()), anchors(t), now)[0], c.want)
		})
	}
	other := sigstoretest.New("other")
	wants(t, verify(t, other.Attest(options{}, statement()), anchors(t), now)[0], "stranger: not from an authority")
	wants(t, verify(t, other.Attest(options{NoLog: true, Edit: set(statement(set("b", "predicate")), "dsseEnvelope", "payload")}, statement()),
		anchors(t), now)[0], "invalid: ")
}
