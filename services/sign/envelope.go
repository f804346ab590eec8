package sign

import (
	"crypto"
	"fmt"

	"assize.dev/services/sign/internal/attest"
	"assize.dev/services/sign/internal/dsse"
)

// Statement is an in-toto statement that was verified. Its Verdict method
// reads our own predicate.
type Statement = attest.Statement

// VerdictPredicate is what a verdict's statement says.
type VerdictPredicate = attest.VerdictPredicate

// VerifyEnvelope checks that the key public, Ed25519 or ECDSA P-256, signed a
// DSSE envelope, bare or inside a Sigstore bundle, and returns the statement.
// Whether it is about the bytes at hand (Statement.About) and what it says
// are the caller's to check.
func VerifyEnvelope(public crypto.PublicKey, envelope []byte) (*Statement, error) {
	payload, err := dsse.Open(public, envelope)
	if err != nil {
		return nil, fmt.Errorf("verifying verdict: %w", err)
	}
	statement, err := attest.ParseStatement(payload)
	if err != nil {
		return nil, fmt.Errorf("verifying verdict: %w", err)
	}
	return statement, nil
}
