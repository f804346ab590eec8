//go:build amd64 && !purego

package secrets

import (
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/cpu"
)

// TestSieve holds the vector instructions against plain Go.
func TestSieve(t *testing.T) {
	tests := []struct {
		name     string
		runs     bool // on this processor
		inHalves bool
		pass     func(s *sieve, text []byte, blocks int, out *sifted)
	}{
		{"AVX2", cpu.X86.HasAVX2, true, func(s *sieve, text []byte, blocks int, out *sifted) {
			passAVX2(&s.halves, &base64Halves, &text[0], blocks, out)
		}},
		{"AVX-512", hasTables, false, func(s *sieve, text []byte, blocks int, out *sifted) {
			passAVX512(&s.members, &base64Tables, &text[0], blocks, out)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !tt.runs {
				t.Skip("this processor does not have it")
			}
			anchors := allAnchors(nil)
			s, _ := newSieve(anchors, tt.inHalves)
			random := rand.New(rand.NewPCG(1, 2))
			for range 300 {
				text := siftable(random, anchors)
				blocks := random.IntN(stride/sieveBlock) + 1
				before := random.Uint32() & 0x80808080
				if tt.inHalves {
					before &= 0xFF // all of phases that it tells
				}
				want, got := sifted{octets: before}, sifted{octets: before}
				s.passGo(text, blocks, &want)
				if tt.inHalves {
					want.forgetPhases(before, text, blocks)
				}
				tt.pass(s, text, blocks, &got)
				if got != want {
					t.Fatalf("%d blocks are sifted otherwise than in Go", blocks)
				}
			}
		})
	}
}

// siftable is random text with much of base64, some anchors and, half the
// time, no NUL.
func siftable(random *rand.Rand, anchors []*anchor) []byte {
	text := make([]byte, stride+windowSize-1)
	least := random.IntN(2)
	for i := range text {
		text[i] = byte(max(least, random.IntN(256)))
	}
	for range 40 {
		copy(text[random.IntN(stride):], anchors[random.IntN(len(anchors))].literal)
	}
	for range 20 {
		at := random.IntN(stride - 40)
		copy(text[at:at+40], base64.StdEncoding.EncodeToString(text[at:at+30]))
	}
	for range 20 {
		at := random.IntN(stride - 40)
		copy(text[at:at+40], base64.RawURLEncoding.EncodeToString([]byte("any plain text in some encoding")))
	}
	return text
}

// forgetPhases makes of what Go says what a sieve does that takes whatever is of
// base64's alphabet for text.
func (out *sifted) forgetPhases(before uint32, text []byte, blocks int) {
	out.octets, out.withDense = before, 0
	for b := range blocks {
		octets := uint32(0)
		for i := range sieveBlock / 8 {
			if runLength(text[b*sieveBlock+8*i:][:8]) == 8 {
				octets |= 1 << i
			}
		}
		out.dense[b] = denser(octets, out.octets)
		if out.dense[b] != 0 {
			out.withDense |= 1 << b
		}
		out.octets = octets
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
