package signer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/dsse"
)

func TestVaultKeys(t *testing.T) {
	good := vaultPublic(t, edKey("a").Public())
	p256 := vaultPublic(t, p256Key(t, "a").Public())
	key := func(kind, public string) string {
		encoded, err := json.Marshal(public)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"data":{"type":%q,"latest_version":2,"keys":{"2":{"public_key":%s}}}}`, kind, encoded)
	}
	if _, kind, version, err := parseVaultKey([]byte(key("ed25519", good)), 0); err != nil || kind != "ed25519" || version != 2 {
		t.Errorf("%s version %d, %v", kind, version, err)
	}
	for name, test := range map[string]struct {
		answer  string
		version int
		want    string
	}{
		"no JSON":         {"<html>", 0, "not the JSON"},
		"null":            {"null", 0, `type ""`},
		"symmetric":       {`{"data":{"type":"aes256-gcm96","latest_version":1,"keys":{"1":1442851412}}}`, 0, "want ed25519 or ecdsa-p256"},
		"p384":            {key("ecdsa-p384", good), 0, "want ed25519 or ecdsa-p256"},
		"derived":         {`{"data":{"type":"ed25519","derived":true,"latest_version":1,"keys":{"1":{}}}}`, 0, "derived=false"},
		"no versions":     {`{"data":{"type":"ed25519","latest_version":1}}`, 0, "no version 1"},
		"version 0":       {`{"data":{"type":"ed25519","keys":{"0":{}}}}`, 0, "no version 0"},
		"archived":        {key("ed25519", good), 1, "no version 1, the newest is 2"},
		"a number":        {`{"data":{"type":"ed25519","latest_version":1,"keys":{"1":5}}}`, 0, "has no public key"},
		"no public key":   {key("ed25519", ""), 0, "base64 of 32 bytes"},
		"short":           {key("ed25519", "AAAA"), 0, "base64 of 32 bytes"},
		"weak":            {key("ed25519", base64.StdEncoding.EncodeToString(make([]byte, 32))), 0, "weak"},
		"P-256 by name":   {key("ecdsa-p256", good), 0, "public key of version 2"},
		"Ed25519 by name": {key("ed25519", p256), 0, "base64 of 32 bytes"},
		"Ed25519 in PEM":  {key("ecdsa-p256", string(publicPEM(t, edKey("a").Public()))), 0, "not ECDSA"},
	} {
		if _, _, _, err := parseVaultKey([]byte(test.answer), test.version); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func FuzzVaultAnswers(f *testing.F) {
	f.Add([]byte(`{"data":{"type":"ed25519","latest_version":1,"keys":{"1":{"public_key":"`+vaultPublic(f, edKey("a").Public())+`"}}}}`), 0)
	p256, err := json.Marshal(vaultPublic(f, p256Key(f, "a").Public()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"data":{"type":"ecdsa-p256","latest_version":1,"keys":{"1":{"public_key":`+string(p256)+`}}}}`), 1)
	var signed bytes.Buffer
	answer(&signed, 3, make([]byte, 64))
	f.Add(signed.Bytes(), 3)
	f.Add([]byte(`{"errors":["Vault is sealed"]}`), 503)
	f.Fuzz(func(t *testing.T, data []byte, version int) {
		public, kind, pinned, err := parseVaultKey(data, version)
		if err == nil && (suitable(public) != nil || pinned < 1 || version != 0 && pinned != version || kind == "") {
			t.Errorf("%q: %v %s %d", data, public, kind, pinned)
		}
		if sig, err := parseVaultSignature(data, version); err == nil && dsse.Holds(edKey("a").Public(), []byte("never signed"), sig) {
			t.Errorf("%q is a forgery", data)
		}
		if text := vaultRefusal(version, data, "secret"); len(text) > 2000 || strings.ContainsAny(text, "\n\x1b") {
			t.Errorf("%q: %q", data, text)
		}
	})
}
