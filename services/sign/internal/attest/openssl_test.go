package attest

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/dsse/dssetest"
	"assize.dev/services/sign/internal/signer"
	"assize.dev/shared/event"
)

// The recipe for people who have no client but openssl.
const recipe = `set -e
t=$(jq -r .payloadType "$E"); jq -j .payload "$E" | base64 -d > pl
{ printf 'DSSEv1 %d %s %d ' ${#t} "$t" $(stat -c%s pl); cat pl; } > pae
jq -j '.signatures[0].sig' "$E" | base64 -d > sig
`

// TestOpenSSL verifies the files without any of this program. Of an envelope
// with two signatures it takes the first, the classical one.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	const ed25519 = "openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in pae -sigfile sig"
	for name, c := range map[string]struct {
		signers []signer.Signer
		verify  string
	}{
		"ed25519": {[]signer.Signer{dssetest.Ed25519("a")}, ed25519},
		"p256":    {[]signer.Signer{dssetest.P256(t, "a")}, "openssl dgst -sha256 -verify pub.pem -signature sig pae"},
		"hybrid":  {[]signer.Signer{dssetest.Ed25519("a"), dssetest.MLDSA(t, "a")}, ed25519},
	} {
		_, files := attested(t, decision(event.Allow), c.signers...)
		for _, file := range []string{VerdictEnvelope, SummaryEnvelope} {
			t.Run(name+"/"+file, func(t *testing.T) {
				dir := t.TempDir()
				write(t, dir, "pub.pem", publicPEM(t, c.signers[0]))
				write(t, dir, "E", files[file])
				e, err := dsse.Parse(files[file])
				if err != nil {
					t.Fatal(err)
				}
				if len(e.Signatures) != len(c.signers) {
					t.Fatalf("%d signatures, want %d", len(e.Signatures), len(c.signers))
				}
				write(t, dir, "pae", dsse.PAE(e.PayloadType, e.Payload))
				write(t, dir, "sig", e.Signatures[0].Sig)
				if out, err := shell(dir, c.verify); err != nil {
					t.Errorf("openssl refuses it: %v\n%s", err, out)
				}
				write(t, dir, "pae", dsse.PAE(e.PayloadType, bytes.Replace(e.Payload, []byte("verified"), []byte("locked__"), 1)))
				if out, err := shell(dir, c.verify); err == nil {
					t.Errorf("openssl accepts another payload:\n%s", out)
				}

				if _, err := exec.LookPath("jq"); err != nil {
					t.Skip("the shell recipe needs jq, which is not installed")
				}
				if out, err := shell(dir, recipe+c.verify); err != nil {
					t.Errorf("the recipe fails: %v\n%s", err, out)
				}
			})
		}
	}
}

func publicPEM(t *testing.T, s signer.Signer) []byte {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
}

func shell(dir, script string) (string, error) {
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "E=E")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}
