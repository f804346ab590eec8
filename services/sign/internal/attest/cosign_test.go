package attest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/dsse/dssetest"
	"assize.dev/services/sign/internal/signer"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// TestCosign: the client that most people have accepts our files with the
// public key alone, offline, and nothing that was changed.
func TestCosign(t *testing.T) {
	cosign := cosignPath(t)
	artifact := []byte("the artifact")
	d := decision(event.Allow)
	d.Artifact.Digest = digest.Of(artifact)
	for name, signers := range map[string][]signer.Signer{
		"ed25519": {dssetest.Ed25519("a")},
		"p256":    {dssetest.P256(t, "a")},
		"hybrid":  {dssetest.Ed25519("a"), dssetest.MLDSA(t, "a")},
	} {
		dir := t.TempDir()
		write(t, dir, "artifact", artifact)
		write(t, dir, "other", []byte("another artifact"))
		write(t, dir, "pub.pem", publicPEM(t, signers[0]))
		write(t, dir, "stranger.pem", publicPEM(t, dssetest.Ed25519("stranger")))
		_, files := attested(t, d, signers...)
		for file, data := range files {
			write(t, dir, file, data)
			write(t, dir, "tampered."+file, tampered(t, data))
			predicate := VerdictPredicateType
			if strings.HasPrefix(file, "vsa.") {
				predicate = SummaryPredicateType
			}
			flag := "--bundle"
			if strings.HasSuffix(file, ".dsse.json") {
				flag = "--signature"
			}
			for _, c := range []struct {
				what, key, file, typ, artifact string
				ok                             bool
			}{
				{"as it is", "pub.pem", file, predicate, "artifact", true},
				{"tampered", "pub.pem", "tampered." + file, predicate, "artifact", false},
				{"another key", "stranger.pem", file, predicate, "artifact", false},
				{"another artifact", "pub.pem", file, predicate, "other", false},
				{"another type", "pub.pem", file, "https://example.test/v1", "artifact", false},
			} {
				out, err := run(cosign, dir, "verify-blob-attestation", "--key", c.key, flag, c.file,
					"--insecure-ignore-tlog=true", "--type", c.typ, c.artifact)
				if (err == nil) != c.ok {
					t.Errorf("%s, %s, %s: %v\n%s", name, file, c.what, err, out)
				}
			}
		}
	}
}

// cosignPath finds cosign in $ASSIZE_COSIGN or on PATH.
func cosignPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("cosign")
	if given := os.Getenv("ASSIZE_COSIGN"); given != "" {
		path, err = exec.LookPath(given)
	}
	if err != nil {
		t.Skip("no cosign: go install github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3, or name it in ASSIZE_COSIGN")
	}
	if path, err = filepath.Abs(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(program, dir string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir) // no configuration, and no cache of trust roots
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// tampered is an envelope or bundle about the same bytes that says something
// else, with the signature of what it said.
func tampered(t *testing.T, data []byte) []byte {
	t.Helper()
	e, err := dsse.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	var better bytes.Buffer
	if err := json.Compact(&better, bytes.Replace(e.Payload, []byte("verified"), []byte("locked"), 1)); err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(data, []byte(base64.StdEncoding.EncodeToString(e.Payload)),
		[]byte(base64.StdEncoding.EncodeToString(better.Bytes())), 1)
	if bytes.Equal(changed, data) {
		t.Fatal("nothing was changed")
	}
	return changed
}
