package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"github.com/miekg/pkcs11"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/common"
)

func TestParseReference(t *testing.T) {
	seven := uint(7)
	for text, want := range map[string]reference{
		"t/k":                        {token: "t", key: "k"},
		"a%20b%2F/k%3F":              {token: "a b/", key: "k?"},
		"t/?id=0aFF":                 {token: "t", id: []byte{10, 255}},
		"/k?slot=7":                  {key: "k", slot: &seven},
		"t/k?module=/lib/x.so&id=01": {token: "t", key: "k", id: []byte{1}, module: "/lib/x.so"},
	} {
		got, err := parseReference(text)
		if err != nil || got.token != want.token || got.key != want.key || !bytes.Equal(got.id, want.id) || got.module != want.module ||
			(got.slot == nil) != (want.slot == nil) || got.slot != nil && *got.slot != *want.slot {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "t", "t/", "/k", "t/k/x", "t/k?", "t/k?id=", "t/k?id=x", "t/k?id=1", "t/k?id=01&id=02", "t/k?slot=-1", "t/k?slot=x",
		"t/k?pin=1234", "%zz/k", "t/%zz", "t/k?%zz", "/?slot=7",
	} {
		if got, err := parseReference(text); (err == nil) != (text == "t/k?") {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	f.Add("t/k")
	f.Add("a%20b/k?id=0a&slot=7&module=/x")
	f.Add("?")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseReference(text)
		if err == nil && (r.token == "" && r.slot == nil || r.key == "" && r.id == nil) {
			t.Errorf("%q names no key: %+v", text, r)
		}
	})
}

func number(n uint64) []byte { return binary.NativeEndian.AppendUint64(nil, n) }

func TestKindOf(t *testing.T) {
	for name, test := range map[string]struct {
		keyType, params []byte
		want            kind
	}{
		"ed25519":        {number(ckkECEdwards), paramsEd25519, ed25519Kind},
		"ed25519 OID":    {number(ckkECEdwards), ed25519Aliases[1], ed25519Kind},
		"GNU's OID":      {number(ckkECEdwards), ed25519Aliases[2], ed25519Kind},
		"p256":           {number(pkcs11.CKK_EC), paramsP256, p256Kind},
		"p256 on 32 bit": {binary.NativeEndian.AppendUint32(nil, pkcs11.CKK_EC), paramsP256, p256Kind},
		"ed448":          {number(ckkECEdwards), []byte("\x13\x0aedwards448"), 0},
		"p384":           {number(pkcs11.CKK_EC), []byte("\x06\x05\x2b\x81\x04\x00\x22"), 0},
		"crossed":        {number(pkcs11.CKK_EC), paramsEd25519, 0},
		"rsa":            {number(pkcs11.CKK_RSA), nil, 0},
		"no number":      {[]byte{3}, paramsP256, 0},
		"nothing":        {nil, nil, 0},
	} {
		if got, err := kindOf(test.keyType, test.params); got != test.want || (err == nil) != (test.want != 0) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestParsePoint(t *testing.T) {
	ed, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	wrapped := func(b []byte) []byte { return append([]byte{4, byte(len(b))}, b...) }
	for name, test := range map[string]struct {
		kind kind
		data []byte
		want interface{ Equal(crypto.PublicKey) bool }
	}{
		"ed25519":         {ed25519Kind, wrapped(ed), ed},
		"ed25519 raw":     {ed25519Kind, ed, ed},
		"p256":            {p256Kind, wrapped(point), &private.PublicKey},
		"p256 raw":        {p256Kind, point, &private.PublicKey},
		"p256 elsewhere":  {p256Kind, wrapped(append(bytes.Clone(point[:64]), point[64]^1)), nil},
		"p256 compressed": {p256Kind, wrapped(point[:33]), nil},
		"cut":             {ed25519Kind, wrapped(ed)[:33], nil},
		"of the other":    {ed25519Kind, wrapped(point), nil},
		"no octet string": {ed25519Kind, append([]byte{3, 32}, ed...), nil},
		"empty":           {p256Kind, nil, nil},
	} {
		public, err := parsePoint(test.kind, test.data)
		if (err == nil) != (test.want != nil) || test.want != nil && !test.want.Equal(public) {
			t.Errorf("%s: %v, %v", name, public, err)
		}
	}
}

func FuzzParsePoint(f *testing.F) {
	f.Add(true, make([]byte, 34))
	f.Add(false, append([]byte{4, 65, 4}, make([]byte, 64)...))
	f.Fuzz(func(t *testing.T, edwards bool, data []byte) {
		k := p256Kind
		if edwards {
			k = ed25519Kind
		}
		if public, err := parsePoint(k, data); err == nil && public == nil {
			t.Errorf("%x is read as nothing", data)
		}
	})
}

func TestEncodeECDSA(t *testing.T) {
	high := bytes.Repeat([]byte{0xff}, 32)
	low := append(make([]byte, 31), 1)
	got, err := encodeECDSA(append(bytes.Clone(high), low...))
	want := append(append([]byte{0x30, 0x26, 2, 33, 0}, high...), 2, 1, 1)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%x, %v, want %x", got, err, want)
	}
	for _, raw := range [][]byte{nil, make([]byte, 64), append(make([]byte, 32), high...), make([]byte, 63), make([]byte, 96)} {
		if got, err := encodeECDSA(raw); err == nil {
			t.Errorf("%x becomes %x", raw, got)
		}
	}
}

// TestCalls are those that the handler would not survive, or not understand.
func TestCalls(t *testing.T) {
	const init = `"initOptions":{"protocolVersion":"v1","keyResourceID":"t/k"}`
	for name, args := range map[string][]string{
		"none":              {program},
		"one":               {program, "v1"},
		"another version":   {program, "v2", `{` + init + `,"methodName":"defaultAlgorithm"}`},
		"no JSON":           {program, "v1", `{`},
		"null":              {program, "v1", `null`},
		"no init options":   {program, "v1", `{"methodName":"defaultAlgorithm"}`},
		"no method":         {program, "v1", `{` + init + `}`},
		"unknown method":    {program, "v1", `{` + init + `,"methodName":"burn"}`},
		"create, no args":   {program, "v1", `{` + init + `,"methodName":"createKey"}`},
		"sign, no args":     {program, "v1", `{` + init + `,"methodName":"signMessage"}`},
		"sign, no options":  {program, "v1", `{` + init + `,"methodName":"signMessage","signMessage":{}}`},
		"public, no args":   {program, "v1", `{` + init + `,"methodName":"publicKey"}`},
		"verify, no args":   {program, "v1", `{` + init + `,"methodName":"verifySignature"}`},
		"verify, no option": {program, "v1", `{` + init + `,"methodName":"verifySignature","verifySignature":{}}`},
	} {
		var out bytes.Buffer
		err := run(args, strings.NewReader(""), &out)
		var answer common.PluginResp
		if jsonErr := json.Unmarshal(out.Bytes(), &answer); err == nil || jsonErr != nil || answer.ErrorMessage == "" {
			t.Errorf("%s: %v, answer %s", name, err, out.Bytes())
		}
	}
	var out bytes.Buffer
	if err := run([]string{program, "v1", `{` + init + `,"methodName":"defaultAlgorithm"}`}, nil, &out); err != nil || !strings.Contains(out.String(), algorithmP256) {
		t.Errorf("%v: %s", err, out.String())
	}
}
