package keys

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/mod/sumdb/note"
)

// noteEd25519 is the algorithm of signed notes: one byte before the key.
const noteEd25519 = 1

// isNoteKey tells whether a text looks like a key of signed notes: a name,
// eight hexadecimal digits and base64, with "+" between them. A private one
// has "PRIVATE+KEY+" before it.
func isNoteKey(text string) bool {
	if strings.HasPrefix(text, "PRIVATE+KEY+") {
		return true
	}
	parts := strings.SplitN(text, "+", 3)
	return len(parts) == 3 && len(parts[1]) == 8 && strings.Trim(parts[1], "0123456789abcdefABCDEF") == "" &&
		!strings.ContainsFunc(text, unicode.IsSpace)
}

// parseNoteKey reads the verifier key of a signed note. The name of the signer
// becomes that of the key.
func parseNoteKey(name, text string) (PublicKey, error) {
	if strings.HasPrefix(text, "PRIVATE+KEY+") {
		return PublicKey{}, errPrivate
	}
	verifier, err := note.NewVerifier(text) // checks the digits, a hash of name and key
	if err != nil {
		return PublicKey{}, fmt.Errorf("verifier key of a signed note: %w", err)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.SplitN(text, "+", 3)[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != noteEd25519 {
		return PublicKey{}, errors.New("verifier key of a signed note: want an Ed25519 key")
	}
	if name == "" {
		name = verifier.Name()
	}
	return strong(name, raw[1:])
}
