package attest

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/shared/event"
)

// The recipe for people who have no client but openssl.
const recipe = `set -e
t=$(jq -r .payloadType "$E"); jq -j .payload "$E" | base64 -d > pl
{ printf 'DSSEv1 %d %s %d ' ${#t} "$t" $(stat -c%s pl); cat pl; } > pae
jq -j '.signatures[0].sig' "$E" | base64 -d > sig
`

// TestOpenSSL verifies the files without any of this program.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	keys := map[string]struct {
		signer crypto.Signer
		verify string
	}{
		"ed25519": {ed25519Key("a"), "openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in pae -sigfile sig"},
		"p256":    {p256Key(t, "a"), "openssl dgst -sha256 -verify pub.pem -signature sig pae"},
	}
	for name, key := range keys {
		_, files := attested(t, key.signer, decision(event.Allow))
		for _, file := range []string{VerdictEnvelope, SummaryEnvelope} {
			t.Run(name+"/"+file, func(t *testing.T) {
				dir := t.TempDir()
				spki, err := x509.MarshalPKIXPublicKey(key.signer.Public())
				if err != nil {
					t.Fatal(err)
				}
				write(t, dir, "pub.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
				write(t, dir, "E", files[file])
				var e dsse.Envelope
				if err := json.Unmarshal(files[file], &e); err != nil {
					t.Fatal(err)
				}
				write(t, dir, "pae", dsse.PAE(e.PayloadType, e.Payload))
				write(t, dir, "sig", e.Signatures[0].Sig)
				if out, err := shell(dir, key.verify); err != nil {
					t.Errorf("openssl refuses it: %v\n%s", err, out)
				}
				write(t, dir, "pae", dsse.PAE(e.PayloadType, bytes.Replace(e.Payload, []byte("verified"), []byte("locked__"), 1)))
				if out, err := shell(dir, key.verify); err == nil {
					t.Errorf("openssl accepts another payload:\n%s", out)
				}

				if _, err := exec.LookPath("jq"); err != nil {
					t.Skip("the shell recipe needs jq, which is not installed")
				}
				if out, err := shell(dir, recipe+key.verify); err != nil {
					t.Errorf("the recipe fails: %v\n%s", err, out)
				}
			})
		}
	}
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
