package signer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"
)

// TestPKCS11 signs with keys on a SoftHSM2 token through the plug-in of this
// repository, built as an operator would; takes the token away, and gives it
// back.
func TestPKCS11(t *testing.T) {
	module := softHSMModule()
	for _, program := range []string{"softhsm2-util", "gcc", "go"} {
		if _, err := exec.LookPath(program); err != nil || module == "" {
			t.Skip("softhsm2-util, libsofthsm2.so, gcc or go is not installed")
		}
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), ".")
	build.Dir = "../../cmd/sigstore-kms-assize-pkcs11"
	build.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the plug-in: %v\n%s", err, out)
	}
	tokens := filepath.Join(dir, "tokens")
	if err := os.Mkdir(tokens, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("SOFTHSM2_CONF", write(t, "softhsm2.conf", []byte("directories.tokendir = "+tokens+"\nlog.level = ERROR\n")))
	t.Setenv("ASSIZE_PKCS11_MODULE", module)
	t.Setenv("ASSIZE_PKCS11_PIN", "1234")
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "assize", "--pin", "1234", "--so-pin", "5678").CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}

	for _, algorithm := range []string{"ed25519", "ecdsa-p256-sha256"} {
		t.Run(algorithm, func(t *testing.T) {
			ref := "assize-pkcs11://assize/" + algorithm
			if _, err := Open(t.Context(), ref, Options{}); err == nil || !strings.Contains(err.Error(), "the token has no public key") {
				t.Fatalf("before it is made: %v", err)
			}
			createKey(t, "assize/"+algorithm, algorithm)
			s := openTest(t, ref, Options{})
			public := s.Public()
			checkSigner(t, s, public)

			if err := os.Rename(tokens, tokens+" away"); err != nil {
				t.Fatal(err)
			}
			if sig, err := s.Sign(t.Context(), []byte("m")); err == nil {
				t.Errorf("signed without the token: %x", sig)
			}
			if err := os.Rename(tokens+" away", tokens); err != nil {
				t.Fatal(err)
			}
			checkSigner(t, s, public)

			t.Setenv("ASSIZE_PKCS11_PIN", "4321")
			if sig, err := s.Sign(t.Context(), []byte("m")); err == nil || !strings.Contains(err.Error(), "PIN") || strings.Contains(err.Error(), "4321") {
				t.Errorf("with a wrong PIN: %x, %v", sig, err)
			}
			t.Setenv("ASSIZE_PKCS11_PIN", "1234")
			checkSigner(t, s, public)
		})
	}
}

// createKey calls the plug-in as cosign generate-key-pair does.
func createKey(t *testing.T, resource, algorithm string) {
	t.Helper()
	program, err := exec.LookPath("sigstore-kms-assize-pkcs11")
	if err != nil {
		t.Fatal(err)
	}
	p := &Plugin{program: program, resource: resource, timeout: pluginTimeout}
	answer, err := p.call(t.Context(), nil, common.MethodArgs{
		MethodName: common.CreateKeyMethodName,
		CreateKey:  &common.CreateKeyArgs{Algorithm: algorithm},
	})
	if err == nil {
		_, err = parsePluginAnswer(answer)
	}
	if err != nil {
		t.Fatal(err)
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
