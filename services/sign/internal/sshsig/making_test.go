package sshsig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

func ed25519Signer(name string) ssh.Signer {
	seed := sha256.Sum256([]byte(name))
	return must(ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:])))
}

func ecdsaSigner(curve elliptic.Curve) ssh.Signer {
	return must(ssh.NewSignerFromKey(must(ecdsa.GenerateKey(curve, rand.Reader))))
}

// rsaSigner makes one key of each size.
var rsaSigner = func() func(bits int) ssh.Signer {
	keys := map[int]ssh.Signer{}
	var mu sync.Mutex
	return func(bits int) ssh.Signer {
		mu.Lock()
		defer mu.Unlock()
		if keys[bits] == nil {
			keys[bits] = must(ssh.NewSignerFromKey(must(rsa.GenerateKey(rand.Reader, bits))))
		}
		return keys[bits]
	}
}()

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// token is a FIDO token: PROTOCOL.u2f.
type token struct {
	sign  func(message []byte) []byte
	key   ssh.PublicKey
	flags byte
}

func ed25519Token(flags byte) *token {
	seed := sha256.Sum256([]byte("token"))
	private := ed25519.NewKeyFromSeed(seed[:])
	wire := ssh.Marshal(struct {
		Type, Key, Application string
	}{ssh.KeyAlgoSKED25519, string(private[32:]), "ssh:"})
	return &token{func(m []byte) []byte { return ed25519.Sign(private, m) }, must(ssh.ParsePublicKey(wire)), flags}
}

func ecdsaToken(flags byte) *token {
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	wire := ssh.Marshal(struct {
		Type, Curve string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKECDSA256, "nistp256", must(private.PublicKey.Bytes()), "ssh:"})
	plain := must(ssh.NewSignerFromKey(private))
	return &token{func(m []byte) []byte { return must(plain.Sign(rand.Reader, m)).Blob }, must(ssh.ParsePublicKey(wire)), flags}
}

func (t *token) PublicKey() ssh.PublicKey { return t.key }

func (t *token) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	application, sum := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	rest := []byte{t.flags, 0, 0, 0, 7}
	signed := bytes.Join([][]byte{application[:], rest, sum[:]}, nil)
	return &ssh.Signature{Format: t.key.Type(), Blob: t.sign(signed), Rest: rest}, nil
}

// making is how a signature is made; the zero value of a field is the usual.
type making struct {
	signer    ssh.Signer
	cert      *ssh.Certificate
	namespace string
	hash      string
	reserved  string
	version   uint32
	preamble  string
	format    string // of RSA
	edit      func(*ssh.Signature)
}

func (m making) blob() []byte {
	if m.namespace == "" {
		m.namespace = namespace
	}
	if m.hash == "" {
		m.hash = "sha512"
	}
	if m.version == 0 {
		m.version = 1
	}
	if m.preamble == "" {
		m.preamble = "SSHSIG"
	}
	hash := hashes[m.hash]
	if hash == 0 {
		hash = crypto.SHA512
	}
	signed := (&parsed{namespace: m.namespace, hash: hash}).signed(must(content(message).Sum(hash)))
	var sig *ssh.Signature
	if m.signer.PublicKey().Type() == ssh.KeyAlgoRSA {
		if m.format == "" {
			m.format = ssh.KeyAlgoRSASHA512
		}
		sig = must(m.signer.(ssh.AlgorithmSigner).SignWithAlgorithm(rand.Reader, signed, m.format))
	} else {
		sig = must(m.signer.Sign(rand.Reader, signed))
	}
	if m.edit != nil {
		m.edit(sig)
	}
	key := m.signer.PublicKey()
	if m.cert != nil {
		key = m.cert
	}
	return append([]byte(m.preamble), ssh.Marshal(struct {
		Version                        uint32
		Key, Namespace, Reserved, Hash string
		Signature                      []byte
	}{m.version, string(key.Marshal()), m.namespace, m.reserved, m.hash, ssh.Marshal(sig)})...)
}

func (m making) armored() []byte { return armor(m.blob()) }

func armor(blob []byte) []byte {
	var b strings.Builder
	fmt.Fprintln(&b, header)
	for text := base64.StdEncoding.EncodeToString(blob); text != ""; {
		n := min(len(text), 70)
		fmt.Fprintln(&b, text[:n])
		text = text[n:]
	}
	fmt.Fprintln(&b, footer)
	return []byte(b.String())
}

// withKey puts another key into a blob by ed25519.
func withKey(blob, key []byte) []byte {
	const before, after = 6 + 4, 6 + 4 + 4 + 51
	return slices.Concat(blob[:before], binary.BigEndian.AppendUint32(nil, uint32(len(key))), key, blob[after:])
}

// dsaKey has the sizes of a real one.
func dsaKey() []byte {
	one := big.NewInt(1)
	return ssh.Marshal(struct {
		Type       string
		P, Q, G, Y *big.Int
	}{"ssh-dss", new(big.Int).Lsh(one, 1023), new(big.Int).Lsh(one, 159), big.NewInt(2), big.NewInt(4)})
}

// weakSigner has a key for which some signatures are anyone's.
type weakSigner struct{}

func (weakSigner) PublicKey() ssh.PublicKey {
	return must(ssh.NewPublicKey(ed25519.PublicKey(make([]byte, 32))))
}

func (weakSigner) Sign(io.Reader, []byte) (*ssh.Signature, error) {
	return &ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: append([]byte{1}, make([]byte, 63)...)}, nil
}
