package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
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

	"filippo.io/mldsa/x509"
)

func public(k *PrivateKey) PublicKey { return PublicKey{Key: k.Public()} }

func derOf(t testing.TB, public any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func publicPEM(t testing.TB, k *PrivateKey) []byte {
	t.Helper()
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: derOf(t, k.Public())})
}

// noteKey, jwk and minisignFile write a key in their form.
func noteKey(name string, raw []byte) string {
	return noteOf(name, append([]byte{noteEd25519}, raw...))
}

func noteOf(name string, key []byte) string {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return fmt.Sprintf("%s+%x+%s", name, sum[:4], base64.StdEncoding.EncodeToString(key))
}

func jwk(raw []byte, more string) []byte {
	if more != "" {
		more = ", " + more
	}
	return fmt.Appendf(nil, `{"kty": "OKP", "crv": "Ed25519", "x": %q%s}`, base64.RawURLEncoding.EncodeToString(raw), more)
}

func minisignFile(comment string, raw []byte) []byte {
	return []byte(comment + base64.StdEncoding.EncodeToString(append([]byte("Ed12345678"), raw...)) + "\n")
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

// TestReadPrivateKeyWantsPEM keeps a public key file from becoming the key that
// signs: its 32 bytes would do for a seed.
func TestReadPrivateKeyWantsPEM(t *testing.T) {
	k := testKey(t, "a")
	path := filepath.Join(t.TempDir(), "k")
	if _, err := ReadPrivateKey(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	raw := k.Public().(ed25519.PublicKey)
	for name, data := range map[string][]byte{
		"public key": raw, "public key in hexadecimal": []byte(hex.EncodeToString(raw)), "seed": k.signer.(ed25519.PrivateKey).Seed(),
		"public key in PEM": publicPEM(t, k), "too large": bytes.Repeat([]byte("\n"), MaxFile+1),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadPrivateKey(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestLoadPublicKeys(t *testing.T) {
	dir := t.TempDir()
	a, b := testKey(t, "a"), testKey(t, "b")
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("b.pem", publicPEM(t, a))
	write("a.hex", []byte(hex.EncodeToString(b.Public().(ed25519.PublicKey))))
	write("c.txt", []byte("not a key"))
	write(".d.pub", []byte("hidden"))
	keys, err := LoadPublicKeys(dir)
	if err != nil || len(keys) != 2 || keys[0].KeyID() != b.KeyID() || keys[0].Name != "a" || keys[1].KeyID() != a.KeyID() {
		t.Errorf("%+v, %v", keys, err)
	}
	write("e.pub", []byte("not a key"))
	for _, path := range []string{dir, filepath.Join(dir, "e.pub"), filepath.Join(dir, "none")} {
		if keys, err := LoadPublicKeys(path); err == nil {
			t.Errorf("%s: %+v", path, keys)
		}
	}
}

func TestFromSigner(t *testing.T) {
	for name, key := range map[string]ed25519.PrivateKey{"empty": nil, "seed": make([]byte, 32), "long": make([]byte, 65)} {
		if k, err := FromSigner(key); err == nil {
			t.Errorf("%s: %v", name, k)
		}
	}
}

func TestWriteEncrypted(t *testing.T) {
	dir := t.TempDir()
	private, publicPath := filepath.Join(dir, "k.key"), filepath.Join(dir, "k.pub")
	k := testKey(t, "a")
	failed := errors.New("no recipient")
	if err := k.WriteEncrypted(private, publicPath, "", func([]byte) ([]byte, error) { return nil, failed }); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	var plain []byte
	if err := k.WriteEncrypted(private, publicPath, "", func(pem []byte) ([]byte, error) { plain = pem; return []byte("sealed"), nil }); err != nil {
		t.Fatal(err)
	}
	if got, err := ParsePrivatePEM(plain); err != nil || got.KeyID() != k.KeyID() {
		t.Errorf("was to be encrypted: %v, %v", got, err)
	}
	if data, err := os.ReadFile(private); err != nil || string(data) != "sealed" {
		t.Errorf("was written: %q, %v", data, err)
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
