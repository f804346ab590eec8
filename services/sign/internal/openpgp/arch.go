package openpgp

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// archVouchers is how many master keys must vouch for a packager's
// certificate: GnuPG's three of marginal trust, which is what 4 means in
// Arch's files.
const archVouchers = 3

// maxArchLines bounds a list of fingerprints; Arch's longest has 100.
const maxArchLines = 2000

// archKeyring reads a keyring by Arch's rule. Certificates listed in trusted
// are master keys, and no packagers. Of the others, those count for which at
// least three master keys vouch. What is listed in revoked is as if it did
// not exist. A master key that has been revoked, whatever the reason, vouches
// for nobody.
func archKeyring(data, trusted, revoked []byte) (*Keyring, error) {
	masters, err := archList(trusted, ":4:")
	if err != nil {
		return nil, fmt.Errorf("list of master keys: %w", err)
	}
	dropped, err := archList(revoked, "")
	if err != nil {
		return nil, fmt.Errorf("list of revoked keys: %w", err)
	}
	if len(masters) < archVouchers {
		return nil, fmt.Errorf("list of master keys names %d, fewer than the %d that must vouch for a key", len(masters), archVouchers)
	}
	all, err := readKeyring(data, func(sig *packet.Signature) bool {
		return slices.ContainsFunc(masters, func(m string) bool { return names(issuer(sig), m) })
	})
	if err != nil {
		return nil, err
	}
	var vouching []*certificate
	for _, m := range masters {
		i := slices.IndexFunc(all, func(c *certificate) bool { return c.fingerprint == m })
		switch {
		case i < 0:
			return nil, fmt.Errorf("master key %s is listed and not in the keyring", m)
		case all[i].unused == nil && len(all[i].revocations) == 0 && !slices.Contains(dropped, m):
			vouching = append(vouching, all[i])
		}
	}
	if len(vouching) < archVouchers {
		return nil, fmt.Errorf("%d of %d master keys can be used, fewer than the %d that must vouch for a key", len(vouching), len(masters), archVouchers)
	}
	for _, c := range all {
		switch {
		case slices.Contains(dropped, c.fingerprint):
			c.barred = "listed as revoked"
		case slices.Contains(masters, c.fingerprint) || c.unused != nil:
		default:
			if a := c.vouchedBy(vouching); len(a) >= archVouchers {
				c.admissions = []admission{a}
			} else {
				c.barred = fmt.Sprintf("%d master keys vouch for it, want %d", len(a), archVouchers)
			}
		}
		for i := range c.users {
			c.users[i].foreign = nil // have served
		}
	}
	return newKeyring(all), nil
}

// archList reads fingerprints, one a line and followed by suffix. Empty lines
// and lines that begin with # say nothing.
func archList(file []byte, suffix string) (fingerprints []string, err error) {
	for i, line := range strings.Split(string(file), "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line == "" || line[0] == '#' {
			continue
		}
		text, ok := strings.CutSuffix(line, suffix)
		f, err := hex.DecodeString(text)
		if !ok || err != nil || len(f) != 20 && len(f) != 32 {
			return nil, fmt.Errorf("line %d: %.100q, want a fingerprint followed by %q", i+1, line, suffix)
		}
		text = strings.ToUpper(text)
		if slices.Contains(fingerprints, text) {
			return nil, fmt.Errorf("line %d: %s for the second time", i+1, text)
		}
		if len(fingerprints) == maxArchLines {
			return nil, fmt.Errorf("more than %d lines", maxArchLines)
		}
		fingerprints = append(fingerprints, text)
	}
	return fingerprints, nil
}

// vouchedBy finds the masters that vouch for the certificate. For each it is
// the end of the certification or of the master's key, whichever is first.
func (c *certificate) vouchedBy(masters []*certificate) admission {
	a := admission{}
	for _, m := range masters {
		var best *time.Time
		for _, u := range c.users {
			// Revoked at any time is revoked: this is about the key as it is.
			last := slices.MaxFunc(u.selfs, func(a, b *packet.Signature) int { return a.CreationTime.Compare(b.CreationTime) })
			if slices.ContainsFunc(u.revocations, func(r *packet.Signature) bool { return !r.CreationTime.Before(last.CreationTime) }) {
				continue
			}
			end, ok := m.vouches(c, u)
			if ok && (best == nil || !best.IsZero() && (end.IsZero() || end.After(*best))) {
				best = &end
			}
		}
		if best != nil {
			a = append(a, *best)
		}
	}
	return a
}

// vouches tells whether master m has certified a user id of c and not taken
// that back, and until when that counts. Its last word decides, and a
// revocation of the same second is after the certification.
func (m *certificate) vouches(c *certificate, u user) (end time.Time, ok bool) {
	var last *packet.Signature
	for _, sig := range u.foreign {
		revokes := sig.SigType == packet.SigTypeCertificationRevocation
		if !names(issuer(sig), m.fingerprint) || !revokes && (!certifies(sig.SigType) || checkSignature(sig) != nil) ||
			sameVersion(sig, m.primary) != nil || m.primary.VerifyUserIdSignature(u.id, c.primary, sig) != nil {
			continue
		}
		if last == nil || sig.CreationTime.After(last.CreationTime) || revokes && sig.CreationTime.Equal(last.CreationTime) {
			last = sig
		}
	}
	if last == nil || last.SigType == packet.SigTypeCertificationRevocation {
		return end, false
	}
	if _, err := m.fit(nil, toCertify, last.CreationTime, last.CreationTime); err != nil {
		return end, false
	}
	self, bound := m.self(latest)
	if self == nil {
		return end, false
	}
	end = earlier(signatureEnd(last), keyEnd(m.primary, self))
	if direct := newest(m.direct, bound); direct != nil {
		end = earlier(end, keyEnd(m.primary, direct))
	}
	return end, true
}

// latest is after every time that a signature can have, which is in 32 bits.
var latest = time.Unix(1<<32, 0)
