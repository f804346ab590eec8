package sign

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/intoto"
	"assize.dev/shared/digest"
)

// DetachEd25519 signs a file: the 64 raw bytes of pure Ed25519 over all of
// it, and the id of the key.
func DetachEd25519(ctx context.Context, s Signer, file []byte) (signature []byte, keyID string, err error) {
	if _, ok := s.Public().(ed25519.PublicKey); !ok {
		return nil, "", errors.New("this form of signature needs an Ed25519 key")
	}
	return detach(ctx, s, file)
}

// DetachBundle signs a file: a Sigstore bundle with the signature, to be
// verified with the public key, Ed25519 or ECDSA P-256, and the id of the key.
func DetachBundle(ctx context.Context, s Signer, file []byte) (bundle []byte, keyID string, err error) {
	if !classical(s.Public()) {
		return nil, "", errors.New("no client verifies a bundle by an ML-DSA key yet: use an Ed25519 or ECDSA P-256 key")
	}
	signature, keyID, err := detach(ctx, s, file)
	if err != nil {
		return nil, "", err
	}
	bundle, err = dsse.MessageBundle(keyID, sha256.Sum256(file), signature)
	return bundle, keyID, err
}

// AttestPredicate signs what a document says about a file: a Sigstore bundle
// with an in-toto statement whose predicate is the document, JSON, to be
// verified with the public key, Ed25519 or ECDSA P-256. It returns the id of
// the key, too.
func AttestPredicate(ctx context.Context, s Signer, filename string, d digest.Digest, predicateType string, document []byte) (bundle []byte, keyID string, err error) {
	if !classical(s.Public()) {
		return nil, "", errors.New("no client verifies a bundle by an ML-DSA key yet: use an Ed25519 or ECDSA P-256 key")
	}
	type subject struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	}
	var statement bytes.Buffer
	encoder := json.NewEncoder(&statement)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(struct {
		Type          string          `json:"_type"`
		Subject       []subject       `json:"subject"`
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
	}{"https://in-toto.io/Statement/v1", []subject{{filename, map[string]string{"sha256": d.Hex()}}}, predicateType, document})
	if err != nil {
		return nil, "", err
	}
	return dsse.SealBundle(ctx, intoto.PayloadType, bytes.TrimSuffix(statement.Bytes(), []byte("\n")), s)
}

func detach(ctx context.Context, s Signer, file []byte) (signature []byte, keyID string, err error) {
	if keyID, err = dsse.KeyID(s.Public()); err != nil {
		return nil, "", err
	}
	if signature, err = s.Sign(ctx, file); err != nil {
		return nil, "", fmt.Errorf("signing with key %s: %w", keyID, err)
	}
	if !dsse.Holds(s.Public(), file, signature) {
		return nil, "", fmt.Errorf("signing with key %s: the signature is not by this key", keyID)
	}
	return signature, keyID, nil
}
