package policy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
)

// packed is a bundle of these files.
func packed(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// signedBundle is packed as "opa sign" signs it.
func signedBundle(t *testing.T, text []byte, private, algorithm string) []byte {
	t.Helper()
	b, err := bundle.NewReader(bytes.NewReader(text)).WithSkipBundleVerification(true).WithRegoVersion(ast.RegoV1).Read()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.GenerateSignature(bundle.NewSigningConfig(private, algorithm, ""), "", false); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := bundle.NewWriter(&out).Write(b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func pemKeys(t *testing.T, private crypto.Signer) (secret, public string) {
	t.Helper()
	a, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: a})), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: b}))
}

func saved(t *testing.T, name string, text []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSignedBundles(t *testing.T) {
	settings := map[string]string{"data.json": `{"assize":{"settings":{"name":"corp","minimum_grade":"verified"}}}`}
	custom := map[string]string{
		"data.json":  `{"assize":{"settings":{"name":"corp/custom"}}}`,
		"rules.rego": "package assize.policy\n\nverdict := {\"decision\": \"deny\", \"grade\": \"risk\", \"reasons\": [{\"rule\": \"a\", \"outcome\": \"deny\", \"evidence\": \"\", \"message\": \"b\"}]}\n",
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, key := range map[string]crypto.Signer{"ES256": p256, "RS256": rsaKey, "EdDSA": ed} {
		secret, public := pemKeys(t, key)
		for name, files := range map[string]map[string]string{"corp": settings, "corp/custom": custom} {
			file := saved(t, "b.tar.gz", signedBundle(t, packed(t, files), secret, algorithm))
			p, err := LoadSigned(t.Context(), file, saved(t, "key.pem", []byte(public)))
			if err != nil {
				t.Errorf("%s: %v", algorithm, err)
				continue
			}
			if p.Name().Name != name {
				t.Errorf("%s: %s, want %s", algorithm, p.Name().Name, name)
			}
			if q, err := FromBundle(t.Context(), p.Bundle()); err != nil || q.Name() != p.Name() {
				t.Errorf("%s: again %v, %v", algorithm, q.Name(), err)
			}
		}
	}

	secret, public := pemKeys(t, p256)
	key := saved(t, "key.pem", []byte(public))
	good := signedBundle(t, packed(t, settings), secret, "ES256")
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := pemKeys(t, stranger)
	for name, tt := range map[string]struct {
		file string
		text []byte
		want string
	}{
		"not signed":      {"b.tar.gz", packed(t, settings), "signature"},
		"another key":     {"b.tar.gz", signedBundle(t, packed(t, settings), other, "ES256"), "verif"},
		"changed":         {"b.tar.gz", repacked(t, good, "data.json", `{"assize":{"settings":{"minimum_grade":"risk"}}}`), "digest"},
		"a file added":    {"b.tar.gz", repacked(t, good, "more.rego", "package assize.policy\n"), "more.rego"},
		"no bundle":       {"policy.yaml", []byte("minimum_grade: risk\n"), "tar.gz"},
		"not an archive":  {"b.tar.gz", []byte("minimum_grade: risk\n"), "gzip"},
		"unknown setting": {"b.tar.gz", signedBundle(t, packed(t, map[string]string{"data.json": `{"assize":{"settings":{"minimum_grad":"risk"}}}`}), secret, "ES256"), "minimum_grad"},
		"other data":      {"b.tar.gz", signedBundle(t, packed(t, map[string]string{"data.json": `{"x":1}`}), secret, "ES256"), "data.x"},
	} {
		if _, err := LoadSigned(t.Context(), saved(t, tt.file, tt.text), key); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	// Where no signature is asked for, none is looked at.
	if _, err := Load(t.Context(), saved(t, "b.tar.gz", packed(t, settings))); err != nil {
		t.Error(err)
	}
}

// repacked is a bundle with one file set to other text.
func repacked(t *testing.T, text []byte, name, content string) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, "/")] = b.String()
	}
	if len(files) < 2 {
		t.Fatalf("%d files", len(files))
	}
	files[name] = content
	return packed(t, files)
}

// A policy that takes all memory is stopped before it has it.
func TestMemoryLimit(t *testing.T) {
	p, err := compile(context.Background(), customSettings(), []module{{Name: "bomb.rego", Source: `package assize.policy

verdict := {"decision": "allow", "grade": "verified", "reasons": [{"rule": "a", "outcome": "allow", "evidence": "", "message": s} | some s in words]}

words := [concat(",", [sprintf("%d", [i]), long, sprintf("%d", [i])]) | some i in numbers.range(1, 100000000)]

long := concat("", [sprintf("%d", [i]) | some i in numbers.range(1, 20000)])
`}})
	if err != nil {
		t.Fatal(err)
	}
	p.Timeout, p.Memory = 20*p.Timeout, 64<<20
	if _, err := p.Evaluate(t.Context(), Input{}); err == nil || !strings.Contains(err.Error(), "more than 64 MiB") {
		t.Errorf("%v", err)
	}
}
