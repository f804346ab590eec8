package sigstore_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/keys"
	"assize.dev/services/sign/internal/signature"
	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/slsa"
	"assize.dev/shared/realdata"
)

// TestRealSamples holds Verify against bundles that other programs made and
// judged.
func TestRealSamples(t *testing.T) {
	dir := filepath.Join(realdata.Dir(t), "signatures", "sigstore")
	manifest, err := os.Open(filepath.Join(dir, "manifest.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer manifest.Close()
	lines := 0
	for scanner := bufio.NewScanner(manifest); scanner.Scan(); lines++ {
		var c struct {
			File, Artifact, Identity, Issuer, Want, Why string
			Root                                        string `json:"trusted_root"`
		}
		if err := json.Unmarshal(scanner.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		t.Run(c.File, func(t *testing.T) {
			root, err := sigstore.ParseRoot(readFile(t, dir, c.Root))
			if err != nil {
				t.Fatal(err)
			}
			a := &sigstore.Anchors{Root: root, Identities: []sigstore.Identity{{Issuer: c.Issuer, SAN: c.Identity}}}
			all, err := sigstore.Verify(content(readFile(t, dir, c.Artifact)), readFile(t, dir, c.File), a, now)
			if err != nil {
				t.Fatal(err)
			}
			checkPromises(t, all)
			if len(all) != 1 || all[0].Valid != (c.Want == "accept") {
				t.Errorf("got %+v, want %s (%s)", all, c.Want, c.Why)
			}
		})
	}
	if lines == 0 {
		t.Error("no samples in the manifest")
	}
}

func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestPublicInstance verifies what npm published in 2023, with the trusted
// root of the public instance; both come with sigstore-go's source. The
// artifact is not here, but its digest is known.
func TestPublicInstance(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/sigstore-go").Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skipf("the source of sigstore-go is not here: %v", err)
	}
	dir = filepath.Join(dir, "pkg", "testing", "data")
	root, err := sigstore.ParseRoot(readFile(t, dir, "trusted-roots", "public-good.json"))
	if err != nil {
		t.Fatal(err)
	}
	data := readFile(t, dir, "bundles", "sigstore.js@2.0.0-provenance.sigstore.json")
	sum, err := hex.DecodeString("46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c")
	if err != nil {
		t.Fatal(err)
	}
	a := &sigstore.Anchors{Root: root, Identities: []sigstore.Identity{{
		Issuer: "https://token.actions.githubusercontent.com", SAN: "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main",
		SourceRepository: "https://github.com/sigstore/sigstore-js",
	}}}
	judge := func(a *sigstore.Anchors, sum []byte) sigstore.Attestation {
		t.Helper()
		c := signature.NewContent(context.Background(), bytes.NewReader(nil), 0)
		c.Know(crypto.SHA512, sum)
		answer := encode(object{"attestations": []any{object{"predicateType": slsa.PredicateV1, "bundle": json.RawMessage(data)}}})
		all, err := sigstore.Verify(c, answer, a, now)
		if err != nil {
			t.Fatal(err)
		}
		checkPromises(t, all)
		return all[0]
	}
	r := judge(a, sum)
	wants(t, r, "valid")
	if r.Kind != sigstore.KindNPM || r.Time.UTC().Year() != 2023 || r.Certificate.RunInvocationURI == "" {
		t.Errorf("got %+v", r)
	}
	wants(t, judge(a, make([]byte, 64)), "invalid: another file")
	p := slsa.Evaluate(r.Statement, slsa.Signer{
		Issuer: r.Certificate.Issuer, SAN: r.Certificate.SAN, RunnerEnvironment: r.Certificate.RunnerEnvironment,
		SourceRepositoryURI: r.Certificate.SourceRepositoryURI, SourceRepositoryDigest: r.Certificate.SourceRepositoryDigest,
	}, slsa.Artifact{crypto.SHA512: hex.EncodeToString(sum)}, slsa.Expectations{}, slsa.BuiltIn())
	if p.Level != 2 || p.Source != "https://github.com/sigstore/sigstore-js" {
		t.Errorf("provenance: %+v", p)
	}
	a.Identities[0].SourceRepository = "https://github.com/sigstore/sigstore-go"
	wants(t, judge(a, sum), "stranger: ")
	a.Root = parseRoot(t, fake.TrustedRoot(trustAll))
	wants(t, judge(a, sum), "stranger: not from an authority")
}

// TestNPMKeyID: the registry names its key as we name keys, so that its
// publish attestations find it.
func TestNPMKeyID(t *testing.T) {
	k, err := keys.ParsePublicKey([]byte("-----BEGIN PUBLIC KEY-----\n" +
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1Olb3zMAFFxXKHiIkQO5cJ3Yhl5i\n" +
		"6UPp+IhuteBJbuHcA5UogKo0EWtlWwW6KSaKoTNEYL7JlCQiVnkhBktUgg==\n-----END PUBLIC KEY-----\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := keyID(t, k.Key); got != "SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA" {
		t.Error(got)
	}
}
