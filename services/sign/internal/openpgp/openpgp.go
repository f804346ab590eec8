// Package openpgp verifies OpenPGP signatures: RFC 9580 and, as far as it is
// still safe, RFC 4880 before it.
//
// go-crypto parses single packets and does the mathematics. Everything that
// decides what a signature is worth is here: what may stand in a file, which
// self-signatures of a certificate count, and whether a key was fit to sign.
// go-crypto's own answers to that are not used, because it skips packets that
// it does not know, tries one certificate of several with the same key id,
// keeps the last of two equal user ids and forgets what the first says, and
// remembers in the key whether a signature held at the time of the first
// question, so that a later revocation can be missed and concurrent use is a
// race.
package openpgp

import (
	"errors"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"assize.dev/services/sign/internal/signature"
)

// Kind is what Result.Kind says of all these signatures.
const Kind = "openpgp"

const (
	// MaxSignatureFile bounds a file of detached signatures. The largest
	// signature in use, SLH-DSA of RFC 9980, is 50 KiB.
	MaxSignatureFile = 64 << 10
	// MaxSignatures bounds the signatures over one artifact. Version 6
	// signatures are salted, so each of them hashes all of it.
	MaxSignatures = 16
	// ClockSkew is how far a signer's clock may be ahead of ours.
	ClockSkew = 5 * time.Minute
)

// VerifyDetached verifies a file of signatures over c: binary, or one or more
// armored blocks. It returns one Result for each signature, or one that is not
// valid for a file which holds none, or anything else besides.
//
// The time at is when the artifact was received. A signature from after that
// is not valid, nor one that had expired by then. A key that expires, or is
// retired, between the two leaves a signature valid with a remark in Reason.
//
// c is read at most once, and only for signatures whose signer is in ring and
// was fit to sign. Salted signatures, of version 6, take a pass each from what
// c allows. An error is one of reading c.
func VerifyDetached(c *signature.Content, sig []byte, ring *Keyring, at time.Time) ([]signature.Result, error) {
	bodies, err := detached(sig)
	if err != nil {
		return []signature.Result{signature.Invalid(Kind, "%v", err)}, nil
	}
	claims := make([]*claim, len(bodies))
	sums := digests{}
	for i, body := range bodies {
		claims[i] = ring.claim(body, at)
		if claims[i].open() {
			sums.need(digestOf(claims[i].sig))
		}
	}
	err = sums.read(c)
	if errors.Is(err, signature.ErrBudget) {
		for _, c := range claims {
			if c.open() {
				c.refuse(err.Error())
			}
		}
	} else if err != nil {
		return nil, err
	}
	return settle(claims, sums), nil
}

// settle finishes the claims that are open, with the digests they need.
func settle(claims []*claim, sums digests) []signature.Result {
	results := make([]signature.Result, len(claims))
	for i, c := range claims {
		if c.open() {
			c.settle(sums)
		}
		results[i] = c.result
	}
	return results
}

// detached splits a file of signatures into the bodies of their packets.
func detached(file []byte) ([][]byte, error) {
	if len(file) > MaxSignatureFile {
		return nil, fmt.Errorf("signature file of %d bytes, at most %d are allowed", len(file), MaxSignatureFile)
	}
	streams := [][]byte{file}
	if !binaryPackets(file) {
		blocks, err := readArmored(file, armorSignature, false)
		if err != nil {
			return nil, fmt.Errorf("signature file: %w", err)
		}
		streams = blocks
	}
	var bodies [][]byte
	for _, stream := range streams {
		for len(stream) > 0 {
			p, rest, err := cutPacket(stream)
			if err != nil {
				return nil, fmt.Errorf("signature file: %w", err)
			}
			if p.tag != tagSignature {
				return nil, fmt.Errorf("signature file holds a packet of type %d, want signatures only", p.tag)
			}
			if len(bodies) == MaxSignatures {
				return nil, fmt.Errorf("signature file with more than %d signatures", MaxSignatures)
			}
			bodies = append(bodies, p.body)
			stream = rest
		}
	}
	if len(bodies) == 0 {
		return nil, fmt.Errorf("signature file holds no signature")
	}
	return bodies, nil
}

// parseSignature reads the body of a signature packet. On an error the
// signature holds what could be read before.
func parseSignature(body []byte) (*packet.Signature, error) {
	p, err := parsePacket(tagSignature, body)
	sig, ok := p.(*packet.Signature)
	if !ok && err == nil {
		err = fmt.Errorf("not a signature")
	}
	return sig, err
}
