package signer

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const vaultToken = "s.token-of-the-test"

// transit is a transit engine: it signs with real keys, as Vault 1.21 and
// OpenBao 2 answer.
type transit struct {
	t        *testing.T
	kind     string
	versions []crypto.Signer
	token    atomic.Value
	calls    atomic.Int32
	fault    atomic.Pointer[fault] // answers instead of a signature
}

type fault func(w http.ResponseWriter, r *http.Request)

func newTransit(t *testing.T, kind string, versions ...crypto.Signer) *transit {
	tr := &transit{t: t, kind: kind, versions: versions}
	tr.token.Store(vaultToken)
	return tr
}

func (tr *transit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tr.calls.Add(1)
	if r.Header.Get("X-Vault-Token") != tr.token.Load() || r.Header.Get("X-Vault-Request") != "true" {
		refuse(w, http.StatusForbidden, "2 errors occurred:\n\t* permission denied\n\t* invalid token "+r.Header.Get("X-Vault-Token"))
		return
	}
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/v1/team/transit/keys/verdicts":
		fmt.Fprintf(w, `{"request_id":"x","data":%s}`, tr.keyJSON())
	case r.Method == http.MethodPost && r.URL.Path == "/v1/team/transit/sign/verdicts":
		if f := tr.fault.Load(); f != nil {
			(*f)(w, r)
			return
		}
		tr.sign(w, r)
	default:
		refuse(w, http.StatusNotFound)
	}
}

func refuse(w http.ResponseWriter, status int, messages ...string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]string{"errors": append([]string{}, messages...)})
}

func (tr *transit) keyJSON() []byte {
	all := map[string]any{}
	for i, k := range tr.versions {
		all[strconv.Itoa(i+1)] = map[string]any{"creation_time": "2026-01-01T00:00:00Z", "name": tr.kind, "public_key": vaultPublic(tr.t, k.Public())}
	}
	data, err := json.Marshal(map[string]any{
		"type": tr.kind, "derived": false, "latest_version": len(tr.versions), "keys": all, "supports_signing": true, "name": "verdicts",
	})
	if err != nil {
		tr.t.Error(err)
	}
	return data
}

func vaultPublic(t testing.TB, public crypto.PublicKey) string {
	t.Helper()
	if ed, ok := public.(ed25519.PublicKey); ok {
		return base64.StdEncoding.EncodeToString(ed)
	}
	return string(publicPEM(t, public))
}

func (tr *transit) sign(w http.ResponseWriter, r *http.Request) {
	var request map[string]any
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	version := int(request["key_version"].(float64))
	if version < 1 || version > len(tr.versions) {
		refuse(w, http.StatusBadRequest, "requested version for signing is higher than the latest key version")
		return
	}
	message, err := base64.StdEncoding.DecodeString(request["input"].(string))
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	var sig []byte
	switch k := tr.versions[version-1]; {
	case tr.kind == "ed25519":
		sig, err = k.Sign(nil, message, crypto.Hash(0))
	case request["hash_algorithm"] != "sha2-256" || request["marshaling_algorithm"] != "asn1":
		err = errors.New("the request leaves hash or form open")
	default:
		sum := sha256.Sum256(message)
		sig, err = k.Sign(nil, sum[:], crypto.SHA256)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	answer(w, version, sig)
}

func answer(w io.Writer, version int, sig []byte) {
	fmt.Fprintf(w, `{"data":{"key_version":%d,"signature":"vault:v%d:%s"}}`, version, version, base64.StdEncoding.EncodeToString(sig))
}

const vaultRef = "vault://team/transit/verdicts"

func (tr *transit) serve(t *testing.T) Options {
	t.Helper()
	server := httptest.NewServer(tr)
	t.Cleanup(server.Close)
	return Options{VaultAddress: server.URL + "/", VaultToken: vaultToken}
}

func openTest(t *testing.T, ref string, o Options) Signer {
	t.Helper()
	s, err := Open(t.Context(), ref, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVault(t *testing.T) {
	one, two := edKey("one"), edKey("two")
	t.Run("ed25519", func(t *testing.T) {
		o := newTransit(t, "ed25519", one, two).serve(t)
		checkSigner(t, openTest(t, vaultRef, o), two.Public())
		checkSigner(t, openTest(t, "openbao://team/transit/verdicts", o), two.Public())
		checkSigner(t, openTest(t, vaultRef+"?version=1", o), one.Public())
	})
	t.Run("p256", func(t *testing.T) {
		checkSigner(t, openTest(t, vaultRef, newTransit(t, "ecdsa-p256", p256Key(t, "a")).serve(t)), p256Key(t, "a").Public())
	})
	t.Run("rotated", func(t *testing.T) {
		tr := newTransit(t, "ed25519", one)
		s := openTest(t, vaultRef, tr.serve(t))
		tr.versions = []crypto.Signer{one, two}
		checkSigner(t, s, one.Public())
	})
	t.Run("one call each", func(t *testing.T) {
		tr := newTransit(t, "ed25519", one)
		s := openTest(t, vaultRef, tr.serve(t))
		for range 3 {
			if _, err := s.Sign(t.Context(), []byte("m")); err != nil {
				t.Fatal(err)
			}
		}
		if n := tr.calls.Load(); n != 4 {
			t.Errorf("%d calls for opening and three signatures, want 4", n)
		}
	})
	t.Run("default mount", func(t *testing.T) {
		var path string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path = r.URL.Path
			if r.Header.Get("X-Vault-Namespace") != "ns1/" || r.Header["X-Vault-Token"] != nil {
				t.Errorf("headers %v", r.Header)
			}
			refuse(w, http.StatusForbidden, "permission denied")
		}))
		defer server.Close()
		_, err := Open(t.Context(), "hashivault://k", Options{VaultAddress: server.URL, VaultNamespace: "ns1/"})
		if path != "/v1/transit/keys/k" || err == nil || !strings.Contains(err.Error(), "set VAULT_TOKEN or") {
			t.Errorf("asked for %s: %v", path, err)
		}
	})
}

// TestVaultToken is rotated while the signer runs.
func TestVaultToken(t *testing.T) {
	tr := newTransit(t, "ed25519", edKey("a"))
	o := tr.serve(t)
	o.VaultToken = "s.stale"
	o.VaultTokenFile = write(t, "token", []byte(vaultToken+"\n"))
	s := openTest(t, vaultRef, o)
	checkSigner(t, s, edKey("a").Public())

	tr.token.Store("s.second")
	_, err := s.Sign(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "denied: the token is not valid") || strings.Contains(err.Error(), vaultToken) {
		t.Errorf("with the old token: %v", err)
	}
	for content, want := range map[string]string{"": "is empty", "s.second\x00x": "X-Vault-Token"} {
		if err := os.WriteFile(o.VaultTokenFile, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sign(t.Context(), nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s.second") {
			t.Errorf("token file %q: %v", content, err)
		}
	}
	if err := os.WriteFile(o.VaultTokenFile, []byte("s.second"), 0o600); err != nil {
		t.Fatal(err)
	}
	checkSigner(t, s, edKey("a").Public())
	if err := os.Remove(o.VaultTokenFile); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "VAULT_TOKEN_FILE") {
		t.Errorf("without the file: %v", err)
	}
}

// TestVaultMisbehaves: whatever comes instead of the signature is an error,
// says what it was, never shows the token, and the next call works again.
func TestVaultMisbehaves(t *testing.T) {
	key, other := edKey("a"), edKey("other")
	message := []byte("message")
	say := func(text string) fault { return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) } }
	status := func(code int, body string) fault {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); fmt.Fprint(w, body) }
	}
	fail := func(code int, messages ...string) fault {
		return func(w http.ResponseWriter, _ *http.Request) { refuse(w, code, messages...) }
	}
	signature := func(version int, k crypto.Signer, m []byte) fault {
		return func(w http.ResponseWriter, _ *http.Request) {
			sig, err := k.Sign(nil, m, crypto.Hash(0))
			if err != nil {
				t.Error(err)
			}
			answer(w, version, sig)
		}
	}
	for name, test := range map[string]struct {
		fault fault
		want  string
	}{
		"sealed":        {fail(503, "Vault is sealed"), `sealed or not ready, unseal it or try again later (HTTP 503: "Vault is sealed")`},
		"standby":       {fail(503), "try again later (HTTP 503)"},
		"internal":      {fail(500, "1 error occurred"), "failed, try again later (HTTP 500"},
		"bad gateway":   {status(502, "<html>"), "HTTP 502)"},
		"denied":        {fail(403, "permission denied "+vaultToken), "denied: the token"},
		"rate limit":    {fail(429, "request path: rate limit quota exceeded"), "limits how often"},
		"gone":          {fail(404), "no such key, mount or namespace"},
		"bad request":   {fail(400, "unsupported key version"), `refused (HTTP 400: "unsupported key version")`},
		"long and rude": {fail(400, strings.Repeat("\x1b[31m", 1000)), "refused (HTTP 400"},
		"no content":    {fail(204), "HTTP 204"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		}, "not followed"},
		"newer version":       {signature(2, key, message), `made by version "v2" of the key, v1 was asked for`},
		"by another key":      {signature(1, other, message), "was the key replaced?"},
		"of another message":  {signature(1, key, []byte("another")), "was the key replaced?"},
		"truncated JSON":      {say(`{"data":{"signature":"vault:v1:AAA`), "not the JSON of a signature"},
		"truncated signature": {say(`{"data":{"signature":"vault:v1:AAAA"}}`), "3 bytes that do not hold"},
		"no base64":           {say(`{"data":{"signature":"vault:v1:***"}}`), "want vault:v1:<base64>"},
		"another form":        {say(`{"data":{"signature":"AAAA"}}`), "want vault:v1:<base64>"},
		"nothing":             {say(`{}`), "want vault:v1:<base64>"},
		"null":                {say(`null`), "want vault:v1:<base64>"},
		"another type":        {say(`{"data":[1]}`), "not the JSON of a signature"},
		"page":                {say("<html>log in</html>"), "not the JSON of a signature"},
		"empty":               {say(""), "not the JSON of a signature"},
		"huge":                {say(`{"data":{"signature":"` + strings.Repeat("A", maxVaultAnswer) + `"}}`), "more than 1048576 bytes"},
		"huge refusal":        {status(500, strings.Repeat("x", maxVaultAnswer+1)), "more than 1048576 bytes"},
		"shorter than promised": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "{")
		}, "unexpected EOF"},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "asking Vault"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTransit(t, "ed25519", key)
			s := openTest(t, vaultRef, tr.serve(t))
			tr.fault.Store(&test.fault)
			sig, err := s.Sign(t.Context(), message)
			if err == nil || sig != nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("signature %x, error %v, want %q", sig, err, test.want)
			}
			if text := err.Error(); strings.Contains(text, vaultToken) || len(text) > 1000 || strings.ContainsRune(text, '\x1b') {
				t.Errorf("error %q", text)
			}
			tr.fault.Store(nil)
			checkSigner(t, s, key.Public())
		})
	}
}

// TestVaultSlow ends with the caller's patience or with its own.
func TestVaultSlow(t *testing.T) {
	tr := newTransit(t, "ed25519", edKey("a"))
	s := openTest(t, vaultRef, tr.serve(t)).(*Vault)
	asked := make(chan struct{}, 1)
	slow := fault(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // net/http notices a client that left only after that
		asked <- struct{}{}
		<-r.Context().Done()
	})
	tr.fault.Store(&slow)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := s.Sign(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	s.timeout = time.Millisecond
	if _, err := s.Sign(t.Context(), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("out of time: %v", err)
	}
}

func publicPEM(t testing.TB, public crypto.PublicKey) []byte {
	t.Helper()
	text, err := encodePublic(public)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func encodePublic(public crypto.PublicKey) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(public)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), err
}
