package sign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/keys"
	"assize.dev/shared/event"
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

// folder writes files, named by path, into a new directory.
func folder(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadTrust(t *testing.T) {
	a, b, c, d := testKey(t, "a"), testKey(t, "b"), testKey(t, "c"), testKey(t, "d")
	print := func(k *PrivateKey) string { return public(k).Fingerprint() }
	dir := folder(t, map[string][]byte{
		"a.pub": publicPEM(t, a), "b.hex": []byte(hex.EncodeToString(b.Public().(ed25519.PublicKey))), "again.pem": publicPEM(t, a), "README.md": []byte("keys"),
		".hidden.pem": []byte("x"), "fingerprints.txt": []byte("# ours\n\n" + strings.ToUpper(print(c)) + " # Jo\n"),
		"denied/b.pub": publicPEM(t, b), "denied/fingerprints.txt": []byte("sha256:" + print(d)),
	})
	trust, err := LoadTrust(dir)
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[*PrivateKey]string{
		a: event.Trusted, b: event.Denied, c: event.Trusted, d: event.Denied, testKey(t, "e"): event.UnknownTrust,
	} {
		if got := trust.Of(print(k)); got != want {
			t.Errorf("key %s is %s, want %s", print(k), got, want)
		}
	}
	if keys := trust.Keys(); len(keys) != 2 {
		t.Errorf("keys: %+v", keys)
	}

	same := NewTrust([]PublicKey{public(a)}, nil)
	if same.Digest() == trust.Digest() || same.Digest() == NewTrust(nil, []PublicKey{public(a)}).Digest() || same.Digest() == (Trust{}).Digest() {
		t.Error("different trust has the same digest")
	}
	one, err := LoadTrust(filepath.Join(dir, "a.pub"))
	if err != nil || one.Digest() != same.Digest() {
		t.Errorf("trust of one file: %+v, %v", one, err)
	}
	if (Trust{}).Of(print(a)) != event.UnknownTrust {
		t.Error("the zero value trusts somebody")
	}
}

func TestLoadTrustStops(t *testing.T) {
	good := publicPEM(t, testKey(t, "a"))
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := keys.FromSigner(p256)
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]map[string][]byte{
		"a broken key":              {"a.pub": good, "bad.pub": []byte("x")},
		"a key of another kind":     {"a.pub": good, "bad.pem": publicPEM(t, other)},
		"a large file":              {"a.pub": good, "bad.pub": bytes.Repeat([]byte("x"), keys.MaxFile+1)},
		"a broken fingerprint":      {"a.pub": good, "fingerprints.txt": []byte("abc")},
		"a broken denied key":       {"a.pub": good, "denied/bad.hex": []byte("x")},
		"a denied file of no kind":  {"a.pub": good, "denied/bad.txt": good},
		"a denied folder in folder": {"a.pub": good, "denied/more/x.pub": good},
		"a directory for a key":     {"a.pub": good, "bad.pub/x": good},
		"denied is a file":          {"a.pub": good, "denied": good},
	} {
		dir := folder(t, files)
		if trust, err := LoadTrust(dir); err == nil || len(trust.Keys()) != 0 || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, %d keys", name, err, len(trust.Keys()))
		}
	}
	if _, err := LoadTrust(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}
