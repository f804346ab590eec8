package sign

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
	"assize.dev/shared/realdata"
)

// sample is a line of a manifest of real signatures: what signed what, and
// whether that is to be accepted.
type sample struct {
	Kind, Artifact, Want, Why string
	Signature, File           string
	Keyring                   string
	AllowedSigners            string `json:"allowed_signers"`
	Identity, Namespace       string
	Key                       string
	Also                      []string
	TrustedRoot               string `json:"trusted_root"`
	Issuer                    string
	At                        time.Time
	Chain, CRL, Root          string
}

// publisher trusts what the line names.
func (s sample) publisher(dir string) Publisher {
	at := func(names ...string) (paths []string) {
		for _, name := range names {
			if name != "" {
				paths = append(paths, filepath.Join(dir, name))
			}
		}
		return paths
	}
	p := Publisher{Name: "sample"}
	switch s.Kind {
	case "openpgp":
		p.OpenPGP = &OpenPGPTrust{Keyrings: at(s.Keyring)}
	case "sshsig":
		p.SSH = &SSHTrust{AllowedSigners: at(s.AllowedSigners)[0], Identity: s.Identity, Namespace: s.Namespace}
	case "minisign", "signify":
		p.Minisign = at(s.Key)
	case "ed25519":
		p.Keys = at(s.Key)
	case "x509":
		p.X509 = &X509Trust{Roots: at(s.Root), CRLs: at(s.CRL)}
	case "sigstore":
		p.Sigstore = &SigstoreTrust{TrustedRoot: at(s.TrustedRoot)[0], Identities: []IdentityTrust{{Issuer: s.Issuer, SAN: s.Identity}}}
	}
	return p
}

// TestRealSignatures holds the verifier against signatures made with gpg,
// ssh-keygen, minisign, signify, openssl and an offline Sigstore.
func TestRealSignatures(t *testing.T) {
	root := filepath.Join(realdata.Dir(t), "signatures")
	manifests, err := filepath.Glob(filepath.Join(root, "*", "manifest.jsonl"))
	if err != nil || len(manifests) == 0 {
		t.Fatalf("no manifests in %s: %v", root, err)
	}
	for _, manifest := range manifests {
		f, err := os.Open(manifest)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		dir := filepath.Dir(manifest)
		for lines := bufio.NewScanner(f); lines.Scan(); {
			var s sample
			if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
				t.Fatal(err)
			}
			s.check(t, dir)
		}
	}
}

func (s sample) check(t *testing.T, dir string) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	name := s.Kind + "/" + s.Signature + s.File + "/" + s.Artifact + "/" + s.Why + s.Namespace
	t.Run(name, func(t *testing.T) {
		data := read(s.Artifact)
		attached := []event.Attached{{Name: s.Artifact + ".sig", Data: read(s.Signature + s.File)}}
		if s.Chain != "" {
			attached = append(attached, event.Attached{Name: s.Artifact + ".chain.pem", Data: read(s.Chain)})
		}
		trust, err := LoadTrust(nil, s.publisher(dir))
		if err != nil {
			t.Fatal(err)
		}
		v, err := NewVerifier(trust, VerifierOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if s.At.IsZero() {
			s.At = time.Now()
		}
		a := event.Artifact{Filename: s.Artifact, Digest: digest.Of(data), Received: s.At, Signatures: attached}
		got, err := v.Verify(t.Context(), &a, bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"accept": event.Pass, "reject": event.Fail}[s.Want]
		if got.Result != want {
			t.Errorf("%s, want %s: %+v", got.Result, want, got)
		}
		for _, x := range got.Signatures {
			if x.Valid && (x.Trust != event.Trusted || x.Publisher != "sample" || x.Signer == "") || !x.Valid && x.Reason == "" {
				t.Errorf("signature %+v", x)
			}
		}
		if strings.Contains(s.File, "provenance") && want == event.Pass && (got.SLSALevel == 0 || len(got.Provenance) != 1) {
			t.Errorf("provenance proves level %d: %+v", got.SLSALevel, got.Provenance)
		}
	})
}
