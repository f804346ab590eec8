//go:build !amd64 || purego

package secrets

// inHalves is whether the sieve in use tells bytes by their halves.
const inHalves = false

// pass sifts so many blocks of text, which has windowSize-1 bytes more.
func (s *sieve) pass(text []byte, blocks int, out *sifted) { s.passGo(text, blocks, out) }
