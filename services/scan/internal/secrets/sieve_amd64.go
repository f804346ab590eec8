//go:build amd64 && !purego

package secrets

import "golang.org/x/sys/cpu"

// With AVX-512's VBMI one instruction looks bytes up in a table for all of
// ASCII. Without it, tables are for halves of bytes.
var (
	hasTables = cpu.X86.HasAVX512VBMI && cpu.X86.HasAVX512BW
	inHalves  = !hasTables && cpu.X86.HasAVX2
)

// pass sifts so many blocks of text, which has windowSize-1 bytes more.
func (s *sieve) pass(text []byte, blocks int, out *sifted) {
	_ = text[:blocks*sieveBlock+windowSize-1]
	switch {
	case hasTables:
		passAVX512(&s.members, &base64Tables, &text[0], blocks, out)
	case inHalves:
		passAVX2(&s.halves, &base64Halves, &text[0], blocks, out)
	default:
		s.passGo(text, blocks, out)
	}
}

// base64Tables is what passAVX512 knows of base64.
var base64Tables = tables{firstBits: [128]byte(firstBits[:128]), refused: refused}

type tables struct {
	firstBits [128]byte // of ASCII
	refused   [phases][8]byte
}

//go:noescape
func passAVX2(windows *[groups][windowSize]halves, base64 *halves, text *byte, blocks int, out *sifted)

//go:noescape
func passAVX512(windows *[groups][windowSize][128]byte, base64 *tables, text *byte, blocks int, out *sifted)
