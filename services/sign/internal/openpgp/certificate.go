package openpgp

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// maxOwnSignatures bounds how many signatures of one certificate are verified
// when it is loaded.
const maxOwnSignatures = 2000

// certificate is a primary key with what its owner says about it. Only
// signatures that hold and are strong are in it. It is never changed once it
// is in a Keyring.
type certificate struct {
	fingerprint string // of the primary key, as gpg prints it
	parts       parts  // what the rest was read from
	primary     *packet.PublicKey
	revocations []*packet.Signature // of the primary key
	direct      []*packet.Signature // direct-key self-signatures
	users       []user
	subkeys     []*subkey
	notes       []string // what of it is not used, and why
	broken      error    // why a self-signature does not count, if one does not
	budget      int      // signatures that may still be verified

	unused     error       // why it cannot be used at all
	admissions []admission // by the rules of the keyrings that hold it
	barred     string      // why there are none
}

// user is a user id that the owner certified.
type user struct {
	id          string
	selfs       []*packet.Signature
	revocations []*packet.Signature
	foreign     []*packet.Signature // certifications and revocations by others, for Arch's rule
}

// subkey is a key that the owner bound to the primary key.
type subkey struct {
	key         *packet.PublicKey
	bindings    []*packet.Signature // each that allows to sign has a good cross-signature
	revocations []*packet.Signature
	unbound     error // why there are no bindings
}

// errUnused says of a certificate that it is well-formed and cannot be used.
type errUnused struct{ reason error }

func (e errUnused) Error() string { return e.reason.Error() }

func unused(format string, args ...any) error { return errUnused{fmt.Errorf(format, args...)} }

// readCertificate verifies the self-signatures in p. Certifications by others
// are only kept where keep says so. It fails if p is malformed.
func readCertificate(p parts, keep func(*packet.Signature) bool) (*certificate, error) {
	c := &certificate{fingerprint: fingerprint(p[0].body), budget: maxOwnSignatures}
	err := c.readAll(p, keep)
	if err == nil {
		return c, nil
	}
	if why := (errUnused{}); errors.As(err, &why) {
		c.unused, c.parts = why.reason, p
		return c, nil
	}
	return nil, fmt.Errorf("%s: %w", c.fingerprint, err)
}

// fingerprint is that of the key in a packet, RFC 9580 section 5.5.4. For
// versions that are not supported it is only something to call the key by.
func fingerprint(key []byte) string {
	switch {
	case len(key) > 0 && key[0] == 4:
		h := sha1.New()
		h.Write([]byte{0x99, byte(len(key) >> 8), byte(len(key))})
		h.Write(key)
		return fmt.Sprintf("%X", h.Sum(nil))
	case len(key) > 0 && key[0] == 6:
		h := sha256.New()
		h.Write(binary.BigEndian.AppendUint32([]byte{0x9b}, uint32(len(key))))
		h.Write(key)
		return fmt.Sprintf("%X", h.Sum(nil))
	}
	return fmt.Sprintf("unsupported key with SHA-256 %x", sha256.Sum256(key))
}

func (c *certificate) readAll(p parts, keep func(*packet.Signature) bool) (err error) {
	if c.primary, err = parseKey(p[0].rawPacket); err != nil {
		return err
	}
	if err := checkKey(c.primary); err != nil {
		return errUnused{err}
	}
	for _, part := range p {
		if err := c.stray(part); err != nil {
			return err
		}
		switch part.tag {
		case tagPublicKey:
			err = c.readPrimary(part)
		case tagUserID:
			c.readUser(part, keep)
		case tagPublicSubkey:
			err = c.readSubkey(part)
		}
		if err != nil {
			return err
		}
	}
	switch {
	case c.budget < 0:
		return unused("it holds more than %d signatures by its own key", maxOwnSignatures)
	case len(c.selves()) == 0 && c.broken == nil:
		return unused("it has no self-signature")
	case len(c.selves()) == 0:
		return unused("its self-signature does not count: %w", c.broken)
	}
	return nil
}

// parseKey reads a public key or subkey.
func parseKey(raw rawPacket) (*packet.PublicKey, error) {
	p, err := parsePacket(raw.tag, raw.body)
	if unsupported := pgperrors.UnsupportedError(""); errors.As(err, &unsupported) {
		return nil, errUnused{err}
	}
	if err != nil {
		return nil, fmt.Errorf("malformed key: %w", err)
	}
	key, ok := p.(*packet.PublicKey)
	if !ok || fmt.Sprintf("%X", key.Fingerprint) != fingerprint(raw.body) {
		return nil, fmt.Errorf("malformed key")
	}
	return key, nil
}

// readPrimary reads what is signed over the primary key alone.
func (c *certificate) readPrimary(p part) error {
	kept := part{rawPacket: p.rawPacket}
	for _, body := range p.sigs {
		s := c.read(body)
		if s.origin == foreign && s.kind != packet.SigTypeKeyRevocation {
			continue
		}
		kept.sigs = append(kept.sigs, body)
		switch s.kind {
		case packet.SigTypeDirectSignature:
			if err := c.holds(s, c.primary.VerifyDirectKeySignature); err != nil {
				c.broken = err
				continue
			}
			c.direct = append(c.direct, s.sig)
		case packet.SigTypeKeyRevocation:
			revokes, err := c.revokes(s, c.primary.VerifyRevocationSignature)
			if err == nil && !revokes {
				err = c.designated(p.sigs, s)
			}
			if err != nil {
				return err
			}
			if revokes {
				c.revocations = append(c.revocations, s.sig)
			}
		}
	}
	c.keep(kept)
	return nil
}

// readUser reads a user id. One whose revocation cannot be read is dropped.
func (c *certificate) readUser(p part, keep func(*packet.Signature) bool) {
	u := user{id: string(p.body)}
	kept := part{rawPacket: p.rawPacket}
	verify := func(sig *packet.Signature) error {
		return c.primary.VerifyUserIdSignature(u.id, c.primary, sig)
	}
	var doubt error
	for _, body := range p.sigs {
		s := c.read(body)
		switch {
		case s.origin == foreign && keep == nil:
		case s.origin == foreign && s.err == nil:
			if keep(s.sig) {
				u.foreign = append(u.foreign, s.sig)
			}
		case s.kind == packet.SigTypeCertificationRevocation && s.origin == foreign:
			doubt = s.err
		case s.kind == packet.SigTypeCertificationRevocation:
			kept.sigs = append(kept.sigs, body)
			revokes, err := c.revokes(s, verify)
			if err != nil {
				doubt = err
			} else if revokes {
				u.revocations = append(u.revocations, s.sig)
			}
		case certifies(s.kind) && s.origin != foreign:
			kept.sigs = append(kept.sigs, body)
			if err := c.holds(s, verify); err != nil {
				c.broken = err
				continue
			}
			u.selfs = append(u.selfs, s.sig)
		}
	}
	c.keep(kept)
	if len(u.selfs) == 0 && doubt == nil {
		doubt = c.broken
	}
	switch {
	case doubt != nil:
		c.broken = doubt
		c.note("user id %.80q does not count: %v", u.id, doubt)
	case len(u.selfs) > 0:
		c.users = append(c.users, u)
	}
}

// readSubkey reads a subkey. One whose revocation cannot be read is dropped.
func (c *certificate) readSubkey(p part) error {
	key, err := parseKey(p.rawPacket)
	if errors.As(err, &errUnused{}) {
		c.keep(p)
		c.note("subkey: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	if !key.CanSign() {
		return nil // encrypts, and is of no use here
	}
	if key.Version != c.primary.Version {
		c.keep(p)
		c.note("subkey %X does not count: version %d below a key of version %d", key.Fingerprint, key.Version, c.primary.Version)
		return nil
	}
	sub := &subkey{key: key, unbound: fmt.Errorf("there is no binding signature")}
	kept := part{rawPacket: p.rawPacket}
	for _, body := range p.sigs {
		s := c.read(body)
		if s.origin == foreign && s.kind != packet.SigTypeSubkeyRevocation {
			continue
		}
		kept.sigs = append(kept.sigs, body)
		switch s.kind {
		case packet.SigTypeSubkeyBinding:
			if err := c.binds(s, key); err != nil {
				sub.unbound = err
				continue
			}
			sub.bindings = append(sub.bindings, s.sig)
		case packet.SigTypeSubkeyRevocation:
			revokes, err := c.revokes(s, func(sig *packet.Signature) error {
				return c.primary.VerifySubkeyRevocationSignature(sig, key)
			})
			if err != nil {
				c.keep(p)
				c.note("subkey %X does not count: %v", key.Fingerprint, err)
				return nil
			}
			if revokes {
				sub.revocations = append(sub.revocations, s.sig)
			}
		}
	}
	c.keep(kept)
	c.subkeys = append(c.subkeys, sub)
	return nil
}

// keep remembers what was read, in an order that does not depend on the file.
func (c *certificate) keep(p part) {
	p.sortSignatures()
	c.parts = append(c.parts, p)
}

func (c *certificate) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// selves are all self-signatures that can hold the properties of the primary
// key: RFC 9580, section 10.1.1, wants direct-key signatures of version 6 keys.
func (c *certificate) selves() []*packet.Signature {
	all := c.direct
	if c.primary.Version < 6 {
		for _, u := range c.users {
			all = append(all[:len(all):len(all)], u.selfs...)
		}
	}
	return all
}
