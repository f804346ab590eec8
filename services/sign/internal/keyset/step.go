package keyset

import (
	"errors"
	"fmt"

	"assize.dev/services/sign/internal/dsse"
)

// Why a version is not one to step to.
var (
	ErrRollback = errors.New("key set: this is an older version")
	ErrGap      = errors.New("key set: versions between are missing")
	ErrFork     = errors.New("key set: this is another history")
)

// Next steps from s, which is trusted, to the version in data. It must be the
// next one, name s as the one before it, and be signed by the threshold of
// the roots of both; it may not take back what s says of a key. The version
// that s is itself is returned as it is.
//
// Expiry is not looked at: an expired version still leads to its successor.
func (s *Set) Next(data []byte) (*Set, error) {
	next, err := Parse(data)
	if err != nil {
		return nil, err
	}
	switch {
	case next.Version < s.Version:
		return nil, fmt.Errorf("%w: %d after %d", ErrRollback, next.Version, s.Version)
	case next.Version > s.Version+1:
		return nil, fmt.Errorf("%w: %d after %d", ErrGap, next.Version, s.Version)
	case next.Version == s.Version && next.digest == s.digest:
		return s, nil
	case next.Version == s.Version:
		return nil, fmt.Errorf("%w: %s is not %s", ErrFork, next, s)
	case next.Previous != s.digest:
		return nil, fmt.Errorf("%w: version %d does not follow %s", ErrFork, next.Version, s)
	}
	if err := next.signedBy(s); err != nil {
		return nil, fmt.Errorf("key set version %d, by the roots of version %d: %w", next.Version, s.Version, err)
	}
	if err := s.forward(next); err != nil {
		return nil, fmt.Errorf("key set version %d: %w", next.Version, err)
	}
	return next, nil
}

// signedBy demands the threshold of the roots of other.
func (s *Set) signedBy(other *Set) error {
	return dsse.Verifiers{Keys: other.rootKeys(), Threshold: other.Threshold, PayloadType: PayloadType}.Verify(s.envelope)
}

// forward refuses what would change the meaning of verdicts that were given:
// keys that disappear, come back, allow more than they did, or join those of
// another version. The roots could sign such a set by mistake only.
func (s *Set) forward(next *Set) error {
	for _, old := range s.Keys {
		k := next.Key(old.KeyID)
		switch {
		case k == nil:
			return fmt.Errorf("key %s is gone: retire or revoke it instead", old.KeyID)
		case k.Status.rank() < old.Status.rank():
			return fmt.Errorf("key %s was %s and is %s", old.KeyID, old.Status, k.Status)
		case k.VerdictThreshold != old.VerdictThreshold:
			return fmt.Errorf("key %s: verdictThreshold was %d and is %d", old.KeyID, old.VerdictThreshold, k.VerdictThreshold)
		case k.Since != old.Since:
			return fmt.Errorf("key %s: since was %d and is %d", old.KeyID, old.Since, k.Since)
		case !k.From.Equal(old.From):
			return fmt.Errorf("key %s: its beginning was moved", old.KeyID)
		case !old.To.IsZero() && (k.To.IsZero() || k.To.After(old.To)):
			return fmt.Errorf("key %s: its end was moved on", old.KeyID)
		}
	}
	for _, k := range next.Keys {
		if s.Key(k.KeyID) == nil && k.Since != next.Version {
			return fmt.Errorf("key %s is new and since is %d", k.KeyID, k.Since)
		}
	}
	return nil
}
