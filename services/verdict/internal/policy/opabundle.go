package policy

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/keys"

	"github.com/open-policy-agent/opa/v1/ast"
)

const (
	maxArchive = 16 << 20 // bytes of a bundle on disk
	maxUnpack  = 32 << 20 // bytes of one file in it
)

// LoadSigned reads a policy like Load, but only from an OPA bundle that is
// signed (".signatures.json", as "opa sign" makes it) by the key whose public
// half, in PEM, is the file key: RSA (RS256), ECDSA on P-256 (ES256), P-384
// (ES384) or P-521 (ES512), or Ed25519 (EdDSA).
func LoadSigned(ctx context.Context, path, key string) (*Policy, error) {
	verification, err := readKey(key)
	if err != nil {
		return nil, fmt.Errorf("key of the policy %q: %w", key, err)
	}
	p, err := loadBundle(ctx, path, verification)
	if err != nil {
		return nil, fmt.Errorf("load policy %q, which has to be a signed bundle: %w", path, err)
	}
	return p, nil
}

func readKey(file string) (*bundle.VerificationConfig, error) {
	text, err := readFile(file, maxSettings)
	if err != nil {
		return nil, err
	}
	public, err := publicKey(text)
	if err != nil {
		return nil, err
	}
	algorithm := ""
	switch k := public.(type) {
	case *rsa.PublicKey:
		algorithm = "RS256"
		if k.N.BitLen() < 2048 {
			return nil, fmt.Errorf("RSA key of %d bits, want 2048 at least", k.N.BitLen())
		}
	case *ecdsa.PublicKey:
		algorithm = map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[k.Curve.Params().BitSize]
	case ed25519.PublicKey:
		algorithm = "EdDSA"
	}
	if algorithm == "" {
		return nil, fmt.Errorf("a key of type %T does not sign bundles", public)
	}
	const id = "policy" // only one key counts, whatever the bundle says of its name
	return bundle.NewVerificationConfig(map[string]*keys.Config{id: {Key: string(text), Algorithm: algorithm}}, id, "", nil), nil
}

// publicKey reads one PEM block of a SubjectPublicKeyInfo.
func publicKey(text []byte) (any, error) {
	block, rest := pem.Decode(text)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("want one public key in PEM")
	}
	return x509.ParsePKIXPublicKey(block.Bytes)
}

// loadBundle reads an OPA bundle: its modules as rules, its
// data.assize.settings as settings; other data is refused, as nothing would
// keep it in the policy's digest. Without modules the settings are for the
// built-in rules. With a nil verification the signature is not looked at.
func loadBundle(ctx context.Context, file string, verification *bundle.VerificationConfig) (*Policy, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || !strings.HasSuffix(file, ".tar.gz") {
		return nil, errors.New("not a .tar.gz file")
	}
	text, err := readFile(file, maxArchive)
	if err != nil {
		return nil, err
	}
	reader := bundle.NewReader(bytes.NewReader(text)).WithRegoVersion(ast.RegoV1).WithCapabilities(capabilities()).
		WithSizeLimitBytes(maxUnpack).WithSkipBundleVerification(verification == nil).WithBundleVerificationConfig(verification)
	b, err := reader.Read()
	if err != nil {
		return nil, err
	}
	if verification != nil && len(b.Signatures.Signatures) == 0 {
		return nil, errors.New("it has no signature")
	}
	if len(b.WasmModules) > 0 || len(b.PlanModules) > 0 {
		return nil, errors.New("it has compiled modules, want Rego")
	}
	settings := DefaultSettings()
	if len(b.Modules) > 0 {
		settings = customSettings()
	}
	if settings, err = bundleSettings(b.Data, settings); err != nil {
		return nil, err
	}
	if len(b.Modules) == 0 {
		return Default(ctx, settings)
	}
	var modules []module
	for _, m := range b.Modules {
		if strings.HasSuffix(m.Path, "_test.rego") {
			continue
		}
		modules = append(modules, module{Name: strings.TrimPrefix(path.Clean(m.Path), "/"), Source: string(m.Raw)})
	}
	if len(modules) > maxModules {
		return nil, fmt.Errorf("more than %d Rego files", maxModules)
	}
	return compile(ctx, settings, modules)
}

func bundleSettings(data map[string]any, defaults Settings) (Settings, error) {
	for key := range data {
		if key != "assize" {
			return Settings{}, fmt.Errorf("data.%.80s: want nothing but data.assize.settings", key)
		}
	}
	if len(data) == 0 {
		return defaults, nil
	}
	assize, ok := data["assize"].(map[string]any)
	settings, there := assize["settings"]
	if !ok || !there || len(assize) != 1 {
		return Settings{}, errors.New("data.assize: want settings and nothing else")
	}
	text, err := canonical(settings)
	if err != nil {
		return Settings{}, err
	}
	s, err := ParseSettings(text, defaults)
	if err != nil {
		return Settings{}, fmt.Errorf("data.assize.settings: %w", err)
	}
	return s, nil
}
