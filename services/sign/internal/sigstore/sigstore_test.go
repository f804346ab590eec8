package sigstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"assize.dev/services/sign/internal/signature"
	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/sigstore/sigstoretest"
)

var (
	artifact = []byte("the artifact's bytes\n")
	fake     = sigstoretest.New("test")
	now      = sigstoretest.SignedAt.Add(24 * time.Hour)
	signer   = sigstoretest.SAN + " (" + sigstoretest.Issuer + ")"
)

const provenanceV1 = "https://slsa.dev/provenance/v1"

type (
	options = sigstoretest.Options
	object  = map[string]any
)

func content(data []byte) *signature.Content {
	return signature.NewContent(context.Background(), bytes.NewReader(data), int64(len(data)))
}

// statement is about artifact, unless an edit says otherwise.
func statement(edit ...func(object)) []byte {
	sum := sha256.Sum256(artifact)
	s := object{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{object{"name": "artifact", "digest": object{"sha256": hex.EncodeToString(sum[:])}}},
		"predicateType": provenanceV1,
		"predicate":     object{"buildDefinition": object{}},
	}
	for _, e := range edit {
		e(s)
	}
	return encode(s)
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func parseRoot(t testing.TB, data []byte) *sigstore.Root {
	t.Helper()
	r, err := sigstore.ParseRoot(data)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func anchors(t testing.TB) *sigstore.Anchors {
	t.Helper()
	a := &sigstore.Anchors{
		Root:       parseRoot(t, fake.TrustedRoot(sigstoretest.Trust{})),
		Identities: []sigstore.Identity{{Issuer: sigstoretest.Issuer, SAN: sigstoretest.SAN}},
	}
	if err := a.Check(); err != nil {
		t.Fatal(err)
	}
	return a
}

// verify checks what is promised of every result.
func verify(t testing.TB, data []byte, a *sigstore.Anchors, at time.Time) []sigstore.Attestation {
	t.Helper()
	all, err := sigstore.Verify(content(artifact), data, a, at)
	if err != nil {
		t.Fatal(err)
	}
	checkPromises(t, all)
	return all
}

func checkPromises(t testing.TB, all []sigstore.Attestation) {
	t.Helper()
	if len(all) == 0 {
		t.Error("no result")
	}
	for _, r := range all {
		switch {
		case r.Kind == "":
			t.Errorf("no kind: %+v", r)
		case (r.Key != "") != (r.Valid && r.Certificate == nil) || (r.Result.Certificate != nil) != (r.Certificate != nil):
			t.Errorf("key %q, certificate %v: %+v", r.Key, r.Result.Certificate != nil, r)
		case r.Valid && (r.Stranger || r.Signer == ""):
			t.Errorf("valid, and a stranger or nobody: %+v", r)
		case !r.Valid && (r.Reason == "" || len(r.Reason) > 600):
			t.Errorf("not valid with a reason of %d bytes: %+v", len(r.Reason), r)
		case !r.Valid && (r.Statement != nil || r.PredicateType != "" || r.Certificate != nil):
			t.Errorf("not valid, and still tells of it: %+v", r)
		case r.TimeProven == r.Time.IsZero():
			t.Errorf("time %v, proven %v", r.Time, r.TimeProven)
		case (r.Statement == nil) != (r.PredicateType == ""):
			t.Errorf("statement %q of type %q", r.Statement, r.PredicateType)
		}
	}
}

// wants fails unless a result is as described: "valid", or "stranger: " or
// "invalid: " with a part of the reason.
func wants(t *testing.T, r sigstore.Attestation, want string) {
	t.Helper()
	got := "invalid: " + r.Reason
	if r.Valid {
		got = "valid"
	} else if r.Stranger {
		got = "stranger: " + r.Reason
	}
	outcome, reason, _ := strings.Cut(want, ": ")
	if !strings.HasPrefix(got, outcome) || !strings.Contains(got, reason) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// at gives access to a place in a document: names, and indices as numbers.
func at(document any, path ...any) any {
	for _, p := range path {
		if name, ok := p.(string); ok {
			document = document.(object)[name]
		} else {
			document = document.([]any)[p.(int)]
		}
	}
	return document
}

// set changes a member of a document.
func set(value any, path ...any) func(object) {
	last := len(path) - 1
	return func(document object) { at(document, path[:last]...).(object)[path[last].(string)] = value }
}

// flip changes a bit of a member in base64: near its end, where timestamps
// and certificates have their signature. (Some bits of a timestamp do not
// matter; see RFC 5652, section 5.4, for what is signed of it.)
func flip(path ...any) func(object) {
	last := len(path) - 1
	return func(document object) {
		in := at(document, path[:last]...).(object)
		raw, err := base64.StdEncoding.DecodeString(in[path[last].(string)].(string))
		if err != nil {
			panic(err)
		}
		raw[len(raw)*9/10] ^= 4
		in[path[last].(string)] = base64.StdEncoding.EncodeToString(raw)
	}
}

func entry(path ...any) []any {
	return append([]any{"verificationMaterial", "tlogEntries", 0}, path...)
}

var stamp = []any{"verificationMaterial", "timestampVerificationData", "rfc3161Timestamps", 0, "signedTimestamp"}
