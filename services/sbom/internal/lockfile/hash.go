package lockfile

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// algorithms are those of hashlib, Subresource Integrity and the like, with
// CycloneDX's name and the length of the hash in bytes.
var algorithms = map[string]struct {
	name string
	size int
}{
	"md5": {"MD5", 16}, "sha1": {"SHA-1", 20}, "sha256": {"SHA-256", 32}, "sha384": {"SHA-384", 48}, "sha512": {"SHA-512", 64},
}

// hexHash is a hash as hexadecimal, none if it is not one of the algorithm.
func hexHash(algorithm, value string) []Hash {
	a := algorithms[strings.ToLower(algorithm)]
	if a.size == 0 || len(value) != 2*a.size {
		return nil
	}
	value = strings.ToLower(value)
	if _, err := hex.DecodeString(value); err != nil {
		return nil
	}
	return []Hash{{Algorithm: a.name, Value: value}}
}

// prefixedHash reads "sha256:" and the hash, with whatever separator.
func prefixedHash(s, separator string) []Hash {
	algorithm, value, _ := strings.Cut(s, separator)
	return hexHash(algorithm, value)
}

// integrity reads the hashes that npm and its kin note: words of an algorithm,
// "-" and base64 (W3C, Subresource Integrity).
func integrity(s string) (all []Hash) {
	const maxWords = 16
	for len(all) < maxWords && s != "" {
		var word string
		word, s, _ = strings.Cut(strings.TrimSpace(s), " ")
		algorithm, value, _ := strings.Cut(word, "-")
		value, _, _ = strings.Cut(value, "?")
		sum, err := base64.StdEncoding.DecodeString(value)
		if a := algorithms[algorithm]; err == nil && a.size == len(sum) && a.size > 0 {
			all = append(all, Hash{Algorithm: a.name, Value: hex.EncodeToString(sum)})
		}
	}
	return all
}
