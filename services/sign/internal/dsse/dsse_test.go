package dsse

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func keys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte("a"))
	p256, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"ed25519": ed25519.NewKeyFromSeed(seed[:]), "p256": p256}
}

// TestPAE is the example of the DSSE protocol.
func TestPAE(t *testing.T) {
	want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"
	if got := string(PAE("http://example.com/HelloWorld", []byte("hello world"))); got != want {
		t.Errorf("PAE is %q, want %q", got, want)
	}
}

func TestSealAndOpen(t *testing.T) {
	payload := []byte(`{"a":1}`)
	for name, key := range keys(t) {
		t.Run(name, func(t *testing.T) {
			envelope, err := Seal(key, payload)
			if err != nil {
				t.Fatal(err)
			}
			bundle, err := Bundle(envelope)
			if err != nil {
				t.Fatal(err)
			}
			for _, data := range [][]byte{envelope, bundle} {
				if got, err := Open(key.Public(), data); err != nil || !bytes.Equal(got, payload) {
					t.Errorf("Open(%s) = %q, %v", data, got, err)
				}
			}
			edit := func(old, new string) []byte {
				if !bytes.Contains(envelope, []byte(old)) {
					t.Fatalf("no %q in %s", old, envelope)
				}
				return bytes.Replace(envelope, []byte(old), []byte(new), 1)
			}
			for what, bad := range map[string][]byte{
				"payload":       edit(base64.StdEncoding.EncodeToString(payload), base64.StdEncoding.EncodeToString([]byte(`{"a":2}`))),
				"payload type":  edit("vnd.in-toto", "vnd.in-tutu"),
				"signature":     edit(`"sig":"`, `"sig":"AAAA`),
				"no signatures": edit(`"signatures":[`, `"x":[`),
				"not JSON":      envelope[1:],
				"too large":     append(bytes.Repeat([]byte(" "), MaxEnvelope), envelope...),
				"empty bundle":  []byte(`{"dsseEnvelope":{}}`),
				"nothing":       nil,
			} {
				if got, err := Open(key.Public(), bad); err == nil {
					t.Errorf("%s: accepted, payload %q", what, got)
				}
			}
		})
	}
	all := keys(t)
	envelope, err := Seal(all["ed25519"], payload)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(all["p256"].Public(), envelope); err == nil {
		t.Error("accepted with another key")
	}
}

// TestBundleShape pins what Sigstore clients parse.
func TestBundleShape(t *testing.T) {
	envelope, err := Seal(keys(t)["ed25519"], []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := Bundle(envelope)
	if err != nil {
		t.Fatal(err)
	}
	id, err := KeyID(keys(t)["ed25519"].Public())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"` + id +
		`"}},"dsseEnvelope":` + string(envelope) + `}`
	if string(bundle) != want {
		t.Errorf("bundle is\n%s\nwant\n%s", bundle, want)
	}
	var e Envelope
	if err := json.Unmarshal(envelope, &e); err != nil {
		t.Fatal(err)
	}
	e.Signatures = append(e.Signatures, e.Signatures[0])
	two, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Bundle(two); err == nil {
		t.Error("a bundle with two signatures was made")
	}
}

func TestKeyID(t *testing.T) {
	for name, key := range keys(t) {
		public, err := ssh.NewPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := KeyID(key.Public()); err != nil || got != ssh.FingerprintSHA256(public) || !strings.HasPrefix(got, "SHA256:") {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, public := range []crypto.PublicKey{nil, &p384.PublicKey, &rsa.PublicKey{}, ed25519.PublicKey("short")} {
		if id, err := KeyID(public); !errors.Is(err, ErrKeyType) {
			t.Errorf("KeyID(%T) = %q, %v", public, id, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	key := keys(f)["ed25519"]
	envelope, err := Seal(key, []byte("{}"))
	if err != nil {
		f.Fatal(err)
	}
	bundle, err := Bundle(envelope)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(envelope)
	f.Add(bundle)
	f.Fuzz(func(t *testing.T, data []byte) {
		if payload, err := Open(key.Public(), data); err == nil && string(payload) != "{}" {
			t.Errorf("opened %q, which was never signed", payload)
		}
	})
}
