package signer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"filippo.io/mldsa"
	"github.com/sethvargo/go-envconfig"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/keys"
	"assize.dev/shared/config"
)

func edKey(text string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(text))
	return ed25519.NewKeyFromSeed(seed[:])
}

func p256Key(t testing.TB, text string) *ecdsa.PrivateKey {
	t.Helper()
	k, err := deriveP256(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func deriveP256(text string) (*ecdsa.PrivateKey, error) {
	d := sha256.Sum256([]byte(text))
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
}

func mldsaKey(t testing.TB, text string) *mldsa.PrivateKey {
	t.Helper()
	seed := sha256.Sum256([]byte(text))
	k, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func write(t testing.TB, name string, data []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkSigner proves that s keeps the promises of Signer for the key public,
// whoever calls it at the same time.
func checkSigner(t *testing.T, s Signer, public crypto.PublicKey) {
	t.Helper()
	if !s.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(public) {
		t.Fatalf("public key is %v, want %v", s.Public(), public)
	}
	var calls sync.WaitGroup
	for _, message := range [][]byte{nil, []byte("a message"), bytes.Repeat([]byte("long "), 10_000)} {
		calls.Go(func() {
			sig, err := s.Sign(context.Background(), message)
			if err != nil {
				t.Errorf("%d bytes: %v", len(message), err)
				return
			}
			if !dsse.Holds(public, message, sig) || dsse.Holds(public, append(message, 0), sig) {
				t.Errorf("%d bytes: signature %.40x does not hold", len(message), sig)
			}
		})
	}
	calls.Wait()
}

// ageFile encrypts as others would.
func ageFile(t testing.TB, plain []byte, armored bool, to ...age.Recipient) []byte {
	t.Helper()
	var out bytes.Buffer
	var dst io.WriteCloser = nopCloser{&out}
	if armored {
		dst = armor.NewWriter(&out)
	}
	w, err := age.Encrypt(dst, to...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// byPassphrase costs little; what age costs by default is for TestEncrypt.
func byPassphrase(t testing.TB, passphrase string, workFactor int) age.Recipient {
	t.Helper()
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	r.SetWorkFactor(workFactor)
	return r
}

func TestOpenFile(t *testing.T) {
	x25519, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	identity := write(t, "identity", []byte("# created: today\n"+x25519.String()+"\n"+hybrid.String()+"\n"))
	strange := write(t, "strange", []byte(other.String()+"\n"))
	both := Options{Passphrase: "correct horse", Identity: identity}
	ed, p256 := edKey("a"), p256Key(t, "a")
	plain := pkcs8(t, ed)
	passphrase := ageFile(t, plain, false, byPassphrase(t, "correct horse", 10))
	toX25519 := ageFile(t, plain, true, x25519.Recipient())

	for name, test := range map[string]struct {
		data    []byte
		options Options
		want    crypto.PublicKey
	}{
		"ed25519":                {plain, Options{}, ed.Public()},
		"p256":                   {pkcs8(t, p256), Options{}, p256.Public()},
		"plain, settings unused": {plain, both, ed.Public()},
		"passphrase":             {passphrase, both, ed.Public()},
		"passphrase, armored":    {ageFile(t, pkcs8(t, p256), true, byPassphrase(t, "correct horse", 10)), Options{Passphrase: "correct horse"}, p256.Public()},
		"X25519":                 {toX25519, both, ed.Public()},
		"X25519, spaced":         {append([]byte("\n \n"), toX25519...), Options{Identity: identity}, ed.Public()},
		"hybrid":                 {ageFile(t, plain, false, hybrid.Recipient()), Options{Identity: identity}, ed.Public()},
		"one of several":         {ageFile(t, plain, false, other.Recipient(), x25519.Recipient()), Options{Identity: identity}, ed.Public()},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), write(t, "k", test.data), test.options)
			if err != nil {
				t.Fatal(err)
			}
			checkSigner(t, s, test.want)
		})
	}

	tampered := bytes.Clone(passphrase)
	tampered[len(tampered)-1] ^= 1
	for name, test := range map[string]struct {
		data    []byte
		options Options
		want    string
	}{
		"no setting":         {passphrase, Options{}, "set ASSIZE_SIGN_KEY_PASSPHRASE"},
		"wrong passphrase":   {passphrase, Options{Passphrase: "battery staple"}, "not the one in ASSIZE_SIGN_KEY_PASSPHRASE"},
		"only an identity":   {passphrase, Options{Identity: identity}, "not the one in ASSIZE_SIGN_KEY_PASSPHRASE"},
		"wrong identity":     {toX25519, Options{Identity: strange}, "none is in ASSIZE_SIGN_KEY_IDENTITY"},
		"only a passphrase":  {toX25519, Options{Passphrase: "correct horse"}, "none is in ASSIZE_SIGN_KEY_IDENTITY"},
		"no identity file":   {toX25519, Options{Identity: identity + "2"}, "no such file"},
		"no identities":      {toX25519, Options{Identity: write(t, "no", []byte(other.Recipient().String()))}, "want AGE-SECRET-KEY"},
		"tampered":           {tampered, both, "opening the age file"},
		"cut":                {passphrase[:len(passphrase)-20], both, "opening the age file"},
		"header only":        {[]byte(binaryHeader), both, "opening the age file"},
		"armor only":         {[]byte(armor.Header), both, "opening the age file"},
		"too much inside":    {ageFile(t, make([]byte, keys.MaxFile+1), false, byPassphrase(t, "correct horse", 10)), both, "more than"},
		"no key inside":      {ageFile(t, []byte("secret words"), false, byPassphrase(t, "correct horse", 10)), both, "signing key"},
		"no key":             {[]byte("secret words"), both, "signing key"},
		"another age format": {[]byte("age-encryption.org/v9\n"), both, "signing key"},
		"empty":              {nil, both, "signing key"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.Context(), write(t, "k", test.data), test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v, %v, want %q", s, err, test.want)
			}
			for _, secret := range []string{"correct horse", "battery staple", "secret words", "AGE-SECRET-KEY-1", "AGE-SECRET-KEY-PQ-1"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%v tells %q", err, secret)
				}
			}
		})
	}
	if _, err := Open(t.Context(), strings.Repeat("x", maxRef+1), Options{}); err == nil || len(err.Error()) > 400 {
		t.Errorf("a reference too long: %v", err)
	}
	if _, err := Open(t.Context(), t.TempDir(), Options{}); err == nil {
		t.Error("a directory is a key")
	}
}

// TestFileIsDeterministic: the same decision is the same bytes, whoever signs
// it again.
func TestFileIsDeterministic(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"ed25519": edKey("a"), "p256": p256Key(t, "a"), "ml-dsa-65": mldsaKey(t, "a")} {
		t.Run(name, func(t *testing.T) {
			k, err := keys.FromSigner(key)
			if err != nil {
				t.Fatal(err)
			}
			s := NewFile(k)
			checkSigner(t, s, key.Public())
			one, err := s.Sign(t.Context(), []byte("m"))
			if err != nil {
				t.Fatal(err)
			}
			if two, err := s.Sign(t.Context(), []byte("m")); err != nil || !bytes.Equal(one, two) {
				t.Errorf("the second signature differs: %v", err)
			}
		})
	}
}

func TestSuitable(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), nil)
	if err != nil {
		t.Fatal(err)
	}
	small, err := mldsa.GenerateKey(mldsa.MLDSA44())
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.PublicKey{
		"nil": nil, "P-384": p384.Public(), "ML-DSA-44": small.Public(), "weak": ed25519.PublicKey(make([]byte, 32)),
		"short": ed25519.PublicKey{1}, "number": big.NewInt(1),
	} {
		if suitable(key) == nil {
			t.Errorf("%s is suitable", name)
		}
		if check(key, nil, nil) == nil {
			t.Errorf("%s: an empty signature holds", name)
		}
	}
	for name, key := range map[string]crypto.PublicKey{"ed25519": edKey("a").Public(), "p256": p256Key(t, "a").Public(), "ml-dsa": mldsaKey(t, "a").Public()} {
		if err := suitable(key); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOptionsFromEnvironment: the two ways to give a token live side by side.
func TestOptionsFromEnvironment(t *testing.T) {
	file := write(t, "token", []byte("s.first\n"))
	var o Options
	if err := config.Load(t.Context(), envconfig.MapLookuper(map[string]string{"VAULT_TOKEN_FILE": file, "ASSIZE_SIGN_KEY_PASSPHRASE": "p"}), &o); err != nil {
		t.Fatal(err)
	}
	if o.VaultTokenFile != file || o.VaultToken.Reveal() != "s.first" || o.Passphrase.Reveal() != "p" {
		t.Errorf("loaded %+v", o)
	}
}

func FuzzOpenFile(f *testing.F) {
	x25519, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	scrypt, err := age.NewScryptIdentity("p")
	if err != nil {
		f.Fatal(err)
	}
	scrypt.SetMaxWorkFactor(4) // a fuzzer that finds a high one would only wait
	identities := []age.Identity{scrypt, x25519}
	plain := pkcs8(f, edKey("a"))
	f.Add(plain)
	f.Add(pkcs8(f, p256Key(f, "a")))
	f.Add(ageFile(f, plain, false, byPassphrase(f, "p", 4)))
	f.Add(ageFile(f, plain, true, x25519.Recipient()))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := parseFile(data, func() ([]age.Identity, error) { return identities, nil })
		if err != nil {
			return
		}
		s := NewFile(key)
		sig, err := s.Sign(context.Background(), data)
		if err != nil || !dsse.Holds(s.Public(), data, sig) {
			t.Errorf("%q is a key that does not sign: %v", data, err)
		}
	})
}
