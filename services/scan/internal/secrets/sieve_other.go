//go:build !amd64 || purego

package secrets

// pass sifts so many blocks of text, which has windowSize-1 bytes more.
func (s *sieve) pass(text []byte, blocks int, out *sifted) { s.passGo(text, blocks, out) }
