package dsse

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"assize.dev/services/sign/internal/dsse/dssetest"
)

func signers(t testing.TB) map[string]dssetest.Signer {
	return map[string]dssetest.Signer{
		"ed25519": dssetest.Ed25519("a"), "p256": dssetest.P256(t, "a"), "mldsa": dssetest.MLDSA(t, "a"),
	}
}

func seal(t testing.TB, payload string, signers ...dssetest.Signer) []byte {
	t.Helper()
	envelope, err := Seal(context.Background(), PayloadType, []byte(payload), signers...)
	if err != nil {
		t.Fatal(err)
	}
	return envelope
}

// edited is an envelope after a change to its signatures.
func edited(t testing.TB, envelope []byte, edit func([]Signature) []Signature) []byte {
	t.Helper()
	e, err := Parse(envelope)
	if err != nil {
		t.Fatal(err)
	}
	e.Signatures = edit(e.Signatures)
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestPAE is the example of the DSSE protocol.
func TestPAE(t *testing.T) {
	want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"
	if got := string(PAE("http://example.com/HelloWorld", []byte("hello world"))); got != want {
		t.Errorf("PAE is %q, want %q", got, want)
	}
}

func TestSealAndOpen(t *testing.T) {
	const payload = `{"a":1}`
	for name, key := range signers(t) {
		t.Run(name, func(t *testing.T) {
			envelope := seal(t, payload, key)
			if !bytes.Equal(envelope, seal(t, payload, key)) {
				t.Error("the same key and payload gave other bytes")
			}
			bundle, err := Bundle(envelope)
			if err != nil {
				t.Fatal(err)
			}
			for _, data := range [][]byte{envelope, bundle} {
				if got, err := Open(key.Public(), data); err != nil || string(got) != payload {
					t.Errorf("Open(%s) = %q, %v", data, got, err)
				}
				for other, key := range map[string]dssetest.Signer{
					"ed25519": dssetest.Ed25519("b"), "p256": dssetest.P256(t, "b"), "mldsa": dssetest.MLDSA(t, "b"),
				} {
					if got, err := Open(key.Public(), data); !errors.Is(err, ErrThreshold) {
						t.Errorf("opened with another %s key: %q, %v", other, got, err)
					}
				}
			}
			for at := range envelope {
				flipped := slices.Clone(envelope)
				flipped[at] ^= 1
				if got, err := Open(key.Public(), flipped); err == nil && string(got) != payload {
					t.Fatalf("byte %d changed: opened %q", at, got)
				}
			}
		})
	}
}

func TestSealRefuses(t *testing.T) {
	a, b := dssetest.Ed25519("a"), dssetest.Ed25519("b")
	out := errors.New("token is gone")
	for name, signers := range map[string][]Signer{
		"nobody":           nil,
		"one key twice":    {a, b, a},
		"too many":         slices.Repeat([]Signer{a}, maxSignatures+1),
		"a key of no kind": {stub{public: "x"}},
	} {
		if envelope, err := Seal(t.Context(), PayloadType, nil, signers...); err == nil {
			t.Errorf("%s: sealed %s", name, envelope)
		}
	}
	if _, err := Seal[Signer](t.Context(), PayloadType, nil, a, stub{b.Public(), nil, out}); !errors.Is(err, out) {
		t.Errorf("a signer that fails: %v", err)
	}
	// The key behind a reference was replaced, and nobody told us.
	signature, err := b.Sign(t.Context(), PAE(PayloadType, nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Seal(t.Context(), PayloadType, nil, stub{a.Public(), signature, nil}); err == nil || !strings.Contains(err.Error(), "not by this key") {
		t.Errorf("a signature by another key: %v", err)
	}
	if _, err := Seal(t.Context(), PayloadType, bytes.Repeat([]byte("x"), MaxEnvelope), a); !errors.Is(err, ErrTooLarge) {
		t.Errorf("sealed more than Open takes: %v", err)
	}
}

type stub struct {
	public    crypto.PublicKey
	signature []byte
	err       error
}

func (s stub) Public() crypto.PublicKey                     { return s.public }
func (s stub) Sign(context.Context, []byte) ([]byte, error) { return s.signature, s.err }

// TestThreshold: distinct keys count, whatever the envelope calls them.
func TestThreshold(t *testing.T) {
	classical, quantum, stranger := dssetest.Ed25519("a"), dssetest.MLDSA(t, "a"), dssetest.P256(t, "a")
	both := []crypto.PublicKey{classical.Public(), quantum.Public()}
	hybrid := seal(t, "{}", classical, quantum)
	rename := func(id string) func([]Signature) []Signature {
		return func(s []Signature) []Signature {
			for i := range s {
				s[i].KeyID = id
			}
			return s
		}
	}
	twice := func(s []Signature) []Signature { return append(s, s...) }
	first := func(s []Signature) []Signature { return s[:1] }
	for _, c := range []struct {
		name     string
		envelope []byte
		v        Verifiers
		ok       bool
	}{
		{"both of two", hybrid, Verifiers{Keys: both, Threshold: 2}, true},
		{"one of two", hybrid, Verifiers{Keys: both, Threshold: 1}, true},
		{"bundle, one of two", bundleOf(t, hybrid), Verifiers{Keys: both, Threshold: 1}, true},
		{"bundle, both of two", bundleOf(t, hybrid), Verifiers{Keys: both, Threshold: 2}, false},
		{"the other order", edited(t, hybrid, func(s []Signature) []Signature { slices.Reverse(s); return s }), Verifiers{Keys: both, Threshold: 2}, true},
		{"a stranger signed too", seal(t, "{}", stranger, classical, quantum), Verifiers{Keys: both, Threshold: 2}, true},
		{"names say nothing", edited(t, hybrid, rename("")), Verifiers{Keys: both, Threshold: 2}, true},
		{"names lie", edited(t, hybrid, rename("SHA256:x")), Verifiers{Keys: both, Threshold: 2}, true},

		// A client that knows the classical key only accepts what is left,
		// by design: it could not have checked more.
		{"stripped, classical client", edited(t, hybrid, first), Verifiers{Keys: both[:1], Threshold: 1}, true},
		{"stripped, threshold two", edited(t, hybrid, first), Verifiers{Keys: both, Threshold: 2}, false},
		{"stripped and doubled", edited(t, edited(t, hybrid, first), twice), Verifiers{Keys: both, Threshold: 2}, false},
		{"doubled under another name", edited(t, edited(t, hybrid, first), func(s []Signature) []Signature {
			id, err := KeyID(quantum.Public())
			if err != nil {
				t.Fatal(err)
			}
			return append(s, Signature{id, s[0].Sig})
		}), Verifiers{Keys: both, Threshold: 2}, false},
		{"one key named twice", edited(t, hybrid, first), Verifiers{Keys: []crypto.PublicKey{both[0], both[0], both[1]}, Threshold: 2}, false},
		{"stranger in place of one", seal(t, "{}", classical, stranger), Verifiers{Keys: both, Threshold: 2}, false},
		{"another payload type", hybrid, Verifiers{Keys: both, Threshold: 1, PayloadType: "text/plain"}, false},

		{"threshold zero", hybrid, Verifiers{Keys: both}, false},
		{"threshold beyond reach", hybrid, Verifiers{Keys: both, Threshold: 3}, false},
		{"threshold met by one key twice", hybrid, Verifiers{Keys: []crypto.PublicKey{both[0], both[0]}, Threshold: 2}, false},
		{"no keys", hybrid, Verifiers{Threshold: 1}, false},
		{"a key of no kind", hybrid, Verifiers{Keys: []crypto.PublicKey{both[0], "x"}, Threshold: 1}, false},
	} {
		if payload, err := c.v.Open(c.envelope); (err == nil) != c.ok || c.ok && string(payload) != "{}" {
			t.Errorf("%s: %q, %v", c.name, payload, err)
		}
	}
}

func bundleOf(t testing.TB, envelope []byte) []byte {
	t.Helper()
	bundle, err := Bundle(envelope)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// TestBundleShape pins what Sigstore clients parse: one signature, the
// classical one, and the envelope as it is.
func TestBundleShape(t *testing.T) {
	classical := dssetest.Ed25519("a")
	id, err := KeyID(classical.Public())
	if err != nil {
		t.Fatal(err)
	}
	alone := seal(t, "{}", classical)
	want := `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"` + id +
		`"}},"dsseEnvelope":` + string(alone) + `}`
	for _, envelope := range [][]byte{alone, seal(t, "{}", classical, dssetest.MLDSA(t, "a"))} {
		if bundle := bundleOf(t, envelope); string(bundle) != want {
			t.Errorf("bundle is\n%s\nwant\n%s", bundle, want)
		}
	}
	if bundle, err := Bundle([]byte("{}")); err == nil {
		t.Errorf("bundle of nothing: %s", bundle)
	}
}

func TestMessageBundleShape(t *testing.T) {
	bundle, err := MessageBundle("SHA256:k", [32]byte{1}, []byte{2})
	want := `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"SHA256:k"}},` +
		`"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},"signature":"Ag=="}}`
	if err != nil || string(bundle) != want {
		t.Errorf("bundle is\n%s, %v\nwant\n%s", bundle, err, want)
	}
}
