package openpgp

import (
	"encoding/binary"
	"fmt"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// origin is who made a signature, by its own account.
type origin int

const (
	unsaid origin = iota
	own           // the certificate's primary key
	foreign
)

// statement is a signature in a certificate, before it is verified.
type statement struct {
	kind   packet.SignatureType
	origin origin
	sig    *packet.Signature
	err    error // why it cannot be read
}

// read parses a signature in the certificate.
func (c *certificate) read(body []byte) statement {
	s := statement{kind: kindOf(body)}
	s.sig, s.err = parseSignature(body)
	by := ""
	switch {
	case version3(body):
		by = fmt.Sprintf("%X", body[7:15])
	case s.sig != nil:
		by = issuer(s.sig)
	}
	switch {
	case by == "":
	case names(by, c.fingerprint):
		s.origin = own
	default:
		s.origin = foreign
	}
	return s
}

// kindOf is the type of a signature, whether it is supported or not.
func kindOf(body []byte) packet.SignatureType {
	switch {
	case version3(body):
		return packet.SignatureType(body[2])
	case len(body) > 1:
		return packet.SignatureType(body[1])
	}
	return 0
}

// version3 tells the signatures of RFC 4880, section 5.2.2: version, 5, type,
// time of 4 bytes, key id of 8. They are not supported, and yet it matters
// what they would say.
func version3(body []byte) bool { return len(body) > 15 && (body[0] == 2 || body[0] == 3) }

// stray fails if the owner's revocation of something else stands in part p: it
// would go unheeded. Those of the whole key are never stray.
func (c *certificate) stray(p part) error {
	for _, body := range p.sigs {
		kind := kindOf(body)
		if kind == packet.SigTypeSubkeyRevocation && p.tag != tagPublicSubkey ||
			kind == packet.SigTypeCertificationRevocation && p.tag != tagUserID && p.tag != tagUserAttribute {
			if c.read(body).origin != foreign {
				return unused("it holds a revocation of type 0x%02x out of place", kind)
			}
		}
	}
	return nil
}

// issuer is whom a signature names as its maker: a fingerprint, or a key id
// of 16 digits, or nothing.
func issuer(sig *packet.Signature) string {
	switch {
	case sig.IssuerFingerprint != nil:
		return fmt.Sprintf("%X", sig.IssuerFingerprint)
	case sig.IssuerKeyId != nil:
		return fmt.Sprintf("%016X", *sig.IssuerKeyId)
	}
	return ""
}

// keyID is the key id that a version 4 or 6 fingerprint ends or begins with,
// RFC 9580 section 5.5.4. A key id is its own.
func keyID(name string) string {
	if len(name) == 40 {
		return name[24:]
	}
	return name[:min(16, len(name))]
}

// names tells whether an issuer is the key with this fingerprint.
func names(issuer, fingerprint string) bool {
	return issuer == fingerprint || len(issuer) == 16 && issuer == keyID(fingerprint)
}

// certifies says whether a signature binds a user id to a key.
func certifies(t packet.SignatureType) bool {
	return t >= packet.SigTypeGenericCert && t <= packet.SigTypePositiveCert
}

// holds fails unless a self-signature counts.
func (c *certificate) holds(s statement, verify func(*packet.Signature) error) error {
	if s.err != nil {
		return s.err
	}
	if err := checkSignature(s.sig); err != nil {
		return err
	}
	return c.verified(s.sig, verify)
}

// verified does the mathematics of a signature by the primary key.
func (c *certificate) verified(sig *packet.Signature, verify func(*packet.Signature) error) error {
	if c.budget--; c.budget < 0 {
		return fmt.Errorf("too many signatures")
	}
	if err := sameVersion(sig, c.primary); err != nil {
		return err
	}
	return verify(sig)
}

// sameVersion refuses version 4 signatures by version 6 keys and the other
// way round, RFC 9580 section 5.2.
func sameVersion(sig *packet.Signature, key *packet.PublicKey) error {
	if sig.Version != key.Version {
		return fmt.Errorf("version %d signature by a version %d key", sig.Version, key.Version)
	}
	return nil
}

// binds is holds for the binding of a subkey. If the subkey may sign, it must
// have agreed: RFC 9580, section 10.1.5. go-crypto verifies the mathematics of
// that cross-signature together with the binding's.
func (c *certificate) binds(s statement, key *packet.PublicKey) error {
	err := c.holds(s, func(sig *packet.Signature) error { return c.primary.VerifyKeySignature(key, sig) })
	if err != nil || !s.sig.FlagSign {
		return err
	}
	cross := s.sig.EmbeddedSignature // VerifyKeySignature refuses to be without
	if err := sameVersion(cross, key); err != nil {
		return fmt.Errorf("cross-signature: %w", err)
	}
	if err := checkSignature(cross); err != nil {
		return fmt.Errorf("cross-signature: %w", err)
	}
	return checkKey(key)
}

// revokes tells whether a revocation holds; that its hash is weak is no
// excuse. One that claims to be the owner's and cannot be verified is an
// error: to ignore it would make a damaged revocation none.
func (c *certificate) revokes(s statement, verify func(*packet.Signature) error) (bool, error) {
	err := s.err
	if err == nil {
		if err = c.verified(s.sig, verify); err == nil {
			return true, nil
		}
	}
	if s.origin == foreign {
		return false, nil
	}
	return false, unused("a revocation of it cannot be verified: %w", err)
}

// designated refuses a certificate that holds a revocation by somebody whom
// the owner let revoke it. Their keys are rarely at hand, so it is taken at
// its word, and so is the appointment among sigs.
func (c *certificate) designated(sigs [][]byte, revocation statement) error {
	for _, body := range sigs {
		for _, revoker := range revokers(body) {
			if revocation.sig != nil && names(issuer(revocation.sig), revoker) {
				return unused("it is revoked by %s, whom its owner let do so", revoker)
			}
		}
	}
	return nil
}

// revokers are the fingerprints that a version 4 signature appoints to revoke
// its key, RFC 4880 section 5.2.3.15.
func revokers(body []byte) (fingerprints []string) {
	if len(body) < 6 || body[0] != 4 {
		return nil
	}
	hashed := body[6:]
	if n := int(binary.BigEndian.Uint16(body[4:])); n < len(hashed) {
		hashed = hashed[:n]
	}
	subpackets, _ := packet.OpaqueSubpackets(hashed) // those before an error
	for _, s := range subpackets {
		const revocationKey = 12
		if s.SubType&0x7f == revocationKey && len(s.Contents) == 22 {
			fingerprints = append(fingerprints, fmt.Sprintf("%X", s.Contents[2:]))
		}
	}
	return fingerprints
}
