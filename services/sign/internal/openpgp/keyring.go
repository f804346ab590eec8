package openpgp

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// MaxKeyring bounds one keyring file, in bytes. Debian's has 25 MiB.
const MaxKeyring = 64 << 20

// Keyring is a set of certificates to verify with. It never changes and is
// for concurrent use. The nil Keyring is empty.
type Keyring struct {
	// By primary fingerprint. Those that cannot be used are there too: what
	// they say of revocations counts when keyrings are merged.
	certificates map[string]*certificate
	keys         map[string][]keyRef // of those that can, by key id
	skipped      []string
}

// keyRef is one key of a certificate; sub is nil for the primary key.
type keyRef struct {
	of  *certificate
	sub *subkey
}

func (r keyRef) key() *packet.PublicKey {
	if r.sub != nil {
		return r.sub.key
	}
	return r.of.primary
}

// ParseKeyring reads certificates, binary or in any number of armored blocks
// with text around them. It fails for anything that is malformed, so that a
// damaged file never is a smaller keyring. What is well-formed and cannot be
// used is in Skipped.
func ParseKeyring(data []byte) (*Keyring, error) {
	certificates, err := readKeyring(data, nil)
	if err != nil {
		return nil, err
	}
	for _, c := range certificates {
		c.admissions = []admission{nil}
	}
	return newKeyring(certificates), nil
}

// readKeyring reads all certificates in data, each once, and those that
// cannot be used too.
func readKeyring(data []byte, keep func(*packet.Signature) bool) ([]*certificate, error) {
	if len(data) > MaxKeyring {
		return nil, fmt.Errorf("keyring of %d bytes, at most %d are allowed", len(data), MaxKeyring)
	}
	streams := [][]byte{data}
	if !binaryPackets(data) {
		if len(data) > 12 && string(data[8:12]) == "KBXf" {
			return nil, fmt.Errorf("a GnuPG keybox, write a keyring with gpg --export")
		}
		blocks, err := readArmored(data, armorKeys, true)
		if err != nil {
			return nil, err
		}
		streams = blocks
	}
	var found []parts
	place := map[string]int{} // of the certificate with this key packet
	for _, stream := range streams {
		certificates, err := splitCertificates(stream)
		if err != nil {
			return nil, err
		}
		for _, p := range certificates {
			i, again := place[string(p[0].body)]
			if !again {
				place[string(p[0].body)] = len(found)
				found = append(found, p)
				continue
			}
			if found[i], err = union(found[i], p); err != nil {
				return nil, fmt.Errorf("certificate %d: %w", i+1, err)
			}
		}
	}
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("holds no certificate")
	case len(found) > MaxCertificates:
		return nil, fmt.Errorf("more than %d certificates", MaxCertificates)
	}
	certificates := make([]*certificate, len(found))
	for i, p := range found {
		c, err := readCertificate(p, keep)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i+1, err)
		}
		certificates[i] = c
	}
	return certificates, nil
}

// newKeyring sorts the certificates, so that those which share a key id are
// tried in the same order everywhere.
func newKeyring(certificates []*certificate) *Keyring {
	slices.SortFunc(certificates, func(a, b *certificate) int { return cmp.Compare(a.fingerprint, b.fingerprint) })
	k := &Keyring{certificates: map[string]*certificate{}, keys: map[string][]keyRef{}}
	for _, c := range certificates {
		k.certificates[c.fingerprint] = c
		switch {
		case c.unused != nil:
			k.skip(c, c.unused.Error())
		case len(c.admissions) == 0 && c.barred != "":
			k.skip(c, c.barred)
		case len(c.admissions) > 0:
			k.add(keyRef{c, nil})
			for _, sub := range c.subkeys {
				k.add(keyRef{c, sub})
			}
			for _, note := range c.notes {
				k.skip(c, note)
			}
		}
	}
	slices.Sort(k.skipped)
	return k
}

func (k *Keyring) skip(c *certificate, why string) {
	k.skipped = append(k.skipped, c.fingerprint+": "+why)
}

// add makes a key known by its key id, which it may share with others.
func (k *Keyring) add(r keyRef) {
	id := fmt.Sprintf("%016X", r.key().KeyId)
	k.keys[id] = append(k.keys[id], r)
}

// Merge is a keyring of all certificates in rings. Of a certificate that is in
// several, everything counts that any of the copies says: above all, a
// revocation. It has to meet what each of the rings that have it among their
// Fingerprints demands (see LoadKeyring), so that none of them has a signature
// put down to it that it would not take alone. Rings that leave it out demand
// nothing.
func Merge(rings ...*Keyring) *Keyring {
	all := map[string]*certificate{}
	for _, ring := range rings {
		if ring == nil {
			continue
		}
		for fingerprint, c := range ring.certificates {
			if known := all[fingerprint]; known != nil {
				c = merge(known, c)
			}
			all[fingerprint] = c
		}
	}
	return newKeyring(slices.Collect(maps.Values(all))) // which sorts them
}

// merge makes one certificate of two copies.
func merge(a, b *certificate) *certificate {
	p, err := union(a.parts, b.parts)
	if err != nil {
		return &certificate{fingerprint: a.fingerprint, parts: a.parts, unused: err}
	}
	c, err := readCertificate(p, nil)
	if err != nil { // cannot be: both were read before
		return &certificate{fingerprint: a.fingerprint, parts: p, unused: err}
	}
	c.admissions = slices.Concat(a.admissions, b.admissions)
	c.barred = cmp.Or(a.barred, b.barred)
	return c
}

// Len is the number of certificates.
func (k *Keyring) Len() int { return len(k.Fingerprints()) }

// Fingerprints are those of the primary keys, in upper-case hexadecimal as gpg
// prints them, sorted.
func (k *Keyring) Fingerprints() []string {
	if k == nil {
		return nil
	}
	var all []string
	for fingerprint, c := range k.certificates {
		if c.usable() {
			all = append(all, fingerprint)
		}
	}
	slices.Sort(all)
	return all
}

func (c *certificate) usable() bool { return c.unused == nil && len(c.admissions) > 0 }

// Skipped tells what the files hold and the keyring does not, with the reason,
// one line each: certificates, user ids and subkeys.
func (k *Keyring) Skipped() []string {
	if k == nil {
		return nil
	}
	return slices.Clone(k.skipped)
}

// Digest identifies everything that decides about signatures: two keyrings
// with the same digest verify alike. It does not depend on the order or the
// encoding of files.
func (k *Keyring) Digest() string {
	h := sha256.New()
	for _, fingerprint := range k.Fingerprints() {
		c := k.certificates[fingerprint]
		fmt.Fprintf(h, "%s %s", fingerprint, c.parts.digest())
		for _, line := range c.terms() {
			fmt.Fprintf(h, " %s", line)
		}
		fmt.Fprintln(h)
	}
	return fmt.Sprintf("sha256:%x", h.Sum(nil))
}

// keysOf are the keys that may have made sig, by what it says.
func (k *Keyring) keysOf(sig *packet.Signature) (found []keyRef) {
	if k == nil {
		return nil
	}
	by := issuer(sig)
	for _, ref := range k.keys[keyID(by)] {
		if names(by, fmt.Sprintf("%X", ref.key().Fingerprint)) {
			found = append(found, ref)
		}
	}
	return found
}

// unknown says that a key is not in the keyring, and why if a file holds it.
func (k *Keyring) unknown(issuer string) string {
	reason := issuer + " is not in the keyring"
	if k == nil {
		return reason
	}
	for _, line := range k.skipped {
		if strings.Contains(line, issuer) {
			return reason + ", it was skipped: " + line
		}
	}
	return reason
}

// admission says how long a certificate may be used because of others that
// vouch for it: the last moment of each, zero for ever. Nil is without
// condition.
type admission []time.Time

// admitted tells whether the rules of all keyrings that took the certificate
// let it be used at time t.
func (c *certificate) admitted(t time.Time) bool {
	return len(c.admissions) > 0 && !slices.ContainsFunc(c.admissions, func(a admission) bool {
		return a != nil && a.vouchers(t) < archVouchers
	})
}

func (a admission) vouchers(t time.Time) (n int) {
	for _, end := range a {
		if end.IsZero() || !t.After(end) {
			n++
		}
	}
	return n
}

// terms are the admissions for Digest.
func (c *certificate) terms() (lines []string) {
	for _, a := range c.admissions {
		ends := slices.SortedFunc(slices.Values(a), time.Time.Compare)
		line := "any"
		if a != nil {
			line = "until"
		}
		for _, end := range ends {
			line += fmt.Sprintf(",%d", end.Unix())
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}
