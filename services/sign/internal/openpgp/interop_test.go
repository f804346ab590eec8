package openpgp

import (
	"bytes"
	"crypto"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"assize.dev/shared/realdata"
)

// TestAgainstSequoia asks Sequoia's sqv about every sample.
func TestAgainstSequoia(t *testing.T) {
	sqv, err := exec.LookPath("sqv")
	if err != nil {
		t.Skip("sqv is not installed")
	}
	dir := t.TempDir()
	path := func(name string, data []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			out, err := exec.Command(sqv, "--keyring", path("ring", s.ring), path("sig", s.sig), path("artifact", artifact)).CombinedOutput()
			want := strings.HasPrefix(s.want, "valid")
			switch verdict, _, _ := strings.Cut(s.sqv, ":"); verdict {
			case "accept":
				want = true
			case "reject":
				want = false
			}
			if got := err == nil; got != want {
				t.Errorf("sqv accepts: %v, want %v\n%s", got, want, out)
			}
		})
	}
}

// TestGoCrypto verifies what go-crypto makes, for each kind of key.
func TestGoCrypto(t *testing.T) {
	clock := func() time.Time { return at(500) }
	configs := map[string]*packet.Config{
		"RSA":          {Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048},
		"EdDSA":        {Algorithm: packet.PubKeyAlgoEdDSA},
		"Ed25519":      {Algorithm: packet.PubKeyAlgoEd25519},
		"Ed448":        {Algorithm: packet.PubKeyAlgoEd448},
		"P-256":        {Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveNistP256},
		"P-384":        {Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveNistP384},
		"P-521":        {Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveNistP521},
		"Brainpool":    {Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveBrainpoolP256},
		"v6 Ed25519":   {V6Keys: true, Algorithm: packet.PubKeyAlgoEd25519},
		"v6 Ed448":     {V6Keys: true, Algorithm: packet.PubKeyAlgoEd448},
		"v6 P-256":     {V6Keys: true, Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveNistP256},
		"v6 ML-DSA-65": {V6Keys: true, Algorithm: packet.PubKeyAlgoMldsa65Ed25519},
	}
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			config.Time = clock
			key, err := openpgp.NewEntity("Name", "", "a@example.org", config)
			if err != nil {
				t.Fatal(err)
			}
			if err := key.AddSigningSubkey(config); err != nil {
				t.Fatal(err)
			}
			ring := parse(t, public(t, key))
			check1 := func(sig []byte, want string) {
				t.Helper()
				verify1(t, ring, sig, artifact, want)
				verify1(t, ring, sig, artifact[1:], "does not match")
			}
			var sig bytes.Buffer
			if err := openpgp.DetachSign(&sig, []*openpgp.Entity{key}, bytes.NewReader(artifact), config); err != nil {
				t.Fatal(err)
			}
			check1(sig.Bytes(), "valid")
			sig.Reset()
			if err := openpgp.ArmoredDetachSign(&sig, []*openpgp.Entity{key}, bytes.NewReader(artifact), &openpgp.SignParams{TextSig: true, Config: config}); err != nil {
				t.Fatal(err)
			}
			check1(sig.Bytes(), "valid: how lines end")
			if results := verify(t, ring, sig.Bytes(), artifact); results[0].Signer != fingerprintOf(key) {
				t.Errorf("signer %s, want %s", results[0].Signer, fingerprintOf(key))
			}

			var message bytes.Buffer
			w, err := openpgp.Sign(&message, []*openpgp.Entity{key}, nil, config)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(artifact)
			w.Close()
			inline1(t, ring, message.Bytes(), "valid")
			inline1(t, ring, bytes.Replace(message.Bytes(), []byte("first"), []byte("First"), 1), "does not match")

			signing, ok := key.SigningKey(clock(), config)
			if !ok {
				t.Fatal("no signing key")
			}
			message.Reset()
			if w, err = clearsign.Encode(&message, signing.PrivateKey, config); err != nil {
				t.Fatal(err)
			}
			w.Write([]byte("one\n- two \n\nthree"))
			w.Close()
			inline1(t, ring, message.Bytes(), "valid: how lines end")
			inline1(t, ring, bytes.Replace(message.Bytes(), []byte("three"), []byte("four"), 1), "does not match")
		})
	}
}

// TestGoCryptoRejects: what that library makes and nobody should accept.
func TestGoCryptoRejects(t *testing.T) {
	for name, config := range map[string]*packet.Config{
		"secp256k1": {Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveSecP256k1},
	} {
		config.Time = func() time.Time { return at(500) }
		key, err := openpgp.NewEntity("Name", "", "", config)
		if err != nil {
			t.Fatal(err)
		}
		ring := parse(t, public(t, key))
		if ring.Len() != 0 || len(ring.Skipped()) == 0 {
			t.Errorf("%s: keyring of %d, skipped %q", name, ring.Len(), ring.Skipped())
		}
	}
}

func public(t testing.TB, key *openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := key.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func fingerprintOf(key *openpgp.Entity) string {
	var b bytes.Buffer
	for _, x := range key.PrimaryKey.Fingerprint {
		const digits = "0123456789ABCDEF"
		b.WriteByte(digits[x>>4])
		b.WriteByte(digits[x&15])
	}
	return b.String()
}

func inline1(t testing.TB, ring *Keyring, artifact []byte, want string) {
	t.Helper()
	results, err := VerifyInline(content(artifact), ring, received)
	if err != nil || len(results) != 1 {
		t.Fatalf("%+v, error %v", results, err)
	}
	check(t, results[0], want)
}

// TestVersion6: a signature of one version by a key of the other is refused,
// and so is one whose salt was changed.
func TestVersion6(t *testing.T) {
	config := &packet.Config{V6Keys: true, Algorithm: packet.PubKeyAlgoEd25519, Time: func() time.Time { return at(500) }}
	key, err := openpgp.NewEntityWithoutId(config)
	if err != nil {
		t.Fatal(err)
	}
	ring := parse(t, public(t, key))
	if got := ring.Fingerprints(); len(got) != 1 || len(got[0]) != 64 {
		t.Fatalf("fingerprints %q", got)
	}
	sig := &packet.Signature{Version: 6, SigType: packet.SigTypeBinary, PubKeyAlgo: packet.PubKeyAlgoEd25519, Hash: crypto.SHA512, CreationTime: at(600)}
	h, err := sig.PrepareSign(config)
	if err != nil {
		t.Fatal(err)
	}
	h.Write(artifact)
	if err := sig.Sign(h, key.PrivateKey, config); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := sig.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	verify1(t, ring, b.Bytes(), artifact, "valid")
	salted := bytes.Replace(b.Bytes(), sig.Salt(), append([]byte{sig.Salt()[0] ^ 1}, sig.Salt()[1:]...), 1)
	verify1(t, ring, salted, artifact, "does not match")
	p, _, err := cutPacket(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parseSignature(p.body)
	if err != nil {
		t.Fatal(err)
	}
	if err := sameVersion(parsed, &packet.PublicKey{Version: 4}); err == nil {
		t.Error("version 6 signature by a version 4 key")
	}
}

// TestGnuPG verifies what gpg makes; see testdata/gpg.
func TestGnuPG(t *testing.T) {
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("testdata/gpg", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	ring, err := LoadKeyring("testdata/gpg/ring.gpg")
	if err != nil || ring.Len() != 2 || len(ring.Skipped()) != 0 {
		t.Fatalf("%d certificates, skipped %q, error %v", ring.Len(), ring.Skipped(), err)
	}
	for name, results := range map[string]int{"text.sig": 1, "two.asc": 2} {
		got := verify(t, ring, read(name), read("text.txt"))
		if len(got) != results {
			t.Errorf("%s: %d results", name, len(got))
		}
		for _, r := range got {
			check(t, r, map[string]string{"text.sig": "valid: how lines end", "two.asc": "valid"}[name])
		}
	}
	for name, want := range map[string]string{
		"clear.asc":         "valid: how lines end",
		"clear-subkey.asc":  "valid: how lines end",
		"message-none.gpg":  "valid",
		"message-zip.gpg":   "valid",
		"message-zlib.gpg":  "valid",
		"message-bzip2.gpg": "valid",
		"message-two.asc":   "valid",
		"encrypted.gpg":     "encrypted",
	} {
		results, err := VerifyInline(content(read(name)), ring, received)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			check(t, r, want)
		}
		if len(results) != map[bool]int{false: 1, true: 2}[name == "message-two.asc"] {
			t.Errorf("%s: %d results", name, len(results))
		}
	}
}

// TestSharedSamples reads signatures made with gpg, and what is to become of
// them, from the project's test data.
func TestSharedSamples(t *testing.T) {
	dir := filepath.Join(realdata.Dir(t), "signatures", "openpgp")
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(manifest)) {
		var s struct{ Signature, Artifact, Keyring, Want, Why string }
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		t.Run(s.Signature+" "+s.Artifact, func(t *testing.T) {
			ring, err := LoadKeyring(filepath.Join(dir, s.Keyring))
			if err != nil {
				t.Fatal(err)
			}
			var files [2][]byte
			for i, name := range []string{s.Signature, s.Artifact} {
				if files[i], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			results, err := VerifyDetached(content(files[1]), files[0], ring, time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				if r.Valid != (s.Want == "accept") {
					t.Errorf("%+v, want %s: %s", r, s.Want, s.Why)
				}
			}
		})
	}
}
