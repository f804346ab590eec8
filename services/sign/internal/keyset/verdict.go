package keyset

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"assize.dev/services/sign/internal/dsse"
)

// Why a set cannot say whether a verdict counts, as opposed to saying that it
// does not.
var (
	ErrUnknownKey = errors.New("none of the keys that are named is in the key set")
	ErrNewer      = errors.New("the verdict is by a newer version of the key set")
)

// Open returns the payload of an envelope, or of the one inside a Sigstore
// bundle, that at least one key of the set signed, and those keys, whatever
// their status. Whether that is enough is for Check to say, once the payload
// was read.
//
// The error wraps ErrUnknownKey if no signature even claims to be by a key of
// the set. That rests on names that anyone can write, and so is never a pass.
func (s *Set) Open(data []byte) (payload []byte, signers []Key, err error) {
	e, err := dsse.Parse(data)
	if err != nil {
		return nil, nil, err
	}
	if e.PayloadType != dsse.PayloadType {
		return nil, nil, fmt.Errorf("envelope's payload type is %.80q, want %s", e.PayloadType, dsse.PayloadType)
	}
	var all []crypto.PublicKey
	for _, k := range s.Keys {
		all = append(all, k.Public)
	}
	for _, public := range e.SignedBy(all) {
		id, _ := dsse.KeyID(public) // of a key that was checked when it was parsed
		signers = append(signers, *s.Key(id))
	}
	if len(signers) > 0 {
		return e.Payload, signers, nil
	}
	var names []string
	for _, sig := range e.Signatures {
		if s.Key(sig.KeyID) != nil {
			return nil, nil, fmt.Errorf("%w: no signature by a key of the set, though %s is named", dsse.ErrThreshold, sig.KeyID)
		}
		names = append(names, sig.KeyID)
	}
	return nil, nil, fmt.Errorf("%w: %.200q; the set is %s", ErrUnknownKey, names, s)
}

// Check says whether the keys that signed a verdict make it count: it was
// given at the time at, with version of the set. Keys that are revoked, or
// whose time it was not, do not count, and of the others one group must be
// there with as many as it says.
func (s *Set) Check(signers []Key, at time.Time, version int) error {
	if version > s.Version {
		return fmt.Errorf("%w: %d, this is %d", ErrNewer, version, s.Version)
	}
	var fit []Key
	var against []string
	for _, k := range signers {
		if why := k.unfit(at); why != "" {
			against = append(against, why)
		} else {
			fit = append(fit, k)
		}
	}
	if enough(fit) {
		return nil
	}
	for _, k := range fit {
		against = append(against, fmt.Sprintf("a verdict by key %s needs %d signatures, by keys that version %d added: one was stripped, "+
			"or this is a Sigstore bundle, which holds one only, and the .dsse.json has all", k.KeyID, k.VerdictThreshold, k.Since))
	}
	return errors.New(strings.Join(against, "; "))
}

// enough tells whether there are as many signatures as some group of keys
// needs. Those by keys of other groups do not help it: of two pairs, each with
// a half that was broken or revoked, the other halves would make a third.
func enough(signed []Key) bool {
	type group struct{ since, threshold int }
	count := make(map[group]int)
	for _, k := range signed {
		g := group{k.Since, k.VerdictThreshold}
		if count[g]++; count[g] == g.threshold {
			return true
		}
	}
	return false
}

// unfit is why the key cannot have given a verdict at that time.
func (k *Key) unfit(at time.Time) string {
	switch {
	case k.Status == Revoked:
		return fmt.Sprintf("key %s is revoked since %s: %s", k.KeyID, k.Revoked.Format(time.RFC3339), k.Reason)
	case at.Before(k.From):
		return fmt.Sprintf("key %s gave no verdicts at %s, before %s", k.KeyID, at.Format(time.RFC3339), k.From.Format(time.RFC3339))
	case !k.To.IsZero() && at.After(k.To):
		return fmt.Sprintf("key %s is retired and gave no verdicts at %s, after %s", k.KeyID, at.Format(time.RFC3339), k.To.Format(time.RFC3339))
	}
	return ""
}

// Before tells whether a time is before all those that the active keys give
// verdicts at. No later version changes that, as long as clocks go forward: a
// key's beginning stays, and those of new keys come later. Without an active
// key it is false.
func (s *Set) Before(at time.Time) bool {
	active := s.Active()
	return len(active) > 0 && !slices.ContainsFunc(active, func(k Key) bool { return !at.Before(k.From) })
}

// MaySign says whether these keys, in use to sign now, give verdicts that
// those who have this version accept: all of them active, each key once, and
// as many as they say.
func (s *Set) MaySign(public []crypto.PublicKey) ([]Key, error) {
	var all []Key
	for _, p := range public {
		id, err := dsse.KeyID(p)
		if err != nil {
			return nil, err
		}
		k := s.Key(id)
		switch {
		case k == nil:
			return nil, fmt.Errorf("key %s is not in the key set, %s", id, s)
		case slices.ContainsFunc(all, func(known Key) bool { return known.KeyID == id }):
			return nil, fmt.Errorf("key %s is given twice", id)
		case k.Status != Active:
			return nil, fmt.Errorf("key %s is %s in the key set, %s: sign with its successor", id, k.Status, s)
		}
		all = append(all, *k)
	}
	switch {
	case len(all) == 0:
		return nil, fmt.Errorf("no active key in the key set, %s: make one with \"assize keys rotate\"", s)
	case !enough(all):
		return nil, fmt.Errorf("key %s signs only together with others, %d keys in all; %d are configured",
			all[0].KeyID, all[0].VerdictThreshold, len(all))
	}
	return all, nil
}
