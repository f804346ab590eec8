package keyset

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"assize.dev/services/sign/internal/dsse"
)

// Draft is a version that nobody signed yet.
type Draft struct {
	set  Set
	from *Set // the version before, nil for the first
}

// How far the times of verdicts may be from the moment a key changes. A
// verdict's time is when its evidence was complete: it may have waited for a
// signature through an outage, and be stamped by a clock that is ahead.
const (
	waited = 30 * 24 * time.Hour
	skew   = 5 * time.Minute
)

// Change says what else the next version is to say.
type Change struct {
	Now     time.Time
	Expires time.Time // zero: never
	Reason  string    // what becomes of the keys it is about, for people
}

// First makes version 1. Its keys are active and have no beginning, so that
// verdicts from before there was a set are theirs too.
func First(roots []crypto.PublicKey, threshold int, verdictKeys []crypto.PublicKey, c Change) (*Draft, error) {
	d := &Draft{set: Set{Version: 1, Threshold: threshold, Expires: c.Expires.UTC()}}
	if err := d.setRoots(roots); err != nil {
		return nil, err
	}
	return d, d.addKeys(verdictKeys, time.Time{})
}

// Rotate makes verdictKeys the active ones and retires those that were. When
// there are several every one of them must sign.
func (s *Set) Rotate(verdictKeys []crypto.PublicKey, c Change) (*Draft, error) {
	d := s.draft(c)
	now := second(c.Now)
	for i := range d.set.Keys {
		if k := &d.set.Keys[i]; k.Status == Active {
			k.Status, k.To, k.Reason = Retired, now.Add(skew), c.Reason
		}
	}
	return d, d.addKeys(verdictKeys, now.Add(-waited))
}

// Revoke makes every verdict of a key count for nothing, whenever it was
// given.
func (s *Set) Revoke(keyID string, c Change) (*Draft, error) {
	d := s.draft(c)
	k := d.set.Key(keyID)
	switch {
	case k == nil:
		return nil, fmt.Errorf("no key %.80q in the set: see \"assize keys show\"", keyID)
	case k.Status == Revoked:
		return nil, fmt.Errorf("key %s is revoked already", keyID)
	case c.Reason == "":
		return nil, errors.New("why is the key revoked? Say it to those who find that its verdicts do not count")
	}
	k.Status, k.Revoked, k.Reason = Revoked, second(c.Now), c.Reason
	return d, nil
}

// Reroot replaces the roots. The old ones must sign this version too.
func (s *Set) Reroot(roots []crypto.PublicKey, threshold int, c Change) (*Draft, error) {
	d := s.draft(c)
	d.set.Roots, d.set.Threshold = nil, threshold
	return d, d.setRoots(roots)
}

func (s *Set) draft(c Change) *Draft {
	next := *s
	next.Version, next.Previous, next.Expires = s.Version+1, s.digest, c.Expires.UTC()
	next.Roots, next.Keys = slices.Clone(s.Roots), slices.Clone(s.Keys)
	return &Draft{next, s}
}

func (d *Draft) setRoots(roots []crypto.PublicKey) error {
	for _, public := range roots {
		id, text, err := named(public)
		if err != nil {
			return fmt.Errorf("root: %w", err)
		}
		d.set.Roots = append(d.set.Roots, Root{KeyID: id, PEM: text, Public: public})
	}
	return nil
}

func (d *Draft) addKeys(verdictKeys []crypto.PublicKey, from time.Time) error {
	if len(verdictKeys) == 0 {
		return errors.New("no new key")
	}
	for _, public := range verdictKeys {
		id, text, err := named(public)
		if err != nil {
			return err
		}
		if d.set.Key(id) != nil {
			return fmt.Errorf("key %s is or was in the set: a new key is needed", id)
		}
		d.set.Keys = append(d.set.Keys, Key{
			KeyID: id, PEM: text, Public: public, Use: useVerdict, Status: Active,
			VerdictThreshold: len(verdictKeys), Since: d.set.Version, From: from,
		})
	}
	return nil
}

func named(public crypto.PublicKey) (id, text string, err error) {
	if id, err = dsse.KeyID(public); err == nil {
		text, err = EncodePEM(public)
	}
	return id, text, err
}

// second drops what RFC 3339 need not show.
func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// Seal signs the draft with roots, and refuses to when clients would refuse
// the result: the new version and its file.
func Seal[S dsse.Signer](ctx context.Context, d *Draft, roots ...S) (*Set, []byte, error) {
	payload, err := json.Marshal(d.set)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding key set: %w", err)
	}
	data, err := dsse.Seal(ctx, PayloadType, payload, roots...)
	if err != nil {
		return nil, nil, fmt.Errorf("signing key set: %w", err)
	}
	next := Parse
	if d.from != nil {
		next = d.from.Next
	}
	s, err := next(data)
	if err != nil {
		return nil, nil, err
	}
	return s, data, nil
}
