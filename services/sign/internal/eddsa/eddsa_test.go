package eddsa

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
)

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func valid(t *testing.T, public ed25519.PublicKey, message, signature []byte) bool {
	t.Helper()
	v, err := NewVerifier(public, signature)
	if err != nil {
		return false
	}
	for len(message) > 0 {
		n := min(len(message), 7)
		v.Write(message[:n])
		message = message[n:]
	}
	return v.Valid()
}

// TestAgreesWithStandardLibrary flips every bit of a signature and of a key.
func TestAgreesWithStandardLibrary(t *testing.T) {
	k, message := key("a"), []byte("a message of some length")
	public, signature := k.Public().(ed25519.PublicKey), ed25519.Sign(k, message)
	if !valid(t, public, message, signature) {
		t.Fatal("a good signature is refused")
	}
	check := func(public, message, signature []byte) {
		t.Helper()
		if got, want := valid(t, public, message, signature), ed25519.Verify(public, message, signature); got != want {
			t.Errorf("key %x, signature %x: %v, crypto/ed25519 says %v", public, signature, got, want)
		}
	}
	for bit := range 8 * len(signature) {
		bad := bytes.Clone(signature)
		bad[bit/8] ^= 1 << (bit % 8)
		check(public, message, bad)
		if bit < 8*len(public) {
			other := bytes.Clone(public)
			other[bit/8] ^= 1 << (bit % 8)
			check(other, message, signature)
		}
	}
	check(public, message[1:], signature)
	check(public, nil, signature)
	check(public, message, append(signature[:32:32], addOrder(signature[32:])...)) // S + group order
	zero := make([]byte, 32)
	identity := append([]byte{1}, zero[1:]...)
	for i := range 16 { // forgeries under a weak key
		check(zero, []byte{byte(i)}, append(identity[:32:32], zero...))
	}
}

// addOrder adds the order of the group to a little-endian scalar, giving the
// other number that is the same scalar.
func addOrder(s []byte) []byte {
	order, err := hex.DecodeString("edd3f55c1a631258d69cf7a2def9de14" + strings.Repeat("00", 15) + "10")
	if err != nil {
		panic(err)
	}
	sum, carry := make([]byte, 32), 0
	for i := range sum {
		carry += int(s[i]) + int(order[i])
		sum[i] = byte(carry)
		carry >>= 8
	}
	return sum
}

func TestCheckKey(t *testing.T) {
	// The eight points of small order.
	for _, point := range []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	} {
		b, err := hex.DecodeString(point)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckKey(b); err == nil || !strings.Contains(err.Error(), "weak") {
			t.Errorf("%s: %v", point, err)
		}
	}
	if err := CheckKey(key("a").Public().(ed25519.PublicKey)); err != nil {
		t.Error(err)
	}
	for _, bad := range [][]byte{nil, make([]byte, 31), append([]byte{2}, make([]byte, 31)...)} {
		if err := CheckKey(bad); err == nil || strings.Contains(err.Error(), "weak") {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

func FuzzVerifier(f *testing.F) {
	k := key("a")
	f.Add([]byte(k.Public().(ed25519.PublicKey)), []byte("m"), ed25519.Sign(k, []byte("m")))
	f.Add(make([]byte, 32), []byte("m"), make([]byte, 64))
	f.Fuzz(func(t *testing.T, public, message, signature []byte) {
		if len(public) != ed25519.PublicKeySize {
			return
		}
		if got, want := valid(t, public, message, signature), ed25519.Verify(public, message, signature); got != want {
			t.Errorf("key %x, message %x, signature %x: %v, crypto/ed25519 says %v", public, message, signature, got, want)
		}
	})
}
