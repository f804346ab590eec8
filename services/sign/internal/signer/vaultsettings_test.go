package signer

import (
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"assize.dev/shared/config"
)

// TestVaultSettings are those that are refused before anything is sent.
func TestVaultSettings(t *testing.T) {
	empty := write(t, "empty.pem", nil)
	for name, test := range map[string]struct {
		ref  string
		o    Options
		want string
	}{
		"no address":       {"vault://k", Options{}, "VAULT_ADDR: is not set"},
		"another scheme":   {"vault://k", Options{VaultAddress: "ftp://h"}, "want https://"},
		"no host":          {"vault://k", Options{VaultAddress: "https:///x"}, "want https://"},
		"no URL":           {"vault://k", Options{VaultAddress: "https://%zz"}, "want https://"},
		"query":            {"vault://k", Options{VaultAddress: "https://h?x=1"}, "want https://"},
		"password":         {"vault://k", Options{VaultAddress: "https://jo:hunter2@h"}, "want https://"},
		"in the clear":     {"vault://k", Options{VaultAddress: "http://vault.example.test:8200"}, "ASSIZE_VAULT_PLAIN_HTTP"},
		"almost loopback":  {"vault://k", Options{VaultAddress: "http://127.0.0.1.example.test"}, "ASSIZE_VAULT_PLAIN_HTTP"},
		"no CA file":       {"vault://k", Options{VaultAddress: "https://h", VaultCA: empty + "2"}, "VAULT_CACERT"},
		"empty CA file":    {"vault://k", Options{VaultAddress: "https://h", VaultCA: empty}, "no certificate in PEM"},
		"no key":           {"vault://", Options{}, "want vault://[mount/]key"},
		"empty mount":      {"vault:///k", Options{}, "want vault://[mount/]key"},
		"climbing":         {"vault://../k", Options{}, "want vault://[mount/]key"},
		"escaped":          {"vault://transit/%2e%2e", Options{}, "want vault://[mount/]key"},
		"fragment":         {"vault://transit/k#x", Options{}, "want vault://[mount/]key"},
		"version zero":     {"vault://k?version=0", Options{}, "want ?version=N"},
		"version in words": {"vault://k?version=new", Options{}, "want ?version=N"},
		"other query":      {"vault://k?v=1", Options{}, "want ?version=N"},
	} {
		_, err := Open(t.Context(), test.ref, test.o)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	for address, o := range map[string]Options{
		"http://127.0.0.1:8200": {}, "http://localhost:8200": {}, "http://[::1]:8200": {}, "https://vault.example.test": {},
		"http://vault.example.test": {VaultPlainHTTP: true},
	} {
		o.VaultAddress = address + "/"
		if got, err := vaultAddress(o); err != nil || got != address {
			t.Errorf("%s: %q, %v", address, got, err)
		}
	}
}

// TestVaultTLS: the server's certificate must lead to the configured one.
func TestVaultTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(newTransit(t, "ed25519", edKey("a")))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of the first client
	server.StartTLS()
	defer server.Close()
	o := Options{VaultAddress: server.URL, VaultToken: config.Secret(vaultToken)}
	if _, err := Open(t.Context(), vaultRef, o); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
	o.VaultCA = write(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	checkSigner(t, openTest(t, vaultRef, o), edKey("a").Public())
}
