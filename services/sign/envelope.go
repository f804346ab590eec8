package sign

import (
	"crypto"
	"errors"
	"fmt"
	"time"

	"assize.dev/services/sign/internal/attest"
	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/keyset"
)

// Statement is an in-toto statement that was verified. Its Verdict method
// reads our own predicate.
type Statement = attest.Statement

// VerdictPredicate is what a verdict's statement says.
type VerdictPredicate = attest.VerdictPredicate

// Finding is what a verdict or a verification summary says.
type Finding = attest.Finding

// VerifyEnvelope checks that the key public signed a DSSE envelope, bare or
// inside a Sigstore bundle, and returns the statement. Whether it is about
// the bytes at hand (Statement.About) and what it says are the caller's to
// check.
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

// Verified is a verdict whose signatures hold.
type Verified struct {
	*Statement
	*Finding
	KeyIDs []string // of those who signed, as far as their keys are known
}

// ErrUntrusted says of a verdict that nothing is known to be wrong with it,
// and that the keys at hand cannot say that it counts: it names none of them,
// or the key set is older than the verdict or too old to go by.
var ErrUntrusted = errors.New("nothing says that this verdict counts")

// VerifyVerdict checks a verdict or a verification summary of our own against
// a key set: as many keys as are needed signed it, none of them is revoked,
// and each gave verdicts at its time.
func VerifyVerdict(set *KeySet, envelope []byte, now time.Time) (*Verified, error) {
	if err := set.Fresh(now); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	payload, signers, err := set.Open(envelope)
	if errors.Is(err, keyset.ErrUnknownKey) {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	if err != nil {
		return nil, fmt.Errorf("verifying verdict: %w", err)
	}
	v, err := read(payload)
	if err != nil {
		return nil, err
	}
	err = set.Check(signers, v.Finding.Time, v.KeyVersion)
	if errors.Is(err, keyset.ErrNewer) {
		return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	if err != nil {
		return nil, fmt.Errorf("verifying verdict: %w", err)
	}
	for _, k := range signers {
		v.KeyIDs = append(v.KeyIDs, k.KeyID)
	}
	return v, nil
}

// VerifyVerdictBy checks that one key, which the caller trusts, signed a
// verdict or a verification summary of our own.
func VerifyVerdictBy(public crypto.PublicKey, envelope []byte) (*Verified, error) {
	payload, err := dsse.Open(public, envelope)
	if err != nil {
		return nil, fmt.Errorf("verifying verdict: %w", err)
	}
	v, err := read(payload)
	if err != nil {
		return nil, err
	}
	id, err := dsse.KeyID(public)
	v.KeyIDs = []string{id}
	return v, err
}

// read reads what is signed.
func read(payload []byte) (*Verified, error) {
	statement, err := attest.ParseStatement(payload)
	if err != nil {
		return nil, fmt.Errorf("verifying verdict: %w", err)
	}
	finding, err := statement.Finding()
	if err != nil {
		return nil, fmt.Errorf("verifying verdict: %w", err)
	}
	return &Verified{Statement: statement, Finding: finding}, nil
}
