package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func public(k *PrivateKey) PublicKey { return PublicKey{Key: k.Public()} }

func publicPEM(t testing.TB, k *PrivateKey) []byte {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
}

func detachedBy(t testing.TB, k *PrivateKey, message []byte) []byte {
	t.Helper()
	signature, err := k.Sign(nil, message, crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func testKey(t testing.TB, seed string) *PrivateKey {
	t.Helper()
	k, err := KeyFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestSeedVector is FlavorPack's own vector.
func TestSeedVector(t *testing.T) {
	k := public(testKey(t, "flavorpack-format-compat-"+"fixture-v1"))
	if got := hex.EncodeToString(k.Key.(ed25519.PublicKey)); got != "00d88e9ee4f0deaf06d28f94e545cdc858dcd8a7371de3ca3e392c0b4263696c" {
		t.Errorf("public key %s", got)
	}
	if got := k.Fingerprint(); got != "4b1a4651cda2c3f6c27b1c8cb6e64d56869b0fecc8296a1bd3332b866abe6cdf" {
		t.Errorf("fingerprint %s", got)
	}
	if _, err := KeyFromSeed(""); err == nil {
		t.Error("an empty seed makes a key")
	}
}

// publicForms are one key in all the forms that are read.
func publicForms(t testing.TB, k *PrivateKey) map[string][]byte {
	t.Helper()
	raw := k.Public().(ed25519.PublicKey)
	line, err := ssh.NewPublicKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	authorized := bytes.TrimSpace(ssh.MarshalAuthorizedKey(line))
	return map[string][]byte{
		"pem":     publicPEM(t, k),
		"named":   append([]byte("# Name: Jo Doe \r\n"), publicPEM(t, k)...),
		"hex":     []byte(hex.EncodeToString(raw) + "\n"),
		"HEX":     []byte(strings.ToUpper(hex.EncodeToString(raw))),
		"raw":     raw,
		"openssh": append(authorized, " jo@example.test\n"...),
	}
}

func TestParsePublicKey(t *testing.T) {
	k := testKey(t, "a")
	names := map[string]string{"named": "Jo Doe", "openssh": "jo@example.test"}
	for form, data := range publicForms(t, k) {
		got, err := ParsePublicKey(data)
		if err != nil || got.Fingerprint() != public(k).Fingerprint() || got.Name != names[form] {
			t.Errorf("%s: %+v, %v", form, got, err)
		}
	}

	encode := func(kind string, der []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&p256.PublicKey)
	if got, err := ParsePublicKey(encode("PUBLIC KEY", spki, err)); err != nil || !strings.HasPrefix(got.KeyID(), "SHA256:") || len(got.Fingerprint()) != 64 {
		t.Errorf("P-256: %+v, %v", got, err)
	}

	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaSPKI, rsaErr := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	pkcs8, pkcs8Err := x509.MarshalPKCS8PrivateKey(k.signer)
	sshRSA, err := ssh.NewPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private := k.signer.(ed25519.PrivateKey)
	for name, data := range map[string][]byte{
		"empty": nil, "words": []byte("a public key"), "31 bytes": make([]byte, 31), "weak": make([]byte, 32),
		"not a point": append([]byte{2}, make([]byte, 31)...),
		"weak hex":    []byte("01" + strings.Repeat("00", 31)), "not hex": []byte(strings.Repeat("zz", 32)),
		"rsa": encode("PUBLIC KEY", rsaSPKI, rsaErr), "ssh-rsa": ssh.MarshalAuthorizedKey(sshRSA),
		"private pem": encode("PRIVATE KEY", pkcs8, pkcs8Err), "private der": pkcs8, "private 64": private,
		"openssh private": encode("OPENSSH PRIVATE KEY", pkcs8, nil),
		"certificate":     encode("CERTIFICATE", pkcs8, nil), "two": append(publicPEM(t, k), publicPEM(t, k)...),
		"broken pem": publicPEM(t, k)[:60], "broken der": encode("PUBLIC KEY", []byte{1, 2}, nil),
		"broken ssh": []byte("ssh-ed25519 AAAA"),
	} {
		got, err := ParsePublicKey(data)
		if err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
		if strings.Contains(name, "private") && !errors.Is(err, errPrivate) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && len(data) > 60 && strings.Contains(err.Error(), hex.EncodeToString(private.Seed())) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
}

func FuzzParsePublicKey(f *testing.F) {
	for _, data := range publicForms(f, testKey(f, "a")) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := ParsePublicKey(data); err == nil && (len(k.Fingerprint()) != 64 || k.KeyID() == "") {
			t.Errorf("%q was read as %+v", data, k)
		}
	})
}

func TestSaveAndRead(t *testing.T) {
	dir := t.TempDir()
	private, publicPath := filepath.Join(dir, "k.key"), filepath.Join(dir, "k.pub")
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := k.WriteFiles(private, publicPath, ""); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{private: 0o600, publicPath: 0o644} {
		info, err := os.Stat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	got, err := ReadPrivateKey(private)
	if err != nil || got.KeyID() != k.KeyID() || got.KeyID() != public(k).KeyID() {
		t.Errorf("read back %v, %v", got, err)
	}
	if keys, err := LoadPublicKeys(publicPath); err != nil || keys[0].Fingerprint() != public(k).Fingerprint() || keys[0].Name != "k" {
		t.Errorf("read back %+v, %v", keys, err)
	}

	if err := k.WriteFiles(private+"2", publicPath+"2", "Jo\nDoe"); err == nil {
		t.Error("a name of two lines is written")
	}
	if err := k.WriteFiles(private+"2", publicPath+"2", "Jo Doe"); err != nil {
		t.Fatal(err)
	}
	if keys, err := LoadPublicKeys(publicPath + "2"); err != nil || keys[0].Name != "Jo Doe" {
		t.Errorf("read back %+v, %v", keys, err)
	}
	for _, paths := range [][2]string{{private, filepath.Join(dir, "new.pub")}, {filepath.Join(dir, "new.key"), publicPath}} {
		if err := testKey(t, "other").WriteFiles(paths[0], paths[1], "x"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("overwriting: %v", err)
		}
	}
	if again, err := ReadPrivateKey(private); err != nil || again.KeyID() != k.KeyID() {
		t.Errorf("the key was overwritten: %v, %v", again, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "new*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestParsePrivateKey(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	k, err := ParsePrivateKey(encode(p256))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(k.KeyID(), "SHA256:") {
		t.Errorf("P-256: %v", k)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "p384": encode(p384), "public": publicPEM(t, k),
		"junk":     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("junk")}),
		"trailing": append(encode(p256), "x"...),
	} {
		if got, err := ParsePrivateKey(data); err == nil {
			t.Errorf("%s: read as %v", name, got)
		}
	}
}

// TestPrivateKeyIsNotShown prints a key in every way that logs do.
func TestPrivateKeyIsNotShown(t *testing.T) {
	k := testKey(t, "a")
	seed := k.signer.(ed25519.PrivateKey).Seed()
	var out bytes.Buffer
	for _, v := range []any{k, *k, struct{ K any }{k}, []*PrivateKey{k}} {
		fmt.Fprintf(&out, "%v %+v %#v %s %x %d\n", v, v, v, v, v, v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "key", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "key", v)
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	decimal := strings.Trim(fmt.Sprint(seed[:4]), "[]")
	for _, leak := range []string{string(seed), hex.EncodeToString(seed[:8]), decimal, fmt.Sprintf("0x%x, 0x%x", seed[0], seed[1])} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q is shown in\n%s", leak, out.String())
		}
	}
	if !strings.Contains(out.String(), k.KeyID()) {
		t.Errorf("the key id is not shown in\n%s", out.String())
	}
}
