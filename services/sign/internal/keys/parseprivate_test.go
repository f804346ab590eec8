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
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/mldsa"
	"golang.org/x/crypto/ssh"

	"assize.dev/services/sign/internal/dsse"
)

// privateForms are one key in all the forms that are imported.
func privateForms(t testing.TB, key ed25519.PrivateKey) map[string][]byte {
	t.Helper()
	openssh, err := ssh.MarshalPrivateKey(key, "a comment")
	if err != nil {
		t.Fatal(err)
	}
	seed, b64 := key.Seed(), base64.StdEncoding.EncodeToString
	return map[string][]byte{
		"pem": encode("PRIVATE KEY", pkcs8Of(t, key)), "der": pkcs8Of(t, key), "openssh": pem.EncodeToMemory(openssh),
		"commented": append([]byte("Bag Attributes\n  friendlyName: a\n"), encode("PRIVATE KEY", pkcs8Of(t, key))...),
		"seed":      seed, "seed hex": []byte(hex.EncodeToString(seed) + "\n"), "seed HEX": []byte(strings.ToUpper(hex.EncodeToString(seed))), "seed base64": []byte(b64(seed) + "\r\n"),
		"both": key, "both hex": []byte(hex.EncodeToString(key)), "both base64": []byte(" " + b64(key) + "\n"),
	}
}

func newECDSA(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sec1(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("EC PRIVATE KEY", der)
}

func TestParsePrivateKey(t *testing.T) {
	for _, seed := range []string{"a", "b", "c"} {
		want := testKey(t, seed)
		for form, data := range privateForms(t, want.signer.(ed25519.PrivateKey)) {
			k, err := ParsePrivateKey(data)
			if err != nil || k.KeyID() != want.KeyID() || !dsse.Holds(want.Public(), []byte("m"), signed(t, k)) {
				t.Errorf("%s: %v, %v", form, k, err)
			}
			// What does not say that it is private, only a person may import.
			k, err = ParsePrivatePEM(data)
			if bytes.Contains(data, []byte("-----BEGIN")) != (err == nil) {
				t.Errorf("%s, as PEM: %v, %v", form, k, err)
			}
		}
	}

	p256 := newECDSA(t, elliptic.P256())
	openssh, err := ssh.MarshalPrivateKey(p256, "")
	if err != nil {
		t.Fatal(err)
	}
	parameters := encode("EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7})
	for form, data := range map[string][]byte{
		"pkcs8": encode("PRIVATE KEY", pkcs8Of(t, p256)), "der": pkcs8Of(t, p256), "sec1": sec1(t, p256),
		"sec1 after parameters": append(parameters, sec1(t, p256)...), "openssh": pem.EncodeToMemory(openssh),
	} {
		k, err := ParsePrivateKey(data)
		if err != nil || !k.Public().(*ecdsa.PublicKey).Equal(&p256.PublicKey) {
			t.Errorf("P-256, %s: %v, %v", form, k, err)
		}
	}
}

func signed(t testing.TB, k *PrivateKey) []byte {
	t.Helper()
	sig, err := k.Sign(nil, []byte("m"), crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	k := testKey(t, "a")
	key := k.signer.(ed25519.PrivateKey)
	wrong := append(key.Seed(), testKey(t, "b").Public().(ed25519.PublicKey)...)
	p256, p384 := newECDSA(t, elliptic.P256()), newECDSA(t, elliptic.P384())
	scalar, err := p256.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	toPEM := func(b *pem.Block, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(b)
	}
	locked := encode("EC PRIVATE KEY", []byte("x"))
	locked = bytes.Replace(locked, []byte("\n"), []byte("\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n"), 1)
	mldsaBoth := bytes.Clone(pkcs8Of(t, newMLDSA(t, mldsa.MLDSA65())))
	mldsaBoth[20] = 0x30 // the sequence of seed and expanded key
	zeros := make([]byte, 32)
	for name, c := range map[string]struct {
		data   []byte
		reason string
	}{
		"empty": {nil, "no private key"}, "words": {[]byte("a private key"), "no private key"}, "junk": {[]byte{1, 2, 3}, "no private key"},
		"33 bytes": {append(key.Seed(), 1), "no private key"}, "63 bytes": {key[1:], "no private key"}, "passphrase": {[]byte("correct horse battery staple, 32"), "passphrase"},
		"short hex": {[]byte(hex.EncodeToString(key[:31])), "no private key"}, "short base64": {[]byte(base64.StdEncoding.EncodeToString(key[:31])), "no private key"},
		"zeros": {zeros, "all zeros"}, "zeros, both": {ed25519.NewKeyFromSeed(zeros), "all zeros"}, "zeros, hex": {[]byte(hex.EncodeToString(zeros)), "all zeros"},
		"other half": {wrong, "public half"}, "other half, hex": {[]byte(hex.EncodeToString(wrong)), "public half"},
		"other half, base64":  {[]byte(base64.StdEncoding.EncodeToString(wrong)), "public half"},
		"other half, openssh": {toPEM(ssh.MarshalPrivateKey(ed25519.PrivateKey(wrong), "")), "public half"},
		"swapped":             {append(bytes.Clone(key[32:]), key[:32]...), "public half"},

		"public": {publicPEM(t, k), "public half of a key"}, "public der": {derOf(t, k.Public()), "PKCS#8"}, "certificate": {encode("CERTIFICATE", []byte("x")), "CERTIFICATE"},
		"two": {bytes.Repeat(encode("PRIVATE KEY", pkcs8Of(t, key)), 2), "follows"}, "trailing": {append(encode("PRIVATE KEY", pkcs8Of(t, key)), 'x'), "follows"},
		"parameters only": {encode("EC PARAMETERS", []byte{5, 0}), "no PEM block"}, "broken pem": {encode("PRIVATE KEY", pkcs8Of(t, key))[:60], "no PEM block"},
		"broken pkcs8": {encode("PRIVATE KEY", []byte("junk")), "PKCS#8"}, "broken sec1": {encode("EC PRIVATE KEY", []byte("junk")), "SEC1"},
		"broken openssh": {encode("OPENSSH PRIVATE KEY", []byte("junk")), "OpenSSH"},

		"p384": {encode("PRIVATE KEY", pkcs8Of(t, p384)), "want an Ed25519"}, "p384 sec1": {sec1(t, p384), "want an Ed25519"},
		"rsa": {encode("PRIVATE KEY", pkcs8Of(t, rsaKey)), "want an Ed25519"}, "rsa openssh": {toPEM(ssh.MarshalPrivateKey(rsaKey, "")), "want an Ed25519"},
		"rsa pkcs1": {encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), "RSA PRIVATE KEY"},
		"x25519":    {encode("PRIVATE KEY", bytes.Replace(pkcs8Of(t, key), []byte{0x2b, 0x65, 0x70}, []byte{0x2b, 0x65, 0x6e}, 1)), "want an Ed25519"},

		"encrypted openssh": {toPEM(ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("x"))), "ssh-keygen -p"},
		"encrypted pkcs8":   {encode("ENCRYPTED PRIVATE KEY", []byte("x")), "openssl pkey"}, "encrypted sec1": {locked, "openssl pkey"},

		"ML-DSA-44": {encode("PRIVATE KEY", pkcs8Of(t, newMLDSA(t, mldsa.MLDSA44()))), "not ML-DSA-44"}, "ML-DSA with both": {encode("PRIVATE KEY", mldsaBoth), "seed-only"},
	} {
		got, err := ParsePrivateKey(c.data)
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, %v, want %q", name, got, err, c.reason)
			continue
		}
		for _, secret := range [][]byte{key.Seed(), wrong, scalar, c.data} {
			for _, shown := range []string{string(secret), hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret)} {
				if n := min(len(shown), 20); n == 20 && strings.Contains(err.Error(), shown[:n]) {
					t.Errorf("%s: the error shows the content: %v", name, err)
				}
			}
		}
	}
	for form, data := range privateForms(t, key) {
		for n := range len(bytes.TrimRight(data, "\r\n")) {
			got, err := ParsePrivateKey(data[:n])
			// Half of "both" is the seed, which is the same key.
			if err == nil && (!strings.HasPrefix(form, "both") || got.KeyID() != k.KeyID()) {
				t.Errorf("%s, %d bytes: %v", form, n, got)
			}
		}
	}
}

// TestTools imports what real programs write.
func TestTools(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		reason string // why it is refused
	}{
		"ed25519.pem":   {[]string{"openssl", "genpkey", "-algorithm", "ed25519", "-out", "FILE"}, ""},
		"ed25519.der":   {[]string{"openssl", "genpkey", "-algorithm", "ed25519", "-outform", "DER", "-out", "FILE"}, ""},
		"p256.pem":      {[]string{"openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "FILE"}, ""},
		"p256.sec1":     {[]string{"openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", "FILE"}, ""},
		"explicit.sec1": {[]string{"openssl", "ecparam", "-name", "prime256v1", "-genkey", "-param_enc", "explicit", "-out", "FILE"}, "SEC1"},
		"encrypted.pem": {[]string{"openssl", "genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x", "-out", "FILE"}, "encrypted"},
		"rsa.pem":       {[]string{"openssl", "genpkey", "-algorithm", "RSA", "-out", "FILE"}, "want an Ed25519"},
		"ssh":           {[]string{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "FILE"}, ""},
		"ssh-p256":      {[]string{"ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-f", "FILE"}, ""},
		"ssh-p256.pem":  {[]string{"ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-m", "PEM", "-N", "", "-f", "FILE"}, ""},
		"ssh-p384":      {[]string{"ssh-keygen", "-q", "-t", "ecdsa", "-b", "384", "-N", "", "-f", "FILE"}, "want an Ed25519"},
		"ssh-locked":    {[]string{"ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", "FILE"}, "encrypted"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(c.args[0]); err != nil {
				t.Skip("no " + c.args[0])
			}
			file := filepath.Join(t.TempDir(), name)
			args := strings.Split(strings.ReplaceAll(strings.Join(c.args, "\x00"), "FILE", file), "\x00")
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			k, err := ParsePrivateKey(data)
			if (err == nil) != (c.reason == "") || err != nil && !strings.Contains(err.Error(), c.reason) {
				t.Fatalf("%v, %v, want %q", k, err, c.reason)
			}
			if public, err := os.ReadFile(file + ".pub"); err == nil && name == "ssh" {
				if p, err := ParsePublicKey(public); err != nil || p.KeyID() != k.KeyID() {
					t.Errorf("public key %v, %v", p, err)
				}
			}
		})
	}
}

func FuzzParsePrivateKey(f *testing.F) {
	for _, data := range privateForms(f, testKey(f, "a").signer.(ed25519.PrivateKey)) {
		f.Add(data)
	}
	f.Add(sec1(f, newECDSA(f, elliptic.P256())))
	f.Add(pkcs8Of(f, newMLDSA(f, mldsa.MLDSA65())))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParsePrivateKey(data)
		if err != nil {
			if len(data) > 15 && strings.Contains(err.Error(), string(data)) {
				t.Errorf("%q: the error shows it: %v", data, err)
			}
			return
		}
		again, err := ParsePrivateKey(encode("PRIVATE KEY", pkcs8Of(t, k.signer)))
		if err != nil || again.KeyID() != k.KeyID() {
			t.Errorf("%q was read as %v, and that as %v, %v", data, k, again, err)
		}
	})
}
