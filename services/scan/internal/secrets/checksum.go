package secrets

import (
	"bytes"
	"hash/crc32"
	"strings"
)

// base62CRC checks the last six characters: the CRC-32 of what lies between
// prefix and them, in base 62. GitHub and npm make tokens so.
func base62CRC(value []byte, prefix int) bool {
	return endsWithCRC(value, value[prefix:len(value)-6], digits+upper+lower)
}

// endsWithCRC reports whether value, behind body, ends with the CRC-32 of
// body as digits of an alphabet.
func endsWithCRC(value, body []byte, alphabet string) bool {
	crc, base := crc32.ChecksumIEEE(body), uint32(len(alphabet))
	for i := len(value) - 1; i >= len(value)-sumLength(alphabet); i-- {
		if value[i] != alphabet[crc%base] {
			return false
		}
		crc /= base
	}
	return true
}

// sumLength is how many digits of the alphabet any CRC-32 needs.
func sumLength(alphabet string) int {
	if len(alphabet) == 62 {
		return 6
	}
	return 7 // base 36
}

// gitlabToken is glpat- and 20 characters, or the routable form, whose last
// seven characters are a CRC-32 in base 36 over all before them.
func gitlabToken() verifier {
	plain := token{alphabet: base64URL, min: 20, max: 300, entropy: 3}.verifier()
	routable := token{alphabet: lowerDigit + ".", min: 12, max: 12}.verifier()
	return func(text []byte, at, end int) (finding, bool) {
		f, ok := plain(text, at, end)
		if !ok || f.end+10 > len(text) || text[f.end] != '.' || f.end-end < 27 {
			return f, ok
		}
		tail, ok := routable(text, f.end, f.end+1)
		if !ok || text[f.end+3] != '.' {
			return f, true // a sentence's full stop
		}
		value := text[at:tail.end]
		if !endsWithCRC(value, value[:len(value)-7], digits+lower) {
			return finding{}, false
		}
		f.end, f.confidence = tail.end, byChecksum
		return f, true
	}
}

// ageKey is an X25519 identity of age: Bech32 in upper case (BIP 173) of 32
// bytes. One with a mistake in it gives nearly all of the key away, so a
// wrong checksum only makes it less sure.
func ageKey() verifier {
	run := token{alphabet: upperDigit, min: 58, max: 58, apart: true, entropy: 3}.verifier()
	return func(text []byte, at, end int) (finding, bool) {
		f, ok := run(text, at, end)
		if ok && bech32(bytes.ToLower(text[at:f.end])) {
			f.confidence = byChecksum
		}
		return f, ok
	}
}

func bech32(s []byte) bool {
	sep := bytes.LastIndexByte(s, '1')
	if sep < 1 {
		return false
	}
	sum := uint32(1)
	step := func(v byte) {
		top := sum >> 25
		sum = (sum&0x1FFFFFF)<<5 ^ uint32(v)
		for i, g := range [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	for _, c := range s[:sep] {
		step(c >> 5)
	}
	step(0)
	for _, c := range s[:sep] {
		step(c & 31)
	}
	for _, c := range s[sep+1:] {
		v := strings.IndexByte("qpzry9x8gf2tvdw0s3jn54khce6mua7l", c)
		if v < 0 {
			return false
		}
		step(byte(v))
	}
	return sum == 1
}
