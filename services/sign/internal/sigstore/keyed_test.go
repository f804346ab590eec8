package sigstore_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/dsse/dssetest"
	"assize.dev/services/sign/internal/keys"
	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/sigstore/sigstoretest"
)

func edKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func keyID(t testing.TB, public crypto.PublicKey) string {
	t.Helper()
	id, err := dsse.KeyID(public)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// cosignHint is how cosign names a key.
func cosignHint(t testing.TB, public crypto.PublicKey) string {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// seal is an envelope signed with the P-256 key of a name.
func seal(t testing.TB, name string, payload []byte) []byte {
	t.Helper()
	return sealBy(t, payload, dssetest.P256(t, name))
}

func sealBy(t testing.TB, payload []byte, by ...dssetest.Signer) []byte {
	t.Helper()
	e, err := dsse.Seal(context.Background(), dsse.PayloadType, payload, by...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func edited(t testing.TB, data []byte, edits ...func(object)) []byte {
	t.Helper()
	var document object
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		e(document)
	}
	return encode(document)
}

func bundled(t testing.TB, envelope []byte, edits ...func(object)) []byte {
	t.Helper()
	b, err := dsse.Bundle(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return edited(t, b, edits...)
}

func keyAnchors(t testing.TB) *sigstore.Anchors {
	t.Helper()
	a := &sigstore.Anchors{Keys: []crypto.PublicKey{
		sigstoretest.Key("a").Public(), edKey("b").Public(), sigstoretest.Key("a").Public(), // one twice
		dssetest.MLDSA(t, "m").Public(),
	}}
	if err := a.Check(); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestKeyedBundle(t *testing.T) {
	a, b := sigstoretest.Key("a").Public(), edKey("b").Public()
	edSealed := sealBy(t, statement(), dssetest.Ed25519("b"))
	hint := func(s string) func(object) { return set(s, "verificationMaterial", "publicKey", "hint") }
	keyid := func(s string) func(object) { return set(s, "dsseEnvelope", "signatures", 0, "keyid") }
	for _, c := range []struct {
		name   string
		data   []byte
		signer crypto.PublicKey
		want   string
	}{
		{"P-256", bundled(t, seal(t, "a", statement())), a, "valid"},
		{"Ed25519", bundled(t, edSealed), b, "valid"},
		{"cosign's hint, no keyid", bundled(t, seal(t, "a", statement()), hint(cosignHint(t, a)), keyid("")), a, "valid"},
		{"no hint", bundled(t, seal(t, "a", statement()), hint("")), a, "valid"},
		{"neither hint nor keyid", bundled(t, edSealed, hint(""), keyid("")), b, "valid"},
		{"private names", bundled(t, edSealed, hint("release key"), keyid("2026")), b, "valid"},
		{"hint of another trusted key", bundled(t, seal(t, "a", statement()), hint(keyID(t, b)), keyid("")), b, "invalid: does not hold by the key that it names"},
		{"names two trusted keys", bundled(t, seal(t, "a", statement()), hint(keyID(t, b))), nil, "invalid: names two keys"},
		{"unknown key", bundled(t, seal(t, "c", statement())), sigstoretest.Key("c").Public(), "stranger: none of the trusted keys"},
		{"unknown key, no names", bundled(t, seal(t, "c", statement()), hint(""), keyid("")), nil, "stranger: none of the trusted keys"},
		{"unknown key under a trusted name", bundled(t, seal(t, "c", statement()), hint(keyID(t, a)), keyid("")), a, "invalid: does not hold"},
		{"signature changed", bundled(t, seal(t, "a", statement()), flip("dsseEnvelope", "signatures", 0, "sig")), a, "invalid: does not hold"},
		{"statement changed", bundled(t, seal(t, "a", statement()), set(statement(set("b", "predicate")), "dsseEnvelope", "payload")), a, "invalid: does not hold"},
		{"another file", bundled(t, seal(t, "a", statement(set([]any{object{"digest": object{"sha256": "00"}}}, "subject")))), nil, "invalid: another file"},
		{"two signatures", bundled(t, seal(t, "a", statement()), func(b object) {
			e := b["dsseEnvelope"].(object)
			e["signatures"] = []any{at(e, "signatures", 0), at(e, "signatures", 0)}
		}), nil, "invalid: exactly one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := verify(t, c.data, keyAnchors(t), now)[0]
			wants(t, r, c.want)
			want := ""
			if c.signer != nil {
				want = keyID(t, c.signer)
			}
			if r.Signer != want || r.Kind != sigstore.KindBundle || r.Certificate != nil || r.TimeProven {
				t.Errorf("got %+v, want signer %q", r, want)
			}
		})
	}
}

func blobBundle(t testing.TB, hint, algorithm string, digest, sig []byte) []byte {
	t.Helper()
	return encode(object{
		"mediaType":            "application/vnd.dev.sigstore.bundle.v0.3+json",
		"verificationMaterial": object{"publicKey": object{"hint": hint}},
		"messageSignature":     object{"messageDigest": object{"algorithm": algorithm, "digest": digest}, "signature": sig},
	})
}

func TestKeyedBlob(t *testing.T) {
	sum256, sum512 := sha256.Sum256(artifact), sha512.Sum512(artifact)
	p256, err := dssetest.P256(t, "a").Sign(t.Context(), artifact)
	if err != nil {
		t.Fatal(err)
	}
	ph, err := edKey("b").Sign(nil, sum512[:], crypto.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	pure := ed25519.Sign(edKey("b"), artifact)
	a, b := keyID(t, sigstoretest.Key("a").Public()), keyID(t, edKey("b").Public())
	wrong := bytes.Clone(pure)
	wrong[3] ^= 1
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"P-256", blobBundle(t, a, "SHA2_256", sum256[:], p256), "valid"},
		{"P-256, no hint", blobBundle(t, "", "SHA2_256", sum256[:], p256), "valid"},
		{"Ed25519ph", blobBundle(t, b, "SHA2_512", sum512[:], ph), "valid"},
		{"Ed25519ph, no hint", blobBundle(t, "", "SHA2_512", sum512[:], ph), "valid"},
		{"Ed25519", blobBundle(t, b, "SHA2_256", sum256[:], pure), "valid"},
		{"Ed25519 without the key's name", blobBundle(t, "", "SHA2_256", sum256[:], pure), "stranger: none of the trusted keys"},
		{"Ed25519 changed", blobBundle(t, b, "SHA2_256", sum256[:], wrong), "invalid: does not hold"},
		{"Ed25519 cut", blobBundle(t, b, "SHA2_256", sum256[:], pure[:63]), "invalid: does not hold"},
		{"P-256 by another name", blobBundle(t, b, "SHA2_256", sum256[:], p256), "invalid: does not hold"},
		{"another file", blobBundle(t, a, "SHA2_256", sum512[:32], p256), "invalid: another file"},
	} {
		t.Run(c.name, func(t *testing.T) { wants(t, verify(t, c.data, keyAnchors(t), now)[0], c.want) })
	}
}

// TestKeyedInLog: a key's signature needs no log, but what a bundle says of
// one that the root lists has to be true.
func TestKeyedInLog(t *testing.T) {
	name := "signer of " + sigstoretest.SAN // so that the fake makes this key's signatures
	byKey := func(b object) {
		delete(b["verificationMaterial"].(object), "certificate")
		b["verificationMaterial"].(object)["publicKey"] = object{"hint": keyID(t, sigstoretest.Key(name).Public())}
	}
	both := func(edits ...func(object)) func(object) {
		return func(b object) {
			byKey(b)
			for _, e := range edits {
				e(b)
			}
		}
	}
	spki, err := x509.MarshalPKIXPublicKey(sigstoretest.Key(name).Public())
	if err != nil {
		t.Fatal(err)
	}
	logKey := func(e object) {
		in := at(e, "spec", "hashedRekordV002", "signature", "verifier").(object)
		delete(in, "x509Certificate")
		in["publicKey"] = object{"rawBytes": spki}
	}
	for _, c := range []struct {
		name   string
		opts   options
		proven bool
		want   string
	}{
		{"log and timestamp", options{Rekor2: true, EditEntry: logKey, Edit: byKey}, true, "valid"},
		{"timestamp", options{NoLog: true, Timestamp: true, Edit: byKey}, true, "valid"},
		{"neither", options{NoLog: true, Edit: byKey}, false, "valid"},
		{"an unknown log", options{Rekor2: true, NoTimestamp: true, EditEntry: logKey, Edit: both(flip(entry("logId", "keyId")...))}, false, "valid"},
		{"not in the log", options{Rekor2: true, Edit: byKey}, false, "invalid: transparency log"},
		{"not in the log, version 1", options{Edit: byKey}, false, "invalid: transparency log certificate does not match"},
		{"in the future", options{NoLog: true, Timestamp: true, SignedAt: now.AddDate(0, 0, 1), Edit: byKey}, false, "invalid: in the future"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := anchors(t)
			a.Keys = []crypto.PublicKey{sigstoretest.Key(name).Public()}
			r := verify(t, fake.SignBlob(c.opts, artifact), a, now)[0]
			wants(t, r, c.want)
			if r.TimeProven != c.proven || r.Signer != keyID(t, sigstoretest.Key(name).Public()) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestBareEnvelope(t *testing.T) {
	a := sigstoretest.Key("a").Public()
	add := func(more []byte) func(object) {
		return func(e object) {
			var other object
			if err := json.Unmarshal(more, &other); err != nil {
				t.Fatal(err)
			}
			e["signatures"] = append(e["signatures"].([]any), other["signatures"].([]any)...)
		}
	}
	edSealed := sealBy(t, statement(), dssetest.Ed25519("b"))
	urlSafe := func(e object) {
		for _, in := range []object{e, at(e, "signatures", 0).(object)} {
			for name, v := range in {
				if s, ok := v.(string); ok && name != "keyid" && name != "payloadType" {
					in[name] = strings.NewReplacer("+", "-", "/", "_").Replace(s)
				}
			}
		}
	}
	envelope := seal(t, "a", statement())
	many := func(n int) func(object) {
		return func(e object) {
			for len(e["signatures"].([]any)) < n {
				add(envelope)(e)
			}
		}
	}
	spkiHex := func() string {
		raw, err := base64.StdEncoding.DecodeString(cosignHint(t, a))
		if err != nil {
			t.Fatal(err)
		}
		return hex.EncodeToString(raw)
	}()
	for _, c := range []struct {
		name string
		data []byte
		want []string
	}{
		{"one signature", envelope, []string{"valid"}},
		{"base64 for URLs", edited(t, envelope, urlSafe), []string{"valid"}},
		{"keyid in hexadecimal", edited(t, envelope, set(spkiHex, "signatures", 0, "keyid")), []string{"valid"}},
		{"a private keyid", edited(t, envelope, set("mine", "signatures", 0, "keyid")), []string{"valid"}},
		{"ML-DSA-65", sealBy(t, statement(), dssetest.MLDSA(t, "m")), []string{"valid"}},
		{"two signers", edited(t, envelope, add(edSealed)), []string{"valid", "valid"}},
		{"a stranger too", edited(t, envelope, add(seal(t, "c", statement()))), []string{"valid", "stranger: none of the trusted keys"}},
		{"a signature over something else too", edited(t, envelope, add(seal(t, "a", []byte("{}")))), []string{"valid", "invalid: does not hold"}},
		{"lines", append(append(bytes.Clone(envelope), '\n'), edSealed...), []string{"valid", "valid"}},
		{"a line that is none", append(bytes.Clone(envelope), "\n[]"...), []string{"valid", "invalid: want an object"}},
		{"signature", edited(t, envelope, flip("signatures", 0, "sig")), []string{"invalid: does not hold"}},
		{"payload", edited(t, envelope, set(statement(set("b", "predicate")), "payload")), []string{"invalid: does not hold"}},
		{"payload type", edited(t, envelope, set("text/plain", "payloadType")), []string{"invalid: payload type"}},
		{"no signatures", edited(t, envelope, set([]any{}, "signatures")), []string{"invalid: at least one"}},
		{"signature not base64", edited(t, envelope, set("!", "signatures", 0, "sig")), []string{"invalid: want base64"}},
		{"empty signature", edited(t, envelope, set("", "signatures", 0, "sig")), []string{"invalid: want base64"}},
		{"keyid not text", edited(t, envelope, set(1, "signatures", 0, "keyid")), []string{"invalid: keyid"}},
		{"signature not an object", edited(t, envelope, set([]any{1}, "signatures")), []string{"invalid: want an object"}},
		{"payload missing", edited(t, envelope, set(nil, "payload")), []string{"invalid: payload"}},
		{"payload type not text", edited(t, envelope, set(1, "payloadType")), []string{"invalid: payloadType"}},
		{"too many signatures", edited(t, envelope, many(33)), []string{"invalid: more than 32 signatures"}},
		{"far too many signatures", edited(t, envelope, many(1000)), []string{"invalid: more than 32 signatures"}},
		{"keyid twice", bytes.Replace(envelope, []byte(`"keyid":`), []byte(`"keyid":"x","keyid":`), 1), []string{"invalid: duplicate name"}},
		{"payload of another name too", bytes.Replace(envelope, []byte(`"payload":`), []byte(`"Payload":"e30=","payload":`), 1), []string{"valid"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := verify(t, c.data, keyAnchors(t), now)
			if len(all) != len(c.want) {
				t.Fatalf("got %d results %+v, want %d", len(all), all, len(c.want))
			}
			for i, r := range all {
				wants(t, r, c.want[i])
				if r.Valid && r.Kind != sigstore.KindDSSE {
					t.Errorf("kind %q", r.Kind)
				}
			}
		})
	}
	if r := verify(t, envelope, &sigstore.Anchors{}, now)[0]; !r.Stranger || r.Signer != keyID(t, a) {
		t.Errorf("without keys: %+v", r)
	}
}

// TestKeyWithoutLog: no log takes ML-DSA, and none is needed.
func TestKeyWithoutLog(t *testing.T) {
	a := anchors(t)
	a.Keys = []crypto.PublicKey{dssetest.MLDSA(t, "m").Public()}
	wants(t, verify(t, bundled(t, sealBy(t, statement(), dssetest.MLDSA(t, "m"))), a, now)[0], "valid")
}

// TestBoundedWork: signatures that do not name their keys cannot make the
// verifier try all keys for all signatures without end.
func TestBoundedWork(t *testing.T) {
	a := &sigstore.Anchors{}
	for i := range 600 {
		a.Keys = append(a.Keys, edKey(fmt.Sprint(i)).Public())
	}
	line := edited(t, seal(t, "unknown", statement()), set("", "signatures", 0, "keyid"))
	all := verify(t, bytes.Repeat(append(line, '\n'), 3), a, now)
	wants(t, all[0], "stranger: ")
	wants(t, all[1], "invalid: more than 1024 signatures")
	wants(t, all[2], "invalid: more than 1024 signatures")
}

// TestKeyIsNamed: a key is named as it is trusted, however it signed.
func TestKeyIsNamed(t *testing.T) {
	sum := sha256.Sum256(artifact)
	ed := edKey("b").Public().(ed25519.PublicKey)
	raw := sha256.Sum256(ed)
	for name, data := range map[string][]byte{
		"blob":     blobBundle(t, keyID(t, ed), "SHA2_256", sum[:], ed25519.Sign(edKey("b"), artifact)),
		"bundle":   bundled(t, sealBy(t, statement(), dssetest.Ed25519("b"))),
		"envelope": sealBy(t, statement(), dssetest.Ed25519("b")),
	} {
		if r := verify(t, data, keyAnchors(t), now)[0]; r.Key != hex.EncodeToString(raw[:]) {
			t.Errorf("%s: key %q", name, r.Key)
		}
	}
	p256 := sigstoretest.Key("a").Public()
	if r := verify(t, seal(t, "a", statement()), keyAnchors(t), now)[0]; r.Key != (keys.PublicKey{Key: p256}).Fingerprint() {
		t.Errorf("P-256: key %q", r.Key)
	}
}

func TestCheckAnchors(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), nil)
	if err != nil {
		t.Fatal(err)
	}
	good := sigstore.Identity{Issuer: "https://i.test", SAN: "https://s.test/*", SourceRepository: "https://s.test/a"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for what, a := range map[string]*sigstore.Anchors{
		"want an Ed":  {Keys: []crypto.PublicKey{p384.Public()}},
		"issuer":      {Identities: []sigstore.Identity{{SAN: "a"}}},
		"SAN is":      {Identities: []sigstore.Identity{{Issuer: "a"}}},
		"anybody":     {Identities: []sigstore.Identity{{Issuer: "a", SAN: "**"}}},
		"white space": {Identities: []sigstore.Identity{{Issuer: "a", SAN: "b c"}}},
		"2049 bytes":  {Identities: []sigstore.Identity{{Issuer: "a", SAN: strings.Repeat("a", 2049)}}},
		"not UTF-8":   {Identities: []sigstore.Identity{{Issuer: "a", SAN: "\xff"}}},
		"repository":  {Identities: []sigstore.Identity{{Issuer: "a", SAN: "b", SourceRepository: "*"}}},
	} {
		if err := a.Check(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A key that Check refuses is nobody's.
	wants(t, verify(t, seal(t, "a", statement()), &sigstore.Anchors{Keys: []crypto.PublicKey{p384.Public()}}, now)[0], "stranger: ")
}
