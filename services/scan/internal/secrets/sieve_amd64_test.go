//go:build amd64 && !purego

package secrets

import (
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"
)

// TestSieve holds the vector instructions against plain Go.
func TestSieve(t *testing.T) {
	kernels := map[string]func(s *sieve, text []byte, blocks int, out *sifted){}
	if cpu.X86.HasAVX2 {
		kernels["AVX2"] = func(s *sieve, text []byte, blocks int, out *sifted) {
			passAVX2(&s.halves, &base64Halves, &text[0], blocks, out)
		}
	}
	if cpu.X86.HasAVX512BW {
		kernels["AVX-512"] = func(s *sieve, text []byte, blocks int, out *sifted) {
			passAVX512(&s.halves, &base64Halves, &text[0], blocks, out)
		}
	}
	if len(kernels) == 0 {
		t.Skip("this processor has neither AVX2 nor AVX-512")
	}
	anchors := allAnchors(nil)
	s := plain().index.sieve
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		text := make([]byte, stride+windowSize-1)
		for i := range text {
			text[i] = byte(random.Uint32())
			if random.IntN(2) == 0 {
				text[i] = base64Std[random.IntN(len(base64Std))]
			}
		}
		for range 40 {
			a := anchors[random.IntN(len(anchors))]
			copy(text[random.IntN(stride):], a.literal)
		}
		blocks := random.IntN(stride/sieveBlock) + 1
		var want sifted
		s.passGo(text, blocks, &want)
		for name, pass := range kernels {
			var got sifted
			pass(s, text, blocks, &got)
			if got != want {
				t.Fatalf("%s sifts %d blocks otherwise than Go", name, blocks)
			}
		}
	}
}

func BenchmarkSieve(b *testing.B) {
	text := []byte(strings.Repeat("func (s *server) handle(w http.ResponseWriter, key string) error { return s.next(w, key) } // they keep it\n", 10_000))
	s := plain().index.sieve
	var out sifted
	for name, pass := range map[string]func([]byte, int, *sifted){"fastest": s.pass, "Go": s.passGo} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(stride)
			for i := 0; b.Loop(); i++ {
				pass(text[i%200*stride:], stride/sieveBlock, &out)
			}
		})
	}
}
