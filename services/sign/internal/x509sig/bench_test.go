package x509sig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"testing"
	"time"
)

// BenchmarkVerify measures the whole of a verification against what it
// cannot do without: hashing the artifact, and the four public-key operations
// of signature, chain and CRL. Both run in turns, so that the ratio holds on
// a busy machine.
func BenchmarkVerify(b *testing.B) {
	c := newTrial()
	c.a.CRLs = []*CRL{c.inter.crl(nil)}
	for _, size := range []struct {
		name  string
		bytes int
	}{{"1KiB", 1 << 10}, {"64MiB", 64 << 20}} {
		data := bytes.Repeat([]byte("0123456789abcdef"), size.bytes/16)
		plain := Detached{Signature: c.leaf.sign(data, crypto.SHA256), Chain: c.leaf.chain()}
		p7s := cmsMessage{signers: []cmsSigner{{by: c.leaf}}}.build(data)
		run := map[string]func() bool{
			"plain": func() bool {
				r, err := Verify(content(data), plain, &c.a, now)
				return err == nil && r.Valid
			},
			"cms": func() bool {
				r, err := VerifyCMS(content(data), p7s, &c.a, now)
				return err == nil && r[0].Valid
			},
		}
		for _, name := range []string{"plain", "cms"} {
			b.Run(name+"/"+size.name, func(b *testing.B) {
				b.SetBytes(int64(size.bytes))
				var ours, raw time.Duration
				for b.Loop() {
					start := time.Now()
					if !run[name]() {
						b.Fatal("not valid")
					}
					ours += time.Since(start)
					start = time.Now()
					if !primitives(c, data, plain.Signature) {
						b.Fatal("not valid")
					}
					raw += time.Since(start)
				}
				b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "ours-µs/op")
				b.ReportMetric(float64(raw.Microseconds())/float64(b.N), "raw-µs/op")
				b.ReportMetric(float64(ours)/float64(raw), "ratio")
			})
		}
	}
}

// primitives is one hash and the four signatures: artifact, leaf,
// intermediate, CRL.
func primitives(c *trial, data, value []byte) bool {
	sum := sha256.Sum256(data)
	check := func(c, issuer *x509.Certificate) bool { return c.CheckSignatureFrom(issuer) == nil }
	return ecdsa.VerifyASN1(c.leaf.cert.PublicKey.(*ecdsa.PublicKey), sum[:], value) &&
		check(c.leaf.cert, c.inter.cert) && check(c.inter.cert, c.root.cert) &&
		c.a.CRLs[0].list.CheckSignatureFrom(c.inter.cert) == nil
}
