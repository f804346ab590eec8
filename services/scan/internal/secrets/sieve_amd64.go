//go:build amd64 && !purego

package secrets

import "golang.org/x/sys/cpu"

// pass sifts so many blocks of text, which has windowSize-1 bytes more, by
// vector instructions where there are some.
func (s *sieve) pass(text []byte, blocks int, out *sifted) {
	_ = text[:blocks*sieveBlock+windowSize-1]
	switch {
	case cpu.X86.HasAVX512BW:
		passAVX512(&s.halves, &base64Halves, &text[0], blocks, out)
	case cpu.X86.HasAVX2:
		passAVX2(&s.halves, &base64Halves, &text[0], blocks, out)
	default:
		s.passGo(text, blocks, out)
	}
}

//go:noescape
func passAVX2(windows *[groups][windowSize]halves, base64 *halves, text *byte, blocks int, out *sifted)

//go:noescape
func passAVX512(windows *[groups][windowSize]halves, base64 *halves, text *byte, blocks int, out *sifted)
