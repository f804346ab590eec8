package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// jwkMembers are those that say what a key is for. An empty text stands for a
// member that is not there.
var jwkMembers = map[string][]string{
	"kty": {"OKP"}, "crv": {"Ed25519"}, "alg": {"", "EdDSA", "Ed25519"}, "use": {"", "sig"},
}

// parseJWK reads a JSON Web Key of type OKP on Ed25519 (RFC 8037, section 2).
// Its "kid" becomes the name.
func parseJWK(name string, text []byte) (PublicKey, error) {
	members, err := jsonMembers(text)
	if err != nil {
		return PublicKey{}, fmt.Errorf("JSON Web Key: %w", err)
	}
	if _, ok := members["d"]; ok {
		return PublicKey{}, errPrivate
	}
	for member, accepted := range jwkMembers {
		if got, _ := members[member].(string); !slices.Contains(accepted, got) {
			return PublicKey{}, fmt.Errorf("JSON Web Key: %q is %.40q, want one of %q", member, got, accepted)
		}
	}
	encoded, _ := members["x"].(string)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return PublicKey{}, errors.New(`JSON Web Key: "x" is not the base64url of 32 bytes`)
	}
	kid, _ := members["kid"].(string)
	if strings.ContainsFunc(kid, unicode.IsControl) {
		return PublicKey{}, errors.New(`JSON Web Key: "kid" has control characters`)
	}
	if name == "" {
		name = kid
	}
	return strong(name, raw)
}

// jsonMembers reads one object. Names count as they are written, and once: a
// map would take the last of two, and a struct "D" for "d".
func jsonMembers(text []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil { // the brace that the text begins with
		return nil, err
	}
	members := map[string]any{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if _, again := members[name.(string)]; again {
			return nil, fmt.Errorf("%.40q is there twice", name)
		}
		members[name.(string)] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("something follows the object")
	}
	return members, nil
}
