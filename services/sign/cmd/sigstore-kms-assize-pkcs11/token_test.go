package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

const program = "sigstore-kms-assize-pkcs11"

// TestMain lets the test binary be the plug-in, under its name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == program {
		main()
		return
	}
	os.Exit(m.Run())
}

// softHSM makes an empty token "assize test" in a directory of its own, sets
// the environment for it, and puts the plug-in on PATH.
func softHSM(t *testing.T) (dir string) {
	t.Helper()
	module := softHSMModule()
	if _, err := exec.LookPath("softhsm2-util"); err != nil || module == "" {
		t.Skip("SoftHSM2 is not installed (softhsm2-util and libsofthsm2.so)")
	}
	dir = t.TempDir()
	tokens := filepath.Join(dir, "tokens")
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+tokens+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	t.Setenv("ASSIZE_PKCS11_MODULE", module)
	t.Setenv("ASSIZE_PKCS11_PIN", "1234")
	t.Setenv("ASSIZE_PKCS11_PIN_FILE", "")
	initToken(t, "assize test")

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, program)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return dir
}

func initToken(t *testing.T, label string) {
	t.Helper()
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", "1234", "--so-pin", "5678").CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}
}

func softHSMModule() string {
	for _, pattern := range []string{
		os.Getenv("SOFTHSM2_MODULE"), "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so",
		"/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so",
		"/opt/homebrew/lib/softhsm/libsofthsm2.so",
	} {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// client is cosign's.
func client(t *testing.T, ref string) *cliplugin.PluginClient {
	t.Helper()
	sv, err := cliplugin.LoadSignerVerifier(context.Background(), ref, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return sv.(*cliplugin.PluginClient)
}

// checkSigns proves that the key of ref signs, verifies, and refuses what is
// not signed; it returns the public key.
func checkSigns(t *testing.T, ref string) crypto.PublicKey {
	t.Helper()
	c := client(t, ref)
	public, err := c.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range [][]byte{nil, []byte("a message"), bytes.Repeat([]byte("long "), 40_000)} {
		sig, err := c.SignMessage(bytes.NewReader(message), options.WithContext(t.Context()))
		if err != nil {
			t.Fatalf("%d bytes: %v", len(message), err)
		}
		digest := sha256.Sum256(message)
		holds := false
		switch public := public.(type) {
		case ed25519.PublicKey:
			holds = ed25519.Verify(public, message, sig)
		case *ecdsa.PublicKey:
			holds = ecdsa.VerifyASN1(public, digest[:], sig)
		}
		if !holds {
			t.Errorf("%d bytes: the signature %x does not hold", len(message), sig)
		}
		if err := c.VerifySignature(bytes.NewReader(sig), bytes.NewReader(message)); err != nil {
			t.Errorf("%d bytes: %v", len(message), err)
		}
		if err := c.VerifySignature(bytes.NewReader(sig), strings.NewReader("another")); err == nil {
			t.Errorf("%d bytes: the signature of another message verifies", len(message))
		}
	}
	return public
}

func TestCreateAndSign(t *testing.T) {
	softHSM(t)
	for _, algorithm := range []string{algorithmEd25519, algorithmP256} {
		t.Run(algorithm, func(t *testing.T) {
			ref := "assize-pkcs11://assize%20test/" + algorithm
			c := client(t, ref)
			if _, err := c.PublicKey(); err == nil || !strings.Contains(err.Error(), "the token has no public key label") {
				t.Errorf("before it is made: %v", err)
			}
			made, err := c.CreateKey(t.Context(), algorithm)
			if err != nil {
				t.Fatal(err)
			}
			if public := checkSigns(t, ref); !made.(interface{ Equal(crypto.PublicKey) bool }).Equal(public) {
				t.Errorf("made %v, signs with %v", made, public)
			}
			if _, err := c.CreateKey(t.Context(), algorithm); err == nil || !strings.Contains(err.Error(), "already") {
				t.Errorf("made again: %v", err)
			}
		})
	}
	c := client(t, "assize-pkcs11://assize%20test/x")
	if _, err := c.CreateKey(t.Context(), "rsa-2048"); err == nil || !strings.Contains(err.Error(), "want one of") {
		t.Errorf("RSA: %v", err)
	}
	if got := c.DefaultAlgorithm(); got != algorithmP256 {
		t.Errorf("default is %s", got)
	}
	if got := c.SupportedAlgorithms(); len(got) != 2 {
		t.Errorf("supported are %q", got)
	}
}

// TestDigest is how cosign signs through a crypto.Signer.
func TestDigest(t *testing.T) {
	softHSM(t)
	const p256, ed = "assize-pkcs11://assize%20test/p256", "assize-pkcs11://assize%20test/ed"
	public, err := client(t, p256).CreateKey(t.Context(), algorithmP256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client(t, ed).CreateKey(t.Context(), algorithmEd25519); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("message"))
	s, opts, err := client(t, p256).CryptoSigner(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(nil, digest[:], opts)
	if err != nil || !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest[:], sig) {
		t.Errorf("signature %x, %v", sig, err)
	}
	if _, err := s.Sign(nil, digest[:20], opts); err == nil {
		t.Error("a digest of 20 bytes is signed")
	}
	if _, err := s.Sign(nil, make([]byte, 64), crypto.SHA512); err == nil {
		t.Error("P-256 signs a SHA-512")
	}
	s, _, err = client(t, ed).CryptoSigner(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA512} {
		if _, err := s.Sign(nil, make([]byte, hash.Size()), hash); err == nil || !strings.Contains(err.Error(), "the message itself") {
			t.Errorf("Ed25519 with a digest of %v: %v", hash, err)
		}
	}
}

// TestOtherPrograms signs with keys that pkcs11-tool made, named by id, by
// slot, by module.
func TestOtherPrograms(t *testing.T) {
	softHSM(t)
	if _, err := exec.LookPath("pkcs11-tool"); err != nil {
		t.Skip("pkcs11-tool is not installed")
	}
	module := os.Getenv("ASSIZE_PKCS11_MODULE")
	for id, kind := range map[string]string{"a1": "EC:edwards25519", "a2": "EC:prime256v1"} {
		out, err := exec.Command("pkcs11-tool", "--module", module, "--token-label", "assize test", "--login", "--pin", "1234",
			"--keypairgen", "--key-type", kind, "--id", id, "--label", "same").CombinedOutput()
		if err != nil {
			t.Fatalf("pkcs11-tool: %v\n%s", err, out)
		}
		checkSigns(t, "assize-pkcs11://assize%20test/same?id="+id)
		checkSigns(t, "assize-pkcs11://assize%20test/?id="+id)
	}
	if _, err := client(t, "assize-pkcs11://assize%20test/same").SignMessage(strings.NewReader("")); err == nil || !strings.Contains(err.Error(), "several") {
		t.Errorf("an ambiguous label: %v", err)
	}

	p := pkcs11.New(module)
	if p == nil {
		t.Fatalf("%s does not load", module)
	}
	defer p.Destroy()
	if err := p.Initialize(); err != nil {
		t.Fatal(err)
	}
	defer p.Finalize()
	slots, err := p.GetSlotList(true)
	if err != nil || len(slots) == 0 {
		t.Fatal(slots, err)
	}
	t.Setenv("ASSIZE_PKCS11_MODULE", "")
	checkSigns(t, fmt.Sprintf("assize-pkcs11:///same?id=a1&slot=%d&module=%s", slots[0], module))
}

func TestTokenFaults(t *testing.T) {
	dir := softHSM(t)
	const ref = "assize-pkcs11://assize%20test/k"
	if _, err := client(t, ref).CreateKey(t.Context(), algorithmEd25519); err != nil {
		t.Fatal(err)
	}
	pinFile := filepath.Join(dir, "pin")
	if err := os.WriteFile(pinFile, []byte("1234\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		ref  string
		env  map[string]string
		want string
	}{
		"wrong PIN":      {ref, map[string]string{"ASSIZE_PKCS11_PIN": "9876"}, "CKR_PIN_INCORRECT"},
		"no PIN":         {ref, map[string]string{"ASSIZE_PKCS11_PIN": ""}, "set ASSIZE_PKCS11_PIN or"},
		"two PINs":       {ref, map[string]string{"ASSIZE_PKCS11_PIN_FILE": pinFile}, "set one of them"},
		"empty PIN file": {ref, map[string]string{"ASSIZE_PKCS11_PIN": "", "ASSIZE_PKCS11_PIN_FILE": empty}, "want 1 to"},
		"no PIN file":    {ref, map[string]string{"ASSIZE_PKCS11_PIN": "", "ASSIZE_PKCS11_PIN_FILE": empty + "2"}, "no such file"},
		"no module":      {ref, map[string]string{"ASSIZE_PKCS11_MODULE": ""}, "set ASSIZE_PKCS11_MODULE"},
		"wrong module":   {ref, map[string]string{"ASSIZE_PKCS11_MODULE": pinFile}, "cannot be loaded"},
		"no such token":  {"assize-pkcs11://other/k", nil, `present are "assize test"`},
		"no such slot":   {ref + "?slot=4294967295", nil, "no such token"},
		"no such key":    {"assize-pkcs11://assize%20test/other", nil, "the token has no private key"},
		"malformed":      {"assize-pkcs11://assize", nil, "want <token label>/<key label>"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			_, err := client(t, test.ref).SignMessage(strings.NewReader("m"))
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "9876") {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	t.Run("PIN file", func(t *testing.T) {
		t.Setenv("ASSIZE_PKCS11_PIN", "")
		t.Setenv("ASSIZE_PKCS11_PIN_FILE", pinFile)
		checkSigns(t, ref)
	})
	t.Run("public key without a PIN", func(t *testing.T) {
		t.Setenv("ASSIZE_PKCS11_PIN", "")
		if _, err := client(t, ref).PublicKey(); err != nil {
			t.Error(err)
		}
		if _, err := client(t, ref+"2").CreateKey(t.Context(), algorithmP256); err == nil {
			t.Error("a key is made without a PIN")
		}
	})
	t.Run("the same label twice", func(t *testing.T) {
		initToken(t, "assize test")
		if _, err := client(t, ref).PublicKey(); err == nil || !strings.Contains(err.Error(), "add ?slot=") {
			t.Errorf("error %v", err)
		}
	})
}

// TestAlwaysAuthenticate signs with a key that wants the PIN each time.
func TestAlwaysAuthenticate(t *testing.T) {
	softHSM(t)
	if _, err := exec.LookPath("pkcs11-tool"); err != nil {
		t.Skip("pkcs11-tool is not installed")
	}
	out, err := exec.Command("pkcs11-tool", "--module", os.Getenv("ASSIZE_PKCS11_MODULE"), "--token-label", "assize test", "--login", "--pin", "1234",
		"--keypairgen", "--key-type", "EC:prime256v1", "--id", "01", "--label", "careful", "--always-auth").CombinedOutput()
	if err != nil {
		t.Fatalf("pkcs11-tool: %v\n%s", err, out)
	}
	checkSigns(t, "assize-pkcs11://assize%20test/careful")
}
