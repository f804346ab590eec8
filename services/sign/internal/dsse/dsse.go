// Package dsse makes and opens DSSE v1 envelopes: signed JSON that every
// supply-chain client understands. See
// https://github.com/secure-systems-lab/dsse/blob/master/envelope.md.
package dsse

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"assize.dev/services/sign/internal/intoto"
)

// PayloadType is that of in-toto statements, what verdicts are.
const PayloadType = intoto.PayloadType

// Envelope is the JSON form. Byte slices are standard base64, padded.
type Envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     []byte      `json:"payload"`
	Signatures  []Signature `json:"signatures"`
}

// Signature is one signature over the pre-authentication encoding.
type Signature struct {
	KeyID string `json:"keyid"`
	Sig   []byte `json:"sig"`
}

// Signer signs with one key; every signer.Signer is one. Sign takes the
// message itself: pure Ed25519, ECDSA P-256 over its SHA-256 in ASN.1 DER, or
// pure ML-DSA-65 with an empty context.
type Signer interface {
	Public() crypto.PublicKey
	Sign(ctx context.Context, message []byte) ([]byte, error)
}

// Seal signs payload with every signer, in their order: one signature each,
// all over the same bytes. Signers whose signatures are deterministic give
// the same envelope again. Each signature is checked before it leaves, as the
// key behind a signer elsewhere may have been replaced.
func Seal[S Signer](ctx context.Context, payloadType string, payload []byte, signers ...S) ([]byte, error) {
	e, err := sealed(ctx, payloadType, payload, signers...)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	if len(data) > MaxEnvelope {
		return nil, fmt.Errorf("sealing: %w: %d bytes, at most %d", ErrTooLarge, len(data), MaxEnvelope)
	}
	return data, nil
}

func sealed[S Signer](ctx context.Context, payloadType string, payload []byte, signers ...S) (*Envelope, error) {
	if len(signers) == 0 || len(signers) > maxSignatures {
		return nil, fmt.Errorf("sealing: %d signers, want 1 to %d", len(signers), maxSignatures)
	}
	e := &Envelope{PayloadType: payloadType, Payload: payload}
	message := PAE(payloadType, payload)
	for _, s := range signers {
		id, err := KeyID(s.Public())
		if err != nil {
			return nil, fmt.Errorf("sealing: %w", err)
		}
		if slices.ContainsFunc(e.Signatures, func(s Signature) bool { return s.KeyID == id }) {
			return nil, fmt.Errorf("sealing: key %s is given twice: its signatures count once", id)
		}
		sig, err := s.Sign(ctx, message)
		if err != nil {
			return nil, fmt.Errorf("signing with key %s: %w", id, err)
		}
		if !Holds(s.Public(), message, sig) {
			return nil, fmt.Errorf("signing with key %s: the signature is not by this key: was the key replaced where it is held?", id)
		}
		e.Signatures = append(e.Signatures, Signature{id, sig})
	}
	return e, nil
}

// ErrTooLarge says that the envelope would be larger than Parse takes.
var ErrTooLarge = errors.New("the envelope is too large")

// PAE is the pre-authentication encoding: what is signed.
func PAE(payloadType string, payload []byte) []byte {
	return append(fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload)), payload...)
}

// Verifiers say who must have signed: at least Threshold of Keys, counted by
// the public keys themselves. What an envelope calls its keys never counts,
// nor does a key or a signature that is there twice.
type Verifiers struct {
	Keys      []crypto.PublicKey
	Threshold int
	// PayloadType is that of in-toto statements if empty.
	PayloadType string
}

// Open returns the payload of an envelope, or of the envelope inside a
// Sigstore bundle, if public signed it. Nothing of it is known before.
func Open(public crypto.PublicKey, data []byte) ([]byte, error) {
	return Verifiers{Keys: []crypto.PublicKey{public}, Threshold: 1}.Open(data)
}

// Open is as the function Open, for as many keys as the threshold says.
func (v Verifiers) Open(data []byte) ([]byte, error) {
	e, err := Parse(data)
	if err != nil {
		return nil, err
	}
	if err := v.Verify(e); err != nil {
		return nil, err
	}
	return e.Payload, nil
}

// ErrThreshold says that too few of the keys signed.
var ErrThreshold = errors.New("too few signatures hold")

// Verify checks the payload type and the signatures of an envelope.
func (v Verifiers) Verify(e *Envelope) error {
	want := v.PayloadType
	if want == "" {
		want = PayloadType
	}
	if e.PayloadType != want {
		return fmt.Errorf("envelope's payload type is %.80q, want %s", e.PayloadType, want)
	}
	ids := make([]string, 0, len(v.Keys))
	for _, key := range v.Keys {
		id, err := KeyID(key)
		if err != nil {
			return err
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if v.Threshold < 1 || v.Threshold > len(ids) {
		return fmt.Errorf("threshold %d with %d different keys can never be met", v.Threshold, len(ids))
	}
	held := len(e.SignedBy(v.Keys))
	if held >= v.Threshold {
		return nil
	}
	found := fmt.Sprintf("signatures by %d keys hold", held)
	if held == 0 {
		found = "no signature by key " + strings.Join(ids, " or ") + " holds"
	}
	return fmt.Errorf("envelope: %w: want %d: %s; the keys that are named are %.80q", ErrThreshold, v.Threshold, found, e.keyIDs())
}

// SignedBy returns those of keys that signed the envelope, each once.
func (e *Envelope) SignedBy(keys []crypto.PublicKey) []crypto.PublicKey {
	message := PAE(e.PayloadType, e.Payload)
	var signed []crypto.PublicKey
	seen := make(map[string]bool, len(keys))
	for _, key := range keys {
		id, err := KeyID(key)
		if err != nil || seen[id] {
			continue
		}
		seen[id] = true
		if slices.ContainsFunc(e.Signatures, func(s Signature) bool { return Holds(key, message, s.Sig) }) {
			signed = append(signed, key)
		}
	}
	return signed
}

// keyIDs are the names that the envelope gives its keys, which prove nothing.
func (e *Envelope) keyIDs() []string {
	var ids []string
	for _, s := range e.Signatures {
		ids = append(ids, s.KeyID)
	}
	return ids
}
