package signer

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"filippo.io/age"

	"assize.dev/shared/config"
)

// TestWorkFactor opens what would cost more than is spent.
func TestWorkFactor(t *testing.T) {
	data := ageFile(t, pkcs8(t, edKey("a")), false, byPassphrase(t, "p", 10))
	dear := bytes.Replace(data, []byte(" 10\n"), []byte(" 21\n"), 1)
	if bytes.Equal(data, dear) {
		t.Fatal("the header has changed its form")
	}
	if _, err := Open(t.Context(), write(t, "k", dear), Options{Passphrase: "p"}); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("work factor 21: %v", err)
	}
}

func TestEncrypt(t *testing.T) {
	key := edKey("a")
	plain := pkcs8(t, key)
	x25519, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	identities := write(t, "identities", []byte(x25519.String()+"\n"+hybrid.String()+"\n"))
	for name, test := range map[string]struct {
		passphrase config.Secret
		recipients []string
	}{
		"passphrase": {passphrase: "correct horse"},
		"X25519":     {recipients: []string{x25519.Recipient().String()}},
		"hybrid":     {recipients: []string{hybrid.Recipient().String()}},
	} {
		data, err := Encrypt(plain, test.passphrase, test.recipients)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if bytes.Contains(data, []byte("PRIVATE KEY")) || !encrypted(data) {
			t.Errorf("%s: not encrypted: %.60q", name, data)
		}
		s, err := Open(t.Context(), write(t, "k", data), Options{Passphrase: "correct horse", Identity: identities})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkSigner(t, s, key.Public())
	}
	for name, test := range map[string]struct {
		passphrase config.Secret
		recipients []string
	}{
		"nobody":      {},
		"both":        {"p", []string{x25519.Recipient().String()}},
		"mixed kinds": {"", []string{x25519.Recipient().String(), hybrid.Recipient().String()}},
		"an identity": {"", []string{x25519.String()}},
		"two in one":  {"", []string{x25519.Recipient().String() + "\n" + x25519.Recipient().String()}},
		"words":       {"", []string{"jo@example.test"}},
	} {
		data, err := Encrypt(plain, test.passphrase, test.recipients)
		if err == nil || strings.Contains(err.Error(), "AGE-SECRET") {
			t.Errorf("%s: %.40q, %v", name, data, err)
		}
	}
}

// TestAgeOpensIt has the age program open what Encrypt wrote.
func TestAgeOpensIt(t *testing.T) {
	program, err := exec.LookPath("age")
	if err != nil {
		t.Skip("age is not installed")
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	plain := pkcs8(t, edKey("a"))
	data, err := Encrypt(plain, "", []string{id.Recipient().String()})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "-d", "-i", write(t, "id", []byte(id.String())), write(t, "k", data)).Output()
	if err != nil || !bytes.Equal(out, plain) {
		t.Errorf("age: %v, %d bytes", err, len(out))
	}
}
