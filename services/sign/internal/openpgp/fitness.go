package openpgp

import (
	"fmt"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// purpose is what a key is to be fit for.
type purpose int

const (
	toSign purpose = iota
	toCertify
)

// fit fails unless a key of the certificate could make signatures at time t;
// sub is nil for the primary key. It returns what became of the key until
// now, that a reader of the signature should know: t is the signer's word.
//
// A revocation without a harmless reason counts for all times, because
// whoever stole a key can choose t. One that says the key is superseded or
// retired counts from when it was made.
func (c *certificate) fit(sub *subkey, what purpose, t, now time.Time) (remarks []string, err error) {
	if remarks, err = revoked("certificate", c.revocations, t); err != nil {
		return nil, err
	}
	self, bound := c.self(t)
	if self == nil {
		return nil, fmt.Errorf("certificate had no valid self-signature on %s", day(t))
	}
	if c.primary.CreationTime.After(t) {
		return nil, fmt.Errorf("signature is older than the key, which is from %s", day(c.primary.CreationTime))
	}
	end := keyEnd(c.primary, self)
	if direct := newest(c.direct, bound); direct != nil {
		end = earlier(end, keyEnd(c.primary, direct))
	}
	flags := self
	if sub != nil {
		more, err := revoked("subkey", sub.revocations, t)
		if err != nil {
			return nil, err
		}
		remarks = append(remarks, more...)
		if len(sub.bindings) == 0 {
			return nil, fmt.Errorf("subkey is not bound to its certificate: %w", sub.unbound)
		}
		subBound := boundary(sub.bindings, t)
		flags = newest(sub.bindings, subBound)
		if flags == nil {
			return nil, fmt.Errorf("subkey was not bound to its certificate on %s", day(t))
		}
		if flags.FlagSign && expired(flags.EmbeddedSignature, subBound) {
			return nil, fmt.Errorf("subkey's cross-signature had expired on %s", day(t))
		}
		if sub.key.CreationTime.After(t) {
			return nil, fmt.Errorf("signature is older than the subkey, which is from %s", day(sub.key.CreationTime))
		}
		end = earlier(end, keyEnd(sub.key, flags))
		if subBound.After(bound) {
			bound = subBound
		}
	}
	if !end.IsZero() && t.After(end) {
		return nil, fmt.Errorf("key expired on %s, before the signature was made", day(end))
	}
	if what == toSign && !flags.FlagSign || what == toCertify && flags.FlagsValid && !flags.FlagCertify {
		return nil, fmt.Errorf("key is not marked as one that may sign")
	}
	if !end.IsZero() && now.After(end) {
		remarks = append(remarks, fmt.Sprintf("key expired on %s", day(end)))
	}
	if bound.After(t) {
		remarks = append(remarks, fmt.Sprintf("certificate holds no self-signature from before %s", day(bound)))
	}
	return remarks, nil
}

// revoked fails if revocations forbid signatures of time t, and remarks on
// those that do not.
func revoked(what string, revocations []*packet.Signature, t time.Time) (remarks []string, err error) {
	for _, r := range revocations {
		if hard(r) {
			return nil, fmt.Errorf("%s is revoked (%s)", what, reason(r))
		}
		if !r.CreationTime.After(t) {
			return nil, fmt.Errorf("%s was revoked (%s) on %s", what, reason(r), day(r.CreationTime))
		}
		remarks = append(remarks, fmt.Sprintf("%s revoked (%s) on %s", what, reason(r), day(r.CreationTime)))
	}
	return remarks, nil
}

// hard says whether a revocation makes even earlier signatures worthless.
func hard(r *packet.Signature) bool {
	return r.RevocationReason == nil ||
		*r.RevocationReason != packet.KeySuperseded && *r.RevocationReason != packet.KeyRetired
}

// reason is that of a revocation, RFC 9580 section 5.2.3.31.
func reason(r *packet.Signature) string {
	if r.RevocationReason == nil {
		return "no reason given"
	}
	switch *r.RevocationReason {
	case packet.NoReason:
		return "no reason given"
	case packet.KeySuperseded:
		return "superseded"
	case packet.KeyCompromised:
		return "compromised"
	case packet.KeyRetired:
		return "retired"
	}
	return "unknown reason"
}

// self is the self-signature that holds the primary key's properties at time
// t, and the time whose signatures were looked at. For version 4 keys it is
// that of the primary user id, RFC 9580 section 5.2.3.27, or of the key itself
// where there is none.
func (c *certificate) self(t time.Time) (*packet.Signature, time.Time) {
	bound := boundary(c.selves(), t)
	if c.primary.Version < 6 {
		var best *packet.Signature
		for _, u := range c.users {
			s := newest(u.selfs, bound)
			if s == nil || u.revoked(s, bound) {
				continue
			}
			if best == nil || isPrimary(s) && !isPrimary(best) ||
				isPrimary(s) == isPrimary(best) && s.CreationTime.After(best.CreationTime) {
				best = s
			}
		}
		if best != nil {
			return best, bound
		}
	}
	return newest(c.direct, bound), bound
}

func isPrimary(s *packet.Signature) bool { return s.IsPrimaryId != nil && *s.IsPrimaryId }

// revoked tells whether at time t the owner had revoked what s certified. A
// later certification takes a revocation back.
func (u user) revoked(s *packet.Signature, t time.Time) bool {
	return slices.ContainsFunc(u.revocations, func(r *packet.Signature) bool {
		return !r.CreationTime.Before(s.CreationTime) && !r.CreationTime.After(t)
	})
}

// boundary is the time whose self-signatures say what a key was at time t:
// that time itself, or that of the oldest of them if all are from later.
// Exports for keyrings keep only the newest self-signature, which then speaks
// for the whole life of the key: its expiry counts from the key's creation.
func boundary(selfs []*packet.Signature, t time.Time) time.Time {
	var oldest time.Time
	for _, s := range selfs {
		if !s.CreationTime.After(t) {
			return t
		}
		oldest = earlier(oldest, s.CreationTime)
	}
	if oldest.IsZero() {
		return t
	}
	return oldest
}

// newest is the newest of the self-signatures in force at time t, or nil.
func newest(selfs []*packet.Signature, t time.Time) (found *packet.Signature) {
	for _, s := range selfs {
		if !s.CreationTime.After(t) && !expired(s, t) && (found == nil || s.CreationTime.After(found.CreationTime)) {
			found = s
		}
	}
	return found
}

// expired tells whether the signature itself had expired at time t.
func expired(s *packet.Signature, t time.Time) bool {
	end := signatureEnd(s)
	return !end.IsZero() && t.After(end)
}

// signatureEnd is the last moment of a signature, zero if it does not expire.
func signatureEnd(s *packet.Signature) time.Time {
	return after(s.CreationTime, s.SigLifetimeSecs)
}

// keyEnd is the last moment of a key, zero if it does not expire.
func keyEnd(key *packet.PublicKey, self *packet.Signature) time.Time {
	return after(key.CreationTime, self.KeyLifetimeSecs)
}

func after(t time.Time, seconds *uint32) time.Time {
	if seconds == nil || *seconds == 0 {
		return time.Time{}
	}
	return t.Add(time.Duration(*seconds) * time.Second)
}

// earlier is the earlier of two ends; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
