package signer

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"testing"
	"time"

	"filippo.io/mldsa"

	"assize.dev/services/sign/internal/keys"
)

// BenchmarkFile compares File with the bare primitive over a message as long
// as a verdict's. Both run in turns, and the fastest of each counts, so that a
// busy machine does not.
func BenchmarkFile(b *testing.B) {
	message := bytes.Repeat([]byte("x"), 2048)
	primitive := func(key crypto.Signer) ([]byte, error) {
		switch key := key.(type) {
		case *ecdsa.PrivateKey:
			sum := sha256.Sum256(message)
			return key.Sign(nil, sum[:], crypto.SHA256)
		case *mldsa.PrivateKey:
			return key.SignDeterministic(message, nil)
		}
		return key.Sign(nil, message, crypto.Hash(0))
	}
	for name, key := range map[string]crypto.Signer{"ed25519": edKey("a"), "p256": p256Key(b, "a"), "ml-dsa-65": mldsaKey(b, "a")} {
		b.Run(name, func(b *testing.B) {
			k, err := keys.FromSigner(key)
			if err != nil {
				b.Fatal(err)
			}
			s := NewFile(k)
			ours, bare := time.Hour, time.Hour
			for b.Loop() {
				start := time.Now()
				if _, err := primitive(key); err != nil {
					b.Fatal(err)
				}
				between := time.Now()
				if _, err := s.Sign(b.Context(), message); err != nil {
					b.Fatal(err)
				}
				ours, bare = min(ours, time.Since(between)), min(bare, between.Sub(start))
			}
			b.ReportMetric(1/ours.Seconds(), "signatures/s")
			b.ReportMetric(ours.Seconds()/bare.Seconds(), "times-bare")
		})
	}
}
