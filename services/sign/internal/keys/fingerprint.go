package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// ParseFingerprint reads the name of a public key, and returns it in the one
// form in which names are compared: 64 hexadecimal digits, after "sha256:" or
// not, in any case, become lower case without the prefix, as
// PublicKey.Fingerprint is; "SHA256:" or "MLDSA65:" and 43 characters of
// base64 stay as they are, as PublicKey.KeyID is. The two are hashes of
// different things, so that neither can be made of the other.
func ParseFingerprint(text string) (string, error) {
	digits := strings.ToLower(text)
	digits = strings.TrimPrefix(digits, "sha256:")
	if sum, err := hex.DecodeString(digits); err == nil && len(sum) == sha256.Size {
		return digits, nil
	}
	for _, prefix := range []string{"SHA256:", "MLDSA65:"} {
		if encoded, ok := strings.CutPrefix(text, prefix); ok {
			sum, err := base64.RawStdEncoding.Strict().DecodeString(encoded)
			if err == nil && len(sum) == sha256.Size && !strings.ContainsAny(encoded, "\r\n") {
				return text, nil
			}
		}
	}
	return "", fmt.Errorf(`%.80q is no fingerprint: want 64 hexadecimal digits, or "SHA256:" and 43 characters of base64`, text)
}
