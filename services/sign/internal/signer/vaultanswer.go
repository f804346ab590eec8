package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"assize.dev/services/sign/internal/keys"
	"assize.dev/shared/config"
)

// parseVaultKey reads the answer to GET <mount>/keys/<key>: the public half
// of version, or of the newest if version is 0.
func parseVaultKey(answer []byte, version int) (public crypto.PublicKey, kind string, pinned int, err error) {
	var a struct {
		Data struct {
			Type    string                     `json:"type"`
			Derived bool                       `json:"derived"`
			Latest  int                        `json:"latest_version"`
			Keys    map[string]json.RawMessage `json:"keys"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, "", 0, fmt.Errorf("answer is not the JSON of a key: %w", err)
	}
	if version == 0 {
		version = a.Data.Latest
	}
	raw, ok := a.Data.Keys[strconv.Itoa(version)]
	switch {
	case a.Data.Type != "ed25519" && a.Data.Type != "ecdsa-p256":
		return nil, "", 0, fmt.Errorf("type %.40q, want ed25519 or ecdsa-p256", a.Data.Type)
	case a.Data.Derived:
		return nil, "", 0, errors.New("derived keys have no public half of their own: make one with derived=false")
	case version < 1 || !ok:
		return nil, "", 0, fmt.Errorf("no version %d, the newest is %d", version, a.Data.Latest)
	}
	var v struct {
		Public string `json:"public_key"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, "", 0, fmt.Errorf("version %d has no public key: %w", version, err)
	}
	if a.Data.Type == "ed25519" {
		public, err = parseRawEd25519(v.Public)
	} else {
		public, err = parseP256(v.Public)
	}
	if err != nil {
		return nil, "", 0, fmt.Errorf("public key of version %d: %w", version, err)
	}
	return public, a.Data.Type, version, nil
}

// parseRawEd25519 reads the base64 of the 32 bytes.
func parseRawEd25519(text string) (crypto.PublicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, errors.New("want the base64 of 32 bytes")
	}
	return ed25519.PublicKey(raw), suitable(ed25519.PublicKey(raw))
}

// parseP256 reads SPKI in PEM.
func parseP256(text string) (crypto.PublicKey, error) {
	k, err := keys.ParsePublicKey([]byte(text))
	if err != nil {
		return nil, err
	}
	if _, ok := k.Key.(*ecdsa.PublicKey); !ok {
		return nil, fmt.Errorf("is a %T, not ECDSA", k.Key)
	}
	return k.Key, suitable(k.Key)
}

// parseVaultSignature reads the answer to POST <mount>/sign/<key>:
// "vault:v<version>:<base64>", which must be by the version asked for.
func parseVaultSignature(answer []byte, version int) ([]byte, error) {
	var a struct {
		Data struct {
			Signature string `json:"signature"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, fmt.Errorf("answer is not the JSON of a signature: %w", err)
	}
	parts := strings.Split(a.Data.Signature, ":")
	if len(parts) != 3 || parts[0] != "vault" {
		return nil, fmt.Errorf("%.80q: want vault:v%d:<base64>", a.Data.Signature, version)
	}
	if want := "v" + strconv.Itoa(version); parts[1] != want {
		return nil, fmt.Errorf("made by version %.20q of the key, %s was asked for", parts[1], want)
	}
	signature, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, fmt.Errorf("%.80q: want vault:v%d:<base64>", a.Data.Signature, version)
	}
	return signature, nil
}

// vaultRefusal says what an answer other than 200 means and who can mend it.
func vaultRefusal(status int, answer []byte, token config.Secret) string {
	meaning := "refused"
	switch {
	case status == http.StatusServiceUnavailable:
		meaning = "sealed or not ready, unseal it or try again later"
	case status >= 500:
		meaning = "failed, try again later"
	case status == http.StatusTooManyRequests:
		meaning = "limits how often it is asked, try again later"
	case status == http.StatusForbidden && token == "":
		meaning = "wants a token: set VAULT_TOKEN or VAULT_TOKEN_FILE"
	case status == http.StatusForbidden:
		meaning = "denied: the token is not valid (any more), or its policy does not allow this"
	case status == http.StatusNotFound:
		meaning = "has no such key, mount or namespace"
	case status >= 300 && status < 400:
		meaning = "redirects, which is not followed because the token would go along: set VAULT_ADDR to the active node"
	}
	text := fmt.Sprintf("Vault %s (HTTP %d", meaning, status)
	var a struct {
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(answer, &a) == nil && len(a.Errors) > 0 {
		said := strings.Join(a.Errors, "; ")
		if token != "" {
			said = strings.ReplaceAll(said, token.Reveal(), token.String())
		}
		text += fmt.Sprintf(": %.300q", said)
	}
	return text + ")"
}
