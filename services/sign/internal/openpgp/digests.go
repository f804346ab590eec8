package openpgp

import (
	"crypto"
	"hash"
	"io"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"assize.dev/services/sign/internal/signature"
)

// digest names one way to hash an artifact. Signatures that agree in it share
// one hash.
type digest struct {
	hash crypto.Hash
	text bool   // line endings are hashed as CR LF
	salt string // version 6
}

func digestOf(sig *packet.Signature) digest {
	return digest{sig.Hash, sig.SigType == packet.SigTypeText, string(sig.Salt())}
}

// digests computes all of them in one pass over the artifact. It is an
// io.Writer for its bytes and never fails.
type digests map[digest]*running

type running struct {
	state hash.Hash
	in    hash.Hash // state, or what brings text into shape before it
}

// need adds a digest; its hash must be a strong one.
func (d digests) need(k digest) {
	if d[k] != nil {
		return
	}
	h := k.hash.New()
	h.Write([]byte(k.salt))
	r := &running{state: h, in: h}
	if k.text {
		r.in = openpgp.NewCanonicalTextHash(h)
	}
	d[k] = r
}

// read hashes the content, unless nothing is needed of it.
func (d digests) read(c *signature.Content) error {
	if len(d) == 0 {
		return nil
	}
	_, err := io.Copy(d, c.ReaderFor(d.passes()))
	return err
}

// passes is what computing the digests costs: one for each with a salt.
// Without salts there are few digests for however many signatures.
func (d digests) passes() int {
	salted := 0
	for k := range d {
		if k.salt != "" {
			salted++
		}
	}
	return max(1, salted)
}

func (d digests) Write(p []byte) (int, error) {
	for _, r := range d {
		r.in.Write(p)
	}
	return len(p), nil
}

// state is a copy of the hash after everything written, nil if the digest was
// not asked for. All strong hashes can be copied.
func (d digests) state(k digest) hash.Hash {
	r := d[k]
	if r == nil {
		return nil
	}
	c, ok := r.state.(hash.Cloner)
	if !ok {
		return nil
	}
	h, err := c.Clone()
	if err != nil {
		return nil
	}
	return h
}
