package signer

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"assize.dev/services/sign/internal/keys"
	"assize.dev/shared/config"
)

// Vault signs with one version of a key in the transit engine of HashiCorp
// Vault or OpenBao, over its HTTP interface:
// https://developer.hashicorp.com/vault/api-docs/secret/transit. The key is
// ed25519 or ecdsa-p256. A rotated key keeps signing with the version that
// was newest when it was opened; the policy must allow reading
// <mount>/keys/<key> and updating <mount>/sign/<key>.
type Vault struct {
	client    *http.Client
	engine    string // URL of the mount
	key       string // name, or the path below keys/ and sign/
	namespace string
	token     config.Secret
	tokenFile string
	timeout   time.Duration // of one call

	public  crypto.PublicKey
	kind    string
	version int
}

const (
	// vaultTimeout is for one call. Vault answers within milliseconds, and
	// gives up itself after 90 seconds.
	vaultTimeout = 15 * time.Second
	// maxVaultAnswer is room for the public keys of some thousand versions.
	maxVaultAnswer = 1 << 20
	defaultMount   = "transit"
)

// pathSegment is what mounts and keys of transit are named with.
var pathSegment = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// openVault reads the public key of ref, "[mount/]key[?version=N]".
func openVault(ctx context.Context, ref string, o Options) (*Vault, error) {
	mount, key, version, err := parseVaultRef(ref)
	if err != nil {
		return nil, err
	}
	address, err := vaultAddress(o)
	if err != nil {
		return nil, fmt.Errorf("VAULT_ADDR: %w", err)
	}
	client, err := vaultClient(o.VaultCA)
	if err != nil {
		return nil, fmt.Errorf("VAULT_CACERT: %w", err)
	}
	v := &Vault{
		client: client, engine: address + "/v1/" + mount, key: key, namespace: o.VaultNamespace,
		token: o.VaultToken, tokenFile: o.VaultTokenFile, timeout: vaultTimeout,
	}
	answer, err := v.call(ctx, http.MethodGet, "keys", nil)
	if err != nil {
		return nil, err
	}
	v.public, v.kind, v.version, err = parseVaultKey(answer, version)
	if err != nil {
		return nil, fmt.Errorf("key in Vault: %w", err)
	}
	return v, nil
}

// Public implements Signer.
func (v *Vault) Public() crypto.PublicKey { return v.public }

// Sign implements Signer.
func (v *Vault) Sign(ctx context.Context, message []byte) ([]byte, error) {
	request := vaultSign{Input: base64.StdEncoding.EncodeToString(message), Version: v.version}
	if v.kind == "ecdsa-p256" {
		request.Hash, request.Marshaling = "sha2-256", "asn1"
	}
	answer, err := v.call(ctx, http.MethodPost, "sign", request)
	if err != nil {
		return nil, err
	}
	signature, err := parseVaultSignature(answer, v.version)
	if err == nil {
		err = check(v.public, message, signature)
	}
	if err != nil {
		return nil, fmt.Errorf("signature of Vault with %s: %w", v.key, err)
	}
	return signature, nil
}

// vaultSign is the body of POST <mount>/sign/<key>.
type vaultSign struct {
	Input      string `json:"input"` // base64
	Version    int    `json:"key_version"`
	Hash       string `json:"hash_algorithm,omitempty"`
	Marshaling string `json:"marshaling_algorithm,omitempty"`
}

// call returns the body of an answer 200 to a request for the key.
func (v *Vault) call(ctx context.Context, method, operation string, body any) ([]byte, error) {
	token, err := v.currentToken()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, v.engine+"/"+operation+"/"+v.key, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Vault-Request", "true")
	if token != "" {
		request.Header.Set("X-Vault-Token", token.Reveal())
	}
	if v.namespace != "" {
		request.Header.Set("X-Vault-Namespace", v.namespace)
	}
	response, err := v.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking Vault: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxVaultAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking Vault: %s %s: reading the answer: %w", method, request.URL, err)
	case len(answer) > maxVaultAnswer:
		return nil, fmt.Errorf("asking Vault: %s %s: an answer of more than %d bytes", method, request.URL, maxVaultAnswer)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("asking Vault: %s %s: %s", method, request.URL, vaultRefusal(response.StatusCode, answer, token))
	}
	return answer, nil
}

// currentToken is empty where an agent in front of Vault adds it.
func (v *Vault) currentToken() (config.Secret, error) {
	if v.tokenFile == "" {
		return v.token, nil
	}
	data, err := keys.ReadSmall(v.tokenFile)
	if err != nil {
		return "", fmt.Errorf("VAULT_TOKEN_FILE: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("VAULT_TOKEN_FILE: %s is empty", v.tokenFile)
	}
	return config.Secret(token), nil
}

func parseVaultRef(ref string) (mount, key string, version int, err error) {
	path, query, _ := strings.Cut(ref, "?")
	mount, key = defaultMount, path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		mount, key = path[:i], path[i+1:]
	}
	for segment := range strings.SplitSeq(mount+"/"+key, "/") {
		if !pathSegment.MatchString(segment) {
			return "", "", 0, fmt.Errorf("want vault://[mount/]key of letters, digits, _ - and ., not %.80q", path)
		}
	}
	if query != "" {
		number, ok := strings.CutPrefix(query, "version=")
		if version, err = strconv.Atoi(number); !ok || err != nil || version < 1 {
			return "", "", 0, fmt.Errorf("want ?version=N or nothing after the key, not %.80q", query)
		}
	}
	return mount, key, version, nil
}

// vaultAddress checks the address and returns it without a final slash.
func vaultAddress(o Options) (string, error) {
	u, err := url.Parse(o.VaultAddress)
	switch {
	case o.VaultAddress == "":
		return "", errors.New("is not set: want https://host:8200")
	case err != nil, u.User != nil:
		// Not quoted: it may hold a password.
		return "", errors.New("want https://host:8200")
	case u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Errorf("%.80q: want https://host:8200", o.VaultAddress)
	case u.Scheme == "http" && !o.VaultPlainHTTP && !loopback(u.Hostname()):
		return "", fmt.Errorf("%.80q would send the token in the clear: use https://, or set ASSIZE_VAULT_PLAIN_HTTP=true", o.VaultAddress)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// vaultClient trusts the certificates in the file ca, or the system's. It
// follows no redirect: the token would go with it to wherever it points.
func vaultClient(ca string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if ca != "" {
		data, err := keys.ReadSmall(ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s: no certificate in PEM is in it", ca)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
