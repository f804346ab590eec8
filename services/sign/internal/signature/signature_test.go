package signature_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"io"
	"testing"

	_ "golang.org/x/crypto/blake2b"

	"filippo.io/mldsa"

	"assize.dev/services/sign/internal/keys"
	"assize.dev/services/sign/internal/signature"
)

// counted counts the bytes that are read.
type counted struct {
	io.ReaderAt
	n int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

const passes = 32

func TestBudget(t *testing.T) {
	artifact := bytes.Repeat([]byte("0123456789abcdef"), 40_000)
	r := &counted{ReaderAt: bytes.NewReader(artifact)}
	c := signature.NewContent(context.Background(), r, int64(len(artifact)))
	read := func() error {
		got := new(bytes.Buffer)
		_, err := io.Copy(got, c.Reader())
		if err == nil && !bytes.Equal(got.Bytes(), artifact) {
			t.Error("other bytes")
		}
		return err
	}
	if c.Reader(); r.n != 0 {
		t.Error("a reader that nobody reads from reads")
	}
	if err := c.Spend(passes + 1); !errors.Is(err, signature.ErrBudget) {
		t.Errorf("more than there is: %v", err)
	}
	if err := c.Spend(2); err != nil {
		t.Error(err)
	}
	if n, err := io.Copy(io.Discard, c.ReaderFor(passes)); n != 0 || !errors.Is(err, signature.ErrBudget) {
		t.Errorf("%d bytes for more than there is: %v", n, err)
	}
	if _, err := io.Copy(io.Discard, c.ReaderFor(3)); err != nil {
		t.Error(err)
	}
	for range passes - 5 {
		if err := read(); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := read(); !errors.Is(err, signature.ErrBudget) {
			t.Fatalf("one pass too many: %v", err)
		}
	}
	if want := int64((passes - 4) * len(artifact)); r.n != want {
		t.Errorf("read %d bytes, want %d", r.n, want)
	}
	// Digests are computed once each, however little is left.
	r.n = 0
	for range 3 {
		if err := c.Sums(crypto.SHA256, crypto.SHA512, crypto.SHA256); err != nil {
			t.Fatal(err)
		}
		for _, h := range []crypto.Hash{crypto.SHA256, crypto.BLAKE2b_512} {
			d := h.New()
			d.Write(artifact)
			if sum, err := c.Sum(h); err != nil || !bytes.Equal(sum, d.Sum(nil)) {
				t.Errorf("%v: %x, %v", h, sum, err)
			}
		}
	}
	if want := int64(2 * len(artifact)); r.n != want {
		t.Errorf("read %d bytes for digests, want %d", r.n, want)
	}
	if err := c.Spend(1); !errors.Is(err, signature.ErrBudget) {
		t.Errorf("digests gave a pass back: %v", err)
	}
}

func TestOnce(t *testing.T) {
	type one struct{ s string }
	type other struct{ s string }
	c := signature.NewContent(context.Background(), bytes.NewReader(nil), 0)
	broken, computed := errors.New("broken"), 0
	compute := func() (int, error) { computed++; return computed, nil }
	ask := func(key any, want int) {
		t.Helper()
		if got, err := signature.Once(c, key, compute); got != want || err != nil {
			t.Errorf("%v: %d, %v, want %d", key, got, err, want)
		}
	}
	if _, err := signature.Once(c, one{"a"}, func() (int, error) { return 7, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	ask(one{"a"}, 1)
	ask(one{"a"}, 1)
	ask(one{"b"}, 2)
	ask(other{"a"}, 3)
	ask(one{"a"}, 1)
}

// TestKeyFingerprint: a key is called the same here and where it is trusted.
func TestKeyFingerprint(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), nil)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), nil)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(nil, 2048)
	if err != nil {
		t.Fatal(err)
	}
	m, err := mldsa.GenerateKey(mldsa.MLDSA65())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, public := range []crypto.PublicKey{ed25519.NewKeyFromSeed(make([]byte, 32)).Public(), p256.Public(), p384.Public(), rsaKey.Public(), m.PublicKey()} {
		got := signature.KeyFingerprint(public)
		if got != (keys.PublicKey{Key: public}).Fingerprint() || len(got) != 64 || seen[got] {
			t.Errorf("%T: %q", public, got)
		}
		seen[got] = true
	}
	// The SHA-256 of RFC 8032's first public key.
	ed := ed25519.PublicKey("\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a")
	if got := signature.KeyFingerprint(ed); got != "21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9" {
		t.Error(got)
	}
	for _, none := range []crypto.PublicKey{nil, "key", 7} {
		if got := signature.KeyFingerprint(none); got != "" {
			t.Errorf("%v: %q", none, got)
		}
	}
}
