package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/mldsa"
	mldsax509 "filippo.io/mldsa/x509"
	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"

	"assize.dev/shared/realdata"
)

// publicForms are one key in all the forms that are read.
func publicForms(t testing.TB, k *PrivateKey) map[string][]byte {
	t.Helper()
	raw := k.Public().(ed25519.PublicKey)
	return map[string][]byte{
		"pem":             publicPEM(t, k),
		"named":           append([]byte("# Name: Jo Doe \r\n"), publicPEM(t, k)...),
		"der":             derOf(t, k.Public()),
		"openssh":         append(bytes.TrimSpace(authorizedKey(t, raw)), " jo@example.test\n"...),
		"jwk":             jwk(raw, `"kid": "2026", "alg": "EdDSA", "use": "sig", "key_ops": ["verify"]`),
		"note":            []byte(noteKey("log.example.test/a", raw) + "\n"),
		"minisign":        minisignFile("untrusted comment: minisign public key 123\n", raw),
		"signify":         append([]byte("# Name: Base\n"), minisignFile("untrusted comment: openbsd public key\n", raw)...),
		"RW":              minisignFile("", raw),
		"hex":             []byte(hex.EncodeToString(raw) + "\n"),
		"HEX":             []byte(strings.ToUpper(hex.EncodeToString(raw))),
		"base64":          []byte(base64.StdEncoding.EncodeToString(raw) + "\r\n"),
		"name and base64": []byte("# Name:\tJo\n\n" + base64.StdEncoding.EncodeToString(raw)),
		"raw":             raw,
	}
}

func authorizedKey(t testing.TB, public any) []byte {
	t.Helper()
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return ssh.MarshalAuthorizedKey(key)
}

func TestParsePublicKey(t *testing.T) {
	names := map[string]string{
		"named": "Jo Doe", "openssh": "jo@example.test", "note": "log.example.test/a", "jwk": "2026",
		"minisign": "minisign public key 123", "signify": "Base", "name and base64": "Jo",
	}
	for _, seed := range []string{"a", "b", "c", "d", "e"} { // some begin with what another form does
		k := testKey(t, seed)
		for form, data := range publicForms(t, k) {
			got, err := ParsePublicKey(data)
			if err != nil || got.Fingerprint() != public(k).Fingerprint() || got.KeyID() != k.KeyID() || got.Name != names[form] {
				t.Errorf("%s: %+v, %v", form, got, err)
			}
		}
	}

	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for form, data := range map[string][]byte{"pem": encode("PUBLIC KEY", derOf(t, &p256.PublicKey)), "der": derOf(t, &p256.PublicKey)} {
		if got, err := ParsePublicKey(data); err != nil || !strings.HasPrefix(got.KeyID(), "SHA256:") || len(got.Fingerprint()) != 64 {
			t.Errorf("P-256, %s: %+v, %v", form, got, err)
		}
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	k := testKey(t, "a")
	raw, private := k.Public().(ed25519.PublicKey), k.signer.(ed25519.PrivateKey)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak := make([]byte, 32)
	pkcs8 := pkcs8Of(t, private)
	skey, _, err := note.GenerateKey(rand.Reader, "log.example.test")
	if err != nil {
		t.Fatal(err)
	}
	openssh, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	vkey := noteKey("log", raw)
	text := func(s string) []byte { return []byte(s) }
	b64 := base64.StdEncoding.EncodeToString
	for name, c := range map[string]struct {
		data   []byte
		reason string
	}{
		"empty": {nil, "no public key"}, "words": {text("a public key"), "no public key"}, "31 bytes": {raw[1:], "SPKI"},
		"not a point": {append([]byte{2}, weak[1:]...), "not a point"}, "not hex": {text(strings.Repeat("zz", 32)), "no public key"},
		"base64, not canonical": {text(b64(raw)[:42] + "B="), "no public key"}, "base64url": {text("-_" + b64(raw)[2:]), "no public key"},
		"weak": {weak, "weak"}, "weak hex": {text("01" + strings.Repeat("00", 31)), "weak"}, "weak base64": {text(b64(weak)), "weak"},
		"weak pem": {encode("PUBLIC KEY", derOf(t, ed25519.PublicKey(weak))), "weak"}, "weak der": {derOf(t, ed25519.PublicKey(weak)), "weak"},
		"weak openssh": {authorizedKey(t, ed25519.PublicKey(weak)), "weak"}, "weak jwk": {jwk(weak, ""), "weak"},
		"weak note": {text(noteKey("log", weak)), "weak"}, "weak minisign": {minisignFile("", weak), "weak"},
		"rsa": {encode("PUBLIC KEY", derOf(t, &rsaKey.PublicKey)), "want an Ed25519"}, "rsa der": {derOf(t, &rsaKey.PublicKey), "want an Ed25519"},
		"p384": {encode("PUBLIC KEY", derOf(t, &p384.PublicKey)), "want an Ed25519"}, "p384 der": {derOf(t, &p384.PublicKey), "want an Ed25519"},
		"ssh-rsa": {authorizedKey(t, &rsaKey.PublicKey), "want ssh-ed25519"}, "broken ssh": {text("ssh-ed25519 AAAA"), "OpenSSH"},
		"two ssh": {bytes.Repeat(authorizedKey(t, raw), 2), "one line"}, "csr": {encode("CERTIFICATE REQUEST", pkcs8), "want PUBLIC KEY"},
		"certificate": {encode("CERTIFICATE", pkcs8), "certificate"}, "two": {append(publicPEM(t, k), publicPEM(t, k)...), "more than one"},
		"broken pem": {publicPEM(t, k)[:60], "malformed"}, "broken der": {encode("PUBLIC KEY", []byte{1, 2}), "SPKI"},
		"trailing der":      {append(derOf(t, k.Public()), 0), "SPKI"},
		"der not canonical": {append([]byte{0x30, 0x81}, derOf(t, k.Public())[1:]...), "SPKI"},
		"der with more":     {append(append([]byte{0x30, 0x2c}, derOf(t, k.Public())[2:]...), 5, 0), "not canonical"},

		"private pem": {encode("PRIVATE KEY", pkcs8), ""}, "private der": {pkcs8, ""}, "private 64": {private, ""},
		"private 64 hex": {text(hex.EncodeToString(private)), ""}, "private 64 base64": {text(b64(private)), ""},
		"private openssh": {pem.EncodeToMemory(openssh), ""}, "private openssl": {encode("EC PRIVATE KEY", pkcs8), ""},
		"private jwk": {jwk(raw, `"d": "`+base64.RawURLEncoding.EncodeToString(private.Seed())+`"`), ""}, "private jwk, empty": {jwk(raw, `"d": null`), ""},
		"private note": {text(skey), ""}, "private minisign": {text("untrusted comment: x\n" + b64(make([]byte, 158))), ""},
		"private signify": {text("untrusted comment: x\n" + b64(make([]byte, 104))), ""},

		"note, wrong hash":     {text(strings.Replace(vkey, "log", "gol", 1)), "invalid verifier hash"},
		"note, no name":        {text(vkey[3:]), "malformed"},
		"note, other key":      {text(noteKey("log", raw[1:])), "malformed"},
		"note, algorithm":      {text(noteOf("log", append([]byte{2}, raw...))), "unknown verifier algorithm"},
		"note, witness":        {text(noteOf("log", append([]byte{4}, raw...))), "unknown verifier algorithm"},
		"jwk, twice":           {jwk(raw, `"x": "`+b64(raw)+`"`), "twice"},
		"jwk, capitals":        {bytes.Replace(jwk(raw, ""), text(`"x"`), text(`"X"`), 1), `"x"`},
		"jwk, curve":           {bytes.Replace(jwk(raw, ""), text("Ed25519"), text("X25519"), 1), `"crv"`},
		"jwk, type":            {bytes.Replace(jwk(raw, ""), text("OKP"), text("EC"), 1), `"kty"`},
		"jwk, algorithm":       {jwk(raw, `"alg": "ECDH-ES"`), `"alg"`},
		"jwk, encryption":      {jwk(raw, `"use": "enc"`), `"use"`},
		"jwk, short":           {jwk(raw[1:], ""), "32 bytes"},
		"jwk, no text":         {text(`{"kty": "OKP", "crv": "Ed25519", "x": 1}`), "32 bytes"},
		"jwk, kid":             {jwk(raw, `"kid": "a\nb"`), "control"},
		"jwk, cut":             {jwk(raw, "")[:30], "JSON Web Key"},
		"jwk, two":             {append(jwk(raw, ""), jwk(raw, "")...), "follows"},
		"jwk, set":             {text(`{"keys": []}`), "JSON Web Key"},
		"jwk, brace":           {text("{"), "JSON Web Key"},
		"jwk, no name":         {text("{1: 2}"), "JSON Web Key"},
		"minisign, no comment": {text("untrusted comment:"), "minisign"}, "minisign, short": {minisignFile("", raw[1:]), "41 bytes"},
		"ML-DSA-44": {mldsaSPKI(t, mldsa.MLDSA44()), "ML-DSA-44"}, "ML-DSA-87": {mldsaSPKI(t, mldsa.MLDSA87()), "ML-DSA-87"},
	} {
		got, err := ParsePublicKey(c.data)
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %+v, %v, want %q", name, got, err, c.reason)
			continue
		}
		if errors.Is(err, errPrivate) != strings.HasPrefix(name, "private") {
			t.Errorf("%s: %v", name, err)
		}
		if seed := private.Seed(); strings.Contains(err.Error(), hex.EncodeToString(seed)) || strings.Contains(err.Error(), b64(seed)[:40]) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
	for form, data := range publicForms(t, k) {
		for n := range len(bytes.TrimSpace(data)) {
			got, err := ParsePublicKey(data[:n])
			if err == nil && (form != "openssh" || got.Fingerprint() != public(k).Fingerprint()) { // a comment may be shorter
				t.Errorf("%s, %d bytes: %+v", form, n, got)
			}
		}
	}
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8Of(t testing.TB, key any) []byte {
	t.Helper()
	der, err := mldsax509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func mldsaSPKI(t testing.TB, p mldsa.Parameters) []byte {
	t.Helper()
	key, err := mldsa.GenerateKey(p)
	if err != nil {
		t.Fatal(err)
	}
	der, err := mldsax509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestNoteLibrary reads what the library of signed notes writes.
func TestNoteLibrary(t *testing.T) {
	for range 20 { // with and without "+" in the base64
		_, vkey, err := note.GenerateKey(rand.Reader, "log.example.test/2026")
		if err != nil {
			t.Fatal(err)
		}
		if k, err := ParsePublicKey([]byte(vkey)); err != nil || k.Name != "log.example.test/2026" {
			t.Errorf("%s: %+v, %v", vkey, k, err)
		}
	}
}

func TestParseFingerprint(t *testing.T) {
	k := public(testKey(t, "a"))
	pq, err := GenerateMLDSA()
	if err != nil {
		t.Fatal(err)
	}
	digits := k.Fingerprint()
	for text, want := range map[string]string{
		digits: digits, "sha256:" + digits: digits, strings.ToUpper(digits): digits, "SHA256:" + strings.ToUpper(digits): digits,
		k.KeyID(): k.KeyID(), pq.KeyID(): pq.KeyID(),
	} {
		if got, err := ParseFingerprint(text); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
		if k.Matches(text) != (text != pq.KeyID()) || public(pq).Matches(text) != (text == pq.KeyID()) {
			t.Errorf("%s matches another key, or not its own", text)
		}
	}
	for _, text := range []string{
		"", "sha256:", digits[1:], digits + "0", "g" + digits[1:], " " + digits, "sha512:" + digits, "sha256:sha256:" + digits,
		k.KeyID()[7:], strings.ToLower(k.KeyID()), k.KeyID() + "=", k.KeyID()[:49], k.KeyID()[:20] + "\n" + k.KeyID()[20:], "SHA256:" + strings.Repeat("/", 43),
		"MD5:" + digits, "SHA256:" + strings.Repeat("A", 44),
	} {
		if got, err := ParseFingerprint(text); err == nil || k.Matches(text) {
			t.Errorf("%q: %s", text, got)
		}
	}
	if public(testKey(t, "b")).Matches(digits) || public(testKey(t, "b")).Matches(k.KeyID()) {
		t.Error("another key matches")
	}
}

// TestRealSamples reads the keys that came with signatures.
func TestRealSamples(t *testing.T) {
	dir := filepath.Join(realdata.Dir(t), "signatures", "rawkeys")
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, want := range map[string]string{"ed25519.pub.pem": "ed25519.pub", "ed25519.pub32": "ed25519", "minisign.pub": "minisign public key E8E6C01423FD3470", "signify.pub": "demo public key"} {
		keys, err := LoadPublicKeys(filepath.Join(dir, name))
		if err != nil || len(keys) != 1 || keys[0].Name != want {
			t.Errorf("%s: %+v, %v", name, keys, err)
		}
	}
	a, errA := ParsePublicKey(read("ed25519.pub.pem"))
	b, errB := ParsePublicKey(read("ed25519.pub32"))
	if errA != nil || errB != nil || a.Fingerprint() != b.Fingerprint() {
		t.Errorf("%v, %v, %v, %v", a, errA, b, errB)
	}
}

func FuzzParsePublicKey(f *testing.F) {
	for _, data := range publicForms(f, testKey(f, "a")) {
		f.Add(data)
	}
	f.Add(mldsaSPKI(f, mldsa.MLDSA65()))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParsePublicKey(data)
		if err != nil {
			return
		}
		if len(k.Fingerprint()) != 64 || !k.Matches(k.KeyID()) || !k.Matches(k.Fingerprint()) || strings.Contains(k.Name, "\n") {
			t.Errorf("%q was read as %+v", data, k)
		}
		again, err := ParsePublicKey(derOf(t, k.Key))
		if err != nil || again.Fingerprint() != k.Fingerprint() {
			t.Errorf("%q was read as %+v, and that as %+v, %v", data, k, again, err)
		}
	})
}
