package pspf_test

import (
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"assize.dev/services/sign/internal/pspf"
	"assize.dev/services/sign/internal/pspf/pspftest"
)

// BenchmarkDeep verifies a package of 64 MiB in a file at level deep and
// hashes the same file in turns. The metric sha256-ratio is how fast the
// former is beside the latter; the goal is 0.8 or more.
func BenchmarkDeep(b *testing.B) {
	p := sample()
	random := rand.NewChaCha8([32]byte{})
	for _, id := range []string{"one", "two", "three", "four"} {
		data := make([]byte, 16<<20)
		random.Read(data)
		p.Slots = append(p.Slots, pspftest.Slot{ID: id, Target: "{workenv}/" + id, Data: data})
	}
	path := filepath.Join(b.TempDir(), "large.psp")
	if err := os.WriteFile(path, p.Build(), 0o600); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	var hashing, verifying time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := io.CopyBuffer(sha256.New(), io.NewSectionReader(f, 0, info.Size()), make([]byte, 256<<10)); err != nil {
			b.Fatal(err)
		}
		hashed := time.Now()
		report, err := pspf.Verify(b.Context(), f, info.Size(), pspf.Options{Level: pspf.Deep})
		if err != nil || !report.OK() {
			b.Fatal(err, report.Err())
		}
		hashing += hashed.Sub(start)
		verifying += time.Since(hashed)
	}
	b.ReportMetric(hashing.Seconds()/verifying.Seconds(), "sha256-ratio")
	b.ReportMetric(float64(info.Size())*float64(b.N)/verifying.Seconds()/1e6, "verified-MB/s")
}
