package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"filippo.io/mldsa/x509"
	"golang.org/x/crypto/ssh"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/eddsa"
	"assize.dev/services/sign/internal/minisign"
)

// ParsePublicKey reads one public key:
//
//   - SPKI in PEM or DER: Ed25519, ECDSA P-256 or ML-DSA-65 (RFC 8410, 5480
//     and 9881);
//   - an OpenSSH line, "ssh-ed25519 …";
//   - a JSON Web Key of type OKP on Ed25519 (RFC 8037);
//   - the verifier key of a signed note, "name+hash+base64", Ed25519
//     (golang.org/x/mod/sumdb/note);
//   - a file of minisign or signify, or the bare base64 "RW…";
//   - the 32 bytes of an Ed25519 key, raw, in base64 or in hexadecimal.
//
// Texts may begin with a line "# Name: …". Private keys are refused in every
// form that can be told apart: they do not belong among keys to trust. So are
// certificates, whose name and validity would be lost.
func ParsePublicKey(data []byte) (PublicKey, error) {
	switch {
	case isText(data):
		name, text := nameLine(bytes.TrimSpace(data))
		return parseText(name, text)
	case isDER(data):
		return parseSPKI("", data)
	case len(data) == ed25519.PublicKeySize:
		return strong("", bytes.Clone(data))
	case len(data) == ed25519.PrivateKeySize: // seed and public key
		return PublicKey{}, errPrivate
	}
	return PublicKey{}, errNoPublicKey
}

// isText tells text from DER and raw keys, which always have bytes that no
// text has. So 32 characters are no raw key: they are a text that was cut.
func isText(data []byte) bool {
	return utf8.Valid(data) && !bytes.ContainsFunc(data, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) })
}

// isDER tells whether data begins as SPKI or PKCS#8 does, so that what was cut
// to the size of a raw key is not taken for one.
func isDER(data []byte) bool {
	if len(data) < 2 || data[0] != 0x30 {
		return false
	}
	header := 2
	if data[1] > 0x80 { // as many bytes of length follow
		header += int(data[1] - 0x80)
	}
	return slices.ContainsFunc(derBeginnings, func(b []byte) bool {
		return bytes.HasPrefix(data[min(header, len(data)):], b)
	})
}

// derBeginnings are what follows the tag and length of the whole.
var derBeginnings = [][]byte{
	{0x30, 5, 6, 3},  // SPKI: the algorithm of Ed25519,
	{0x30, 19, 6, 7}, // of ECDSA P-256,
	{0x30, 16, 6, 7}, // of ECDSA on other curves,
	{0x30, 11, 6, 9}, // of ML-DSA,
	{0x30, 13, 6, 9}, // of RSA
	{2, 1, 0, 0x30},  // PKCS#8, version 0
	{2, 1, 1, 0x30},  // version 1
}

var errNoPublicKey = errors.New("no public key: want SPKI, an ssh-ed25519 line, a JSON Web Key, a key of minisign or of signed notes, or the 32 bytes of an Ed25519 key")

var errPrivate = errors.New("this is a private key: publish and trust its public half, and keep it elsewhere")

func parseText(name string, text []byte) (PublicKey, error) {
	switch {
	case bytes.HasPrefix(text, []byte("-----BEGIN ")):
		return parsePEM(name, text)
	case isNoteKey(string(text)):
		return parseNoteKey(name, string(text))
	case bytes.HasPrefix(text, []byte("ssh-")):
		return parseOpenSSH(name, text)
	case bytes.HasPrefix(text, []byte("{")):
		return parseJWK(name, text)
	case bytes.HasPrefix(text, []byte("untrusted comment:")), bytes.HasPrefix(text, []byte("RW")):
		return parseMinisign(name, text)
	}
	return parseBare(name, string(text))
}

// parseBare reads 32 bytes without a container.
func parseBare(name, text string) (PublicKey, error) {
	raw, err := hex.DecodeString(text)
	if err != nil {
		raw, err = base64.StdEncoding.Strict().DecodeString(text)
	}
	switch {
	case err == nil && len(raw) == ed25519.PublicKeySize:
		return strong(name, raw)
	case err == nil && len(raw) == ed25519.PrivateKeySize:
		return PublicKey{}, errPrivate
	}
	return PublicKey{}, errNoPublicKey
}

// namePrefix begins the line that gives a key a name for people.
const namePrefix = "# Name:"

func nameLine(text []byte) (name string, rest []byte) {
	if after, ok := bytes.CutPrefix(text, []byte(namePrefix)); ok {
		line, rest, _ := bytes.Cut(after, []byte("\n"))
		return string(bytes.TrimSpace(line)), bytes.TrimSpace(rest)
	}
	return "", text
}

func parsePEM(name string, text []byte) (PublicKey, error) {
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return PublicKey{}, errors.New("PEM block is malformed")
	case strings.Contains(block.Type, "PRIVATE KEY"):
		return PublicKey{}, errPrivate
	case block.Type == "CERTIFICATE":
		return PublicKey{}, errors.New("PEM block is a certificate, which says more than its key: trust its authority under x509, or extract the key with \"openssl x509 -pubkey -noout\"")
	case block.Type != "PUBLIC KEY":
		return PublicKey{}, fmt.Errorf("PEM block is a %.40q, want PUBLIC KEY (SPKI)", block.Type)
	case len(bytes.TrimSpace(rest)) != 0:
		return PublicKey{}, errors.New("more than one PEM block: want one key per file")
	}
	return parseSPKI(name, block.Bytes)
}

// parseSPKI reads DER, and takes only what it would itself write.
func parseSPKI(name string, der []byte) (PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		if _, err := x509.ParsePKCS8PrivateKey(der); err == nil {
			return PublicKey{}, errPrivate
		}
		return PublicKey{}, fmt.Errorf("SPKI: %w", err)
	}
	if _, err := dsse.KeyID(key); err != nil {
		return PublicKey{}, err
	}
	if again, err := x509.MarshalPKIXPublicKey(key); err != nil || !bytes.Equal(again, der) {
		return PublicKey{}, errors.New("SPKI is not canonical: convert it with \"openssl pkey -pubin\"")
	}
	if public, ok := key.(ed25519.PublicKey); ok {
		return strong(name, public)
	}
	return PublicKey{name, key}, nil
}

func parseOpenSSH(name string, text []byte) (PublicKey, error) {
	parsed, comment, options, rest, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return PublicKey{}, fmt.Errorf("OpenSSH key: %w", err)
	}
	if len(rest) != 0 || len(options) != 0 {
		return PublicKey{}, errors.New("OpenSSH key: want one line without options")
	}
	wrapped, ok := parsed.(ssh.CryptoPublicKey)
	if !ok || parsed.Type() != ssh.KeyAlgoED25519 {
		return PublicKey{}, fmt.Errorf("OpenSSH key is %s, want ssh-ed25519", parsed.Type())
	}
	if name == "" {
		name = comment
	}
	return strong(name, wrapped.CryptoPublicKey().(ed25519.PublicKey))
}

func parseMinisign(name string, text []byte) (PublicKey, error) {
	k, err := minisign.ParsePublicKey(text)
	if errors.Is(err, minisign.ErrSecretKey) {
		return PublicKey{}, errPrivate
	}
	if err != nil {
		return PublicKey{}, err
	}
	if name == "" {
		name = k.Comment()
	}
	return PublicKey{name, k.Key()}, nil
}

// strong refuses Ed25519 keys that nobody or anybody can sign for.
func strong(name string, key ed25519.PublicKey) (PublicKey, error) {
	if err := eddsa.CheckKey(key); err != nil {
		return PublicKey{}, err
	}
	return PublicKey{name, key}, nil
}
