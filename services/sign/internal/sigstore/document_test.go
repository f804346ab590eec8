package sigstore_test

import (
	"bytes"
	"crypto"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/sigstore/sigstoretest"
)

const (
	publishNPM  = "https://github.com/npm/attestation/tree/main/specs/publish/v0.1"
	publishPyPI = "https://docs.pypi.org/attestations/publish/v1"
)

// documents is one good document of each form.
func documents(t testing.TB) map[string][]byte {
	t.Helper()
	raw := func(b []byte) json.RawMessage { return b }
	provenance := fake.Attest(options{}, statement())
	npmPublish := bundled(t, seal(t, "npm", statement(set(publishNPM, "predicateType"))))
	pypi := fake.PyPI(options{}, statement(set(publishPyPI, "predicateType"), set(nil, "predicate")))
	return map[string][]byte{
		"bundle":      fake.SignBlob(options{Rekor2: true}, artifact),
		"attestation": provenance,
		"lines":       bytes.Join([][]byte{provenance, fake.SignBlob(options{}, artifact), nil}, []byte("\n")),
		"github": encode(object{"attestations": []any{
			object{"bundle": raw(provenance), "repository_id": 1, "bundle_url": "https://x.test"},
			object{"bundle": raw(fake.Attest(options{Rekor2: true}, statement()))},
		}}),
		"npm": encode(object{"attestations": []any{
			object{"predicateType": publishNPM, "bundle": raw(npmPublish)},
			object{"predicateType": provenanceV1, "bundle": raw(provenance)},
		}}),
		"pypi": pypi,
		"pypi provenance": encode(object{"version": 1, "attestation_bundles": []any{
			object{"publisher": object{"kind": "GitHub"}, "attestations": []any{raw(pypi)}},
			object{"publisher": object{"kind": "GitHub"}, "attestations": []any{raw(fake.PyPI(options{}, statement()))}},
		}}),
		"dsse": seal(t, "npm", statement()),
	}
}

func documentAnchors(t testing.TB) *sigstore.Anchors {
	a := anchors(t)
	a.Keys = []crypto.PublicKey{sigstoretest.Key("npm").Public()}
	return a
}

func TestForms(t *testing.T) {
	npm := keyID(t, sigstoretest.Key("npm").Public())
	for name, want := range map[string]struct {
		kind           string
		signers        []string
		predicateTypes []string
	}{
		"bundle":          {sigstore.KindBundle, []string{signer}, []string{""}},
		"attestation":     {sigstore.KindBundle, []string{signer}, []string{provenanceV1}},
		"lines":           {sigstore.KindBundle, []string{signer, signer}, []string{provenanceV1, ""}},
		"github":          {sigstore.KindGitHub, []string{signer, signer}, []string{provenanceV1, provenanceV1}},
		"npm":             {sigstore.KindNPM, []string{npm, signer}, []string{publishNPM, provenanceV1}},
		"pypi":            {sigstore.KindPyPI, []string{signer}, []string{publishPyPI}},
		"pypi provenance": {sigstore.KindPyPI, []string{signer, signer}, []string{publishPyPI, provenanceV1}},
		"dsse":            {sigstore.KindDSSE, []string{npm}, []string{provenanceV1}},
	} {
		t.Run(name, func(t *testing.T) {
			data := documents(t)[name]
			var indented bytes.Buffer
			if name != "lines" {
				if err := json.Indent(&indented, data, "", "\t"); err != nil {
					t.Fatal(err)
				}
			}
			for _, data := range [][]byte{data, indented.Bytes()} {
				if len(data) == 0 {
					continue
				}
				all := verify(t, data, documentAnchors(t), now)
				if len(all) != len(want.signers) {
					t.Fatalf("%d results, want %d: %+v", len(all), len(want.signers), all)
				}
				for i, r := range all {
					if !r.Valid || r.Kind != want.kind || r.Signer != want.signers[i] || r.PredicateType != want.predicateTypes[i] {
						t.Errorf("got %+v", r)
					}
				}
			}
		})
	}
}

func TestMalformedDocuments(t *testing.T) {
	good := documents(t)
	many := func(path string, n int) func(object) {
		return func(d object) {
			for len(d[path].([]any)) < n {
				d[path] = append(d[path].([]any), at(d, path, 0))
			}
		}
	}
	for _, c := range []struct {
		name string
		data []byte
		kind string
		want string
	}{
		{"nothing", nil, sigstore.KindBundle, "invalid: empty"},
		{"white space", []byte(" \n"), sigstore.KindBundle, "invalid: empty"},
		{"text", []byte("-----BEGIN PGP SIGNATURE-----"), sigstore.KindBundle, "invalid: not JSON"},
		{"not UTF-8", []byte("{\"mediaType\":\"\xff\"}"), sigstore.KindBundle, "invalid: not UTF-8"},
		{"a number", []byte("1"), sigstore.KindBundle, "invalid: want an object, not a number"},
		{"text in quotes", []byte(`"a"`), sigstore.KindBundle, "invalid: want an object, not a string"},
		{"true", []byte(`true`), sigstore.KindBundle, "invalid: want an object, not a boolean"},
		{"null", []byte(`null`), sigstore.KindBundle, "invalid: want an object, not null"},
		{"an array", []byte("[]"), sigstore.KindBundle, "invalid: want an object, not an array"},
		{"an object", []byte("{}"), sigstore.KindBundle, "invalid: that is known"},
		{"an old cosign bundle", []byte(`{"base64Signature":"","cert":"","rekorBundle":{}}`), sigstore.KindBundle, "invalid: that is known"},
		{"deep", []byte(strings.Repeat(`{"a":`, 200) + "1" + strings.Repeat("}", 200)), sigstore.KindBundle, "invalid: nested deeper"},
		{"too large", append(bytes.Repeat([]byte(" "), sigstore.MaxDocument), good["bundle"]...), sigstore.KindBundle, "invalid: at most 1048576"},
		{"too many lines", bytes.Repeat([]byte("{}\n"), 33), sigstore.KindBundle, "invalid: more than 32 JSON values"},
		{"member twice", bytes.Replace(good["bundle"], []byte(`"mediaType":`), []byte(`"mediaType":"x","mediaType":`), 1), sigstore.KindBundle, "invalid: duplicate"},
		{"member twice, one inside", bytes.Replace(good["bundle"], []byte(`"rawBytes":`), []byte(`"rawBytes":"AAAA","rawBytes":`), 1), sigstore.KindBundle, "invalid: duplicate"},
		{"bundle cut after a line", good["lines"][:len(good["lines"])/2], sigstore.KindBundle, "invalid: not JSON"},

		{"no attestations", []byte(`{"attestations":[]}`), sigstore.KindGitHub, "invalid: without attestations"},
		{"attestations not an array", []byte(`{"attestations":{}}`), sigstore.KindGitHub, "invalid: want an array"},
		{"attestation not an object", []byte(`{"attestations":[1]}`), sigstore.KindGitHub, "invalid: want an object"},
		{"attestation elsewhere", []byte(`{"attestations":[{"bundle":null,"bundle_url":"https://x.test"}]}`), sigstore.KindGitHub, "invalid: without a bundle"},
		{"a bundle of nothing", []byte(`{"attestations":[{"bundle":{}}]}`), sigstore.KindGitHub, "invalid: unsupported media type"},
		{"attestations twice", bytes.Replace(good["github"], []byte(`"attestations":`), []byte(`"attestations":[],"attestations":`), 1), sigstore.KindBundle, "invalid: duplicate"},
		{"bundle twice", bytes.Replace(good["github"], []byte(`"bundle":`), []byte(`"bundle":{},"bundle":`), 1), sigstore.KindGitHub, "invalid: duplicate"},
		{"too many attestations", edited(t, good["github"], many("attestations", 33)), sigstore.KindBundle, "invalid: more than 32 signatures"},
		{"far too many attestations", edited(t, []byte(`{"attestations":[1]}`), many("attestations", 100_000)), sigstore.KindBundle, "invalid: more than 32 signatures"},

		{"npm says another type", edited(t, good["npm"], set(publishNPM+"/x", "attestations", 0, "predicateType")), sigstore.KindNPM, "invalid: as the answer says"},
		{"npm type not text", edited(t, good["npm"], set(1, "attestations", 0, "predicateType")), sigstore.KindNPM, "invalid: want a string"},
		{"npm without bundle", edited(t, good["npm"], set(nil, "attestations", 0, "bundle")), sigstore.KindNPM, "invalid: without a bundle"},
		{"npm without statement", edited(t, good["npm"], set(json.RawMessage(fake.SignBlob(options{}, artifact)), "attestations", 0, "bundle")), sigstore.KindNPM, "invalid: promises a statement"},
		{"npm signed by another key", edited(t, good["npm"], set(json.RawMessage(bundled(t, seal(t, "x", statement(set(publishNPM, "predicateType"))))), "attestations", 0, "bundle")), sigstore.KindNPM, "stranger: none of the trusted keys"},

		{"PyPI version 2", edited(t, good["pypi"], set(2, "version")), sigstore.KindPyPI, "invalid: version is"},
		{"PyPI statement", edited(t, good["pypi"], flip("envelope", "statement")), sigstore.KindPyPI, "invalid: "},
		{"PyPI statement of another file", fake.PyPI(options{}, statement(set([]any{object{"digest": object{"sha256": "00"}}}, "subject"))), sigstore.KindPyPI, "invalid: another file"},
		{"PyPI signature", edited(t, good["pypi"], flip("envelope", "signature")), sigstore.KindPyPI, "invalid: log signature does not match"},
		{"PyPI signature not base64", edited(t, good["pypi"], set("-", "envelope", "signature")), sigstore.KindPyPI, "invalid: want base64"},
		{"PyPI statement missing", edited(t, good["pypi"], set(nil, "envelope", "statement")), sigstore.KindPyPI, "invalid: want base64"},
		{"PyPI certificate", edited(t, good["pypi"], flip("verification_material", "certificate")), sigstore.KindPyPI, "invalid: "},
		{"PyPI certificate not one", edited(t, good["pypi"], set("AAAA", "verification_material", "certificate")), sigstore.KindPyPI, "invalid: x509"},
		{"PyPI certificate missing", edited(t, good["pypi"], set(nil, "verification_material", "certificate")), sigstore.KindPyPI, "invalid: want base64"},
		{"PyPI without log", fake.PyPI(options{NoLog: true}, statement()), sigstore.KindPyPI, "invalid: not enough verified log entries"},
		{"PyPI log entry", edited(t, good["pypi"], set([]any{1}, "verification_material", "transparency_entries")), sigstore.KindPyPI, "invalid: transparency_entries"},
		{"PyPI log entry empty", edited(t, good["pypi"], set([]any{object{}}, "verification_material", "transparency_entries")), sigstore.KindPyPI, "invalid: nil value"},
		{"PyPI log not an array", edited(t, good["pypi"], set(1, "verification_material", "transparency_entries")), sigstore.KindPyPI, "invalid: transparency_entries"},
		{"PyPI material not an object", edited(t, good["pypi"], set(1, "verification_material")), sigstore.KindPyPI, "invalid: verification_material"},
		{"PyPI envelope missing", edited(t, good["pypi"], set(nil, "envelope")), sigstore.KindPyPI, "invalid: envelope"},
		{"PyPI provenance version", edited(t, good["pypi provenance"], set("1", "version")), sigstore.KindPyPI, "invalid: version is"},
		{"PyPI provenance empty", []byte(`{"version":1,"attestation_bundles":[{"publisher":{},"attestations":[]}]}`), sigstore.KindPyPI, "invalid: no attestations"},
		{"PyPI provenance not an array", []byte(`{"version":1,"attestation_bundles":1}`), sigstore.KindPyPI, "invalid: want an array"},
		{"PyPI provenance of a number", []byte(`{"version":1,"attestation_bundles":[1]}`), sigstore.KindPyPI, "invalid: want an object"},
		{"PyPI provenance of numbers", []byte(`{"version":1,"attestation_bundles":[{"attestations":1}]}`), sigstore.KindPyPI, "invalid: want an array"},
		{"PyPI provenance of a list of numbers", []byte(`{"version":1,"attestation_bundles":[{"attestations":[1]}]}`), sigstore.KindPyPI, "invalid: want an object"},
		{"PyPI attestations too many", edited(t, good["pypi provenance"], many("attestation_bundles", 33)), sigstore.KindBundle, "invalid: more than 32 signatures"},
		{"PyPI by another root", sigstoretest.New("other").PyPI(options{}, statement()), sigstore.KindPyPI, "stranger: not from an authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := verify(t, c.data, documentAnchors(t), now)
			r := all[0]
			if r.Valid && len(all) > 1 { // lines: the last is what the case is about
				r = all[len(all)-1]
			}
			wants(t, r, c.want)
			if r.Kind != c.kind {
				t.Errorf("kind %q, want %q", r.Kind, c.kind)
			}
		})
	}
}

// TestTruncated cuts every form at many lengths: what is left is never valid,
// but for whole lines.
func TestTruncated(t *testing.T) {
	a := documentAnchors(t)
	for name, data := range documents(t) {
		whole := len(bytes.TrimRight(data, "\n"))
		for n := 0; n < whole; n += 1 + n/37 {
			for i, r := range verify(t, data[:n], a, now) {
				if r.Valid && (name != "lines" || i > 0) {
					t.Errorf("%s cut to %d of %d bytes is valid", name, n, len(data))
				}
			}
		}
	}
}

// TestFlippedBits changes single bits of the text of bundles: whatever is
// still valid says the same about the artifact.
func TestFlippedBits(t *testing.T) {
	a := documentAnchors(t)
	const step = 61
	for name, data := range documents(t) {
		if name != "attestation" && name != "bundle" && name != "npm" && name != "pypi" {
			continue
		}
		want := verify(t, data, a, now)
		total, noticed := 0, 0
		for at := 0; at < len(data); at += step {
			bad := bytes.Clone(data)
			bad[at] ^= 1 << (at / step % 7)
			for i, r := range verify(t, bad, a, now) {
				total++
				if !r.Valid {
					noticed++
					continue
				}
				if w := want[i]; !bytes.Equal(r.Statement, w.Statement) || r.PredicateType != w.PredicateType ||
					r.Signer != w.Signer || !r.Time.Equal(w.Time) || (r.Certificate == nil) != (w.Certificate == nil) {
					t.Errorf("%s with bit of byte %d changed: %+v", name, at, r)
				}
			}
		}
		if noticed < total/2/len(want) { // a change concerns one of the signatures
			t.Errorf("%s: only %d changes of %d were noticed", name, noticed, total)
		}
	}
}

func ExampleVouches() {
	fmt.Println(sigstore.Vouches("https://slsa.dev/provenance/v1"), sigstore.Vouches("https://spdx.dev/Document"))
	// Output: true false
}

// TestVerdictBundle: what this service signs itself is read as well.
func TestVerdictBundle(t *testing.T) {
	vsa := statement(set("https://slsa.dev/verification_summary/v1", "predicateType"))
	b, err := dsse.Bundle(seal(t, "npm", vsa))
	if err != nil {
		t.Fatal(err)
	}
	r := verify(t, b, documentAnchors(t), now)[0]
	if wants(t, r, "valid"); sigstore.Vouches(r.PredicateType) {
		t.Error("a verdict counts as its publisher's word")
	}
}
