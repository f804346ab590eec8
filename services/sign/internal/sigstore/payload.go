package sigstore

import (
	"bytes"
	"crypto"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"

	"assize.dev/services/sign/internal/intoto"
)

// payload is what a signature is over: a statement about the artifact, or
// the artifact itself. It is known to be about the artifact, and not yet
// known to be signed.
type payload struct {
	statement     []byte // nil for the artifact itself
	predicateType string

	hash   crypto.Hash // of the artifact itself: what the bundle says that
	digest []byte      // signing hashed with, and that digest
}

// payload reads a bundle's. It gives the reason why it is not about the
// artifact, or an error of reading that.
func (v *verifier) payload(b *bundle.Bundle, predicateType string) (payload, string, error) {
	message, ok := b.Content.(*protobundle.Bundle_MessageSignature)
	if !ok {
		e := b.GetDsseEnvelope()
		if n := len(e.GetSignatures()); n != 1 {
			return payload{}, fmt.Sprintf("envelope has %d signatures, a bundle's has exactly one", n), nil
		}
		return v.statement(e.GetPayloadType(), e.GetPayload(), predicateType)
	}
	if predicateType != "" {
		return payload{}, "the answer promises a statement, the bundle has none", nil
	}
	digest := message.MessageSignature.GetMessageDigest()
	hash, ok := hashes[digest.GetAlgorithm()]
	if !ok {
		return payload{}, fmt.Sprintf("message digest is %v, want SHA2_256, SHA2_384 or SHA2_512", digest.GetAlgorithm()), nil
	}
	sum, err := v.content.Sum(hash)
	if err != nil {
		return payload{}, "", err
	}
	// Nothing vouches for the bundle's digest; it only tells why the
	// signature, which is over the real one, would not hold.
	if !bytes.Equal(sum, digest.GetDigest()) {
		return payload{}, "the signature is of another file: the message digest is not the artifact's", nil
	}
	return payload{hash: hash, digest: sum}, "", nil
}

var hashes = map[protocommon.HashAlgorithm]crypto.Hash{
	protocommon.HashAlgorithm_SHA2_256: crypto.SHA256,
	protocommon.HashAlgorithm_SHA2_384: crypto.SHA384,
	protocommon.HashAlgorithm_SHA2_512: crypto.SHA512,
}

// statement reads the payload of an envelope.
func (v *verifier) statement(payloadType string, data []byte, predicateType string) (payload, string, error) {
	if payloadType != intoto.PayloadType {
		return payload{}, fmt.Sprintf("envelope's payload type is %.80q, want %s", payloadType, intoto.PayloadType), nil
	}
	s, err := intoto.Parse(data)
	if err != nil {
		return payload{}, err.Error(), nil
	}
	if predicateType != "" && s.PredicateType != predicateType {
		return payload{}, fmt.Sprintf("the statement's predicate type is %.200q, not %.200q as the answer says", s.PredicateType, predicateType), nil
	}
	covered, err := s.Covers(v.content.Sum)
	if err != nil {
		return payload{}, "", err
	}
	if !covered {
		return payload{}, fmt.Sprintf("the statement is about another file, %.80q: no subject has the artifact's digest", s.Subjects[0].Name), nil
	}
	return payload{statement: data, predicateType: s.PredicateType}, "", nil
}

// valid is the result for a signature that holds.
func (p payload) valid(kind, signer string) Attestation {
	a := Attestation{Statement: p.statement, PredicateType: p.predicateType}
	a.Kind, a.Valid, a.Signer = kind, true, signer
	return a
}
