// Package digest names bytes by their SHA-256, the one identity every stage
// of Assize uses for an artifact and for a stored document.
package digest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Digest is "sha256:" followed by 64 lower-case hexadecimal digits, the form
// of the OCI image specification. The zero value is no digest.
type Digest string

const prefix = "sha256:"

// ErrMalformed is wrapped by Parse for anything that is not a Digest.
var ErrMalformed = errors.New("malformed digest")

// Parse accepts the canonical form only; upper case, other algorithms and
// bare hexadecimal are refused so that one digest has one spelling.
func Parse(s string) (Digest, error) {
	hexa, ok := strings.CutPrefix(s, prefix)
	if !ok || len(hexa) != 2*sha256.Size {
		return "", fmt.Errorf("%w: %.80q: want sha256: and 64 hexadecimal digits", ErrMalformed, s)
	}
	for _, c := range []byte(hexa) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", fmt.Errorf("%w: %.80q: %q is not a lower-case hexadecimal digit", ErrMalformed, s, c)
		}
	}
	return Digest(s), nil
}

// Of returns the digest of b.
func Of(b []byte) Digest {
	sum := sha256.Sum256(b)
	return FromSum(sum[:])
}

// FromSum wraps a finished SHA-256 sum of 32 bytes.
func FromSum(sum []byte) Digest { return Digest(prefix + hex.EncodeToString(sum)) }

// Hex is the 64 hexadecimal digits without the algorithm; it is empty for
// the zero Digest.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), prefix) }

func (d Digest) String() string { return string(d) }

// UnmarshalText refuses malformed digests while JSON is decoded; the empty
// string is the zero value.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = ""
		return nil
	}
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}
