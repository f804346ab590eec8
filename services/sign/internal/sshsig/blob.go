package sshsig

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // makes crypto.SHA256 available
	_ "crypto/sha512" // makes crypto.SHA512 available
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"
)

// parsed is a signature as it was read.
type parsed struct {
	key       ssh.PublicKey // or certificate, of an accepted type
	namespace string
	hash      crypto.Hash
	signature *ssh.Signature // of a format that goes with the key
}

const (
	header = "-----BEGIN SSH SIGNATURE-----"
	footer = "-----END SSH SIGNATURE-----"

	// maxArmored leaves room for RSA keys of 16384 bits and certificates with
	// hundreds of principals.
	maxArmored = 64 << 10

	version = 1
)

var preamble = [6]byte([]byte("SSHSIG"))

// hashes are those that the specification allows.
var hashes = map[string]crypto.Hash{"sha256": crypto.SHA256, "sha512": crypto.SHA512}

// parse reads the armored form. Every bit of it counts: a signature that was
// changed anywhere but in how lines are broken is not read, or does not hold.
func parse(armored []byte) (*parsed, error) {
	if len(armored) > maxArmored {
		return nil, fmt.Errorf("SSH signature of %d bytes, at most %d", len(armored), maxArmored)
	}
	text, ok := bytes.CutPrefix(armored, []byte(header))
	if !ok || !bytes.HasPrefix(bytes.TrimPrefix(text, []byte("\r")), []byte("\n")) {
		return nil, fmt.Errorf("no SSH signature: want %q as the first line", header)
	}
	text, rest, ok := bytes.Cut(text, []byte("\n"+footer))
	if !ok {
		return nil, fmt.Errorf("SSH signature is cut short: want %q on a line of its own", footer)
	}
	if len(bytes.Trim(rest, " \t\r\n")) != 0 {
		return nil, errors.New("something follows the SSH signature")
	}
	blob, err := base64.StdEncoding.Strict().AppendDecode(nil, text) // skips line ends
	if err != nil {
		return nil, fmt.Errorf("SSH signature: %w", err)
	}
	return parseBlob(blob)
}

// parseBlob reads what is inside the armor: PROTOCOL.sshsig, section 2.
func parseBlob(blob []byte) (*parsed, error) {
	var w struct {
		Preamble  [6]byte
		Version   uint32
		Key       []byte
		Namespace string
		Reserved  []byte
		Hash      string
		Signature []byte
	}
	if err := ssh.Unmarshal(blob, &w); err != nil {
		return nil, errors.New("SSH signature is malformed")
	}
	hash, known := hashes[w.Hash]
	switch {
	case w.Preamble != preamble:
		return nil, errors.New("no SSH signature inside the armor")
	case w.Version != version:
		return nil, fmt.Errorf("SSH signature has version %d, want %d", w.Version, version)
	case w.Namespace == "":
		return nil, errors.New("SSH signature has no namespace")
	case len(w.Reserved) != 0:
		// ssh-keygen neither signs nor reads this field.
		return nil, errors.New("SSH signature has something in its reserved field")
	case !known:
		return nil, fmt.Errorf("SSH signature is over a hash %.40q, want sha256 or sha512", w.Hash)
	}
	key, err := ssh.ParsePublicKey(w.Key)
	if err != nil || !bytes.Equal(key.Marshal(), w.Key) {
		return nil, errors.New("SSH signature: public key is malformed")
	}
	if err := checkKey(plain(key)); err != nil {
		return nil, fmt.Errorf("SSH signature: %w", err)
	}
	s := &parsed{key: key, namespace: w.Namespace, hash: hash, signature: new(ssh.Signature)}
	if err := ssh.Unmarshal(w.Signature, s.signature); err != nil {
		return nil, errors.New("SSH signature is malformed")
	}
	if accepted := formats[plain(key).Type()]; !slices.Contains(accepted, s.signature.Format) {
		return nil, fmt.Errorf("SSH signature has format %.40q, want one of %q", s.signature.Format, accepted)
	}
	want := 0
	if s.onToken() {
		want = 5
	}
	if len(s.signature.Rest) != want {
		return nil, fmt.Errorf("SSH signature is followed by %d bytes, want %d", len(s.signature.Rest), want)
	}
	return s, nil
}

// signed is what the key signs: PROTOCOL.sshsig, section 3.
func (s *parsed) signed(sum []byte) []byte {
	hash := "sha512"
	if s.hash == crypto.SHA256 {
		hash = "sha256"
	}
	return ssh.Marshal(struct {
		Preamble  [6]byte
		Namespace string
		Reserved  []byte
		Hash      string
		Sum       []byte
	}{preamble, s.namespace, nil, hash, sum})
}

// Flags of a FIDO token: PROTOCOL.u2f, section on signatures.
const (
	userPresent  = 1 << 0 // somebody touched the token
	userVerified = 1 << 2 // and gave it the PIN or a finger
)

// onToken tells whether a FIDO token holds the key.
func (s *parsed) onToken() bool {
	t := plain(s.key).Type()
	return t == ssh.KeyAlgoSKED25519 || t == ssh.KeyAlgoSKECDSA256
}

// flags are what the token says of its owner. They are signed. A counter of
// four bytes follows them.
func (s *parsed) flags() byte { return s.signature.Rest[0] }
