package openpgp

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"testing"
	"time"

	"assize.dev/services/sign/internal/signature"
)

// BenchmarkVerify compares a verification with the hash and the mathematics
// that nobody can do without, in the same run; times-raw is how many times as
// long ours takes.
func BenchmarkVerify(b *testing.B) {
	sizes := map[string]int{"16KiB": 16 << 10, "64MiB": 64 << 20}
	for _, size := range []string{"16KiB", "64MiB"} {
		data := make([]byte, sizes[size])
		for name, k := range map[string]*testKey{"ed25519": edKey("signer", day0), "rsa2048": rsaKey(b, 2048, day0)} {
			b.Run(name+"/"+size, func(b *testing.B) {
				ring := parse(b, cert{key: k}.packets())
				f := forged{created: at(500)}
				sig := k.sign(f, data)
				raw := rawVerifier(b, k, data)
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				var rawTime time.Duration
				for b.Loop() {
					c := signature.NewContent(context.Background(), bytes.NewReader(data), int64(len(data)))
					results, err := VerifyDetached(c, sig, ring, received)
					if err != nil || !results[0].Valid {
						b.Fatal(results, err)
					}
					b.StopTimer()
					start := time.Now()
					raw()
					rawTime += time.Since(start)
					b.StartTimer()
				}
				b.ReportMetric(float64(b.Elapsed())/float64(rawTime), "times-raw")
				b.ReportMetric(float64(rawTime.Nanoseconds())/float64(b.N), "raw-ns/op")
			})
		}
	}
}

// BenchmarkKeyring reads a keyring of 200 certificates.
func BenchmarkKeyring(b *testing.B) {
	var file []byte
	for i := range 200 {
		file = append(file, cert{key: edKey(string(rune('0'+i)), day0)}.packets()...)
	}
	for b.Loop() {
		if k := parse(b, file); k.Len() != 200 {
			b.Fatal(k.Len())
		}
	}
}

// rawVerifier hashes data once and verifies a signature of the digest.
func rawVerifier(b *testing.B, k *testKey, data []byte) func() {
	sum := sha256.Sum256(data)
	opts := crypto.SignerOpts(crypto.SHA256)
	if k.algo == 22 {
		opts = crypto.Hash(0)
	}
	sig, err := k.private.Sign(nil, sum[:], opts)
	if err != nil {
		b.Fatal(err)
	}
	return func() {
		sum := sha256.Sum256(data)
		ok := false
		switch public := k.private.Public().(type) {
		case ed25519.PublicKey:
			ok = ed25519.Verify(public, sum[:], sig)
		case *rsa.PublicKey:
			ok = rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], sig) == nil
		}
		if !ok {
			b.Fatal("raw verification failed")
		}
	}
}
