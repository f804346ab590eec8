package openpgp

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

const (
	// MaxCertificates bounds the certificates of one keyring file.
	MaxCertificates = 20000
	// maxParts bounds the keys and user ids of one certificate, and
	// maxPartSignatures the signatures in it; certificates that key servers
	// were flooded with had 150,000.
	maxParts          = 1000
	maxPartSignatures = 20000
)

// parts are the packets of one certificate: first the primary key, then user
// ids, attributes and subkeys, RFC 9580 section 10.1. Equal parts are one.
type parts []part

// part is a packet with the signatures over it.
type part struct {
	rawPacket
	sigs [][]byte // bodies of signature packets
}

// splitCertificates sorts the packets of a keyring into certificates.
func splitCertificates(stream []byte) ([]parts, error) {
	var all []parts
	var last *part // that signatures belong to
	sigs := 0
	size := len(stream)
	for len(stream) > 0 {
		at := size - len(stream)
		p, rest, err := cutPacket(stream)
		if err != nil {
			return nil, fmt.Errorf("certificate %d, byte %d: %w", len(all), at, err)
		}
		stream = rest
		switch {
		case p.tag == tagPublicKey:
			if len(all) == MaxCertificates {
				return nil, fmt.Errorf("more than %d certificates", MaxCertificates)
			}
			all = append(all, parts{{rawPacket: p}})
			last, sigs = &all[len(all)-1][0], 0
		case p.tag == tagSecretKey || p.tag == tagSecretSubkey:
			return nil, fmt.Errorf("byte %d: holds a private key; it belongs in no keyring, export the public one", at)
		case p.tag == tagMarker || p.tag == tagTrust || p.tag == tagOldComment || p.tag == tagPadding || p.tag >= tagFirstNonCritical:
			// Says nothing about keys.
		case len(all) == 0:
			return nil, fmt.Errorf("begins with a packet of type %d, want a public key", p.tag)
		case p.tag == tagUserID || p.tag == tagUserAttribute || p.tag == tagPublicSubkey:
			cert := &all[len(all)-1]
			if last = cert.part(p); last == nil {
				return nil, fmt.Errorf("certificate %d has more than %d user ids and subkeys", len(all), maxParts)
			}
		case p.tag == tagSignature:
			if sigs++; sigs > maxPartSignatures {
				return nil, fmt.Errorf("certificate %d has more than %d signatures", len(all), maxPartSignatures)
			}
			to := last
			if kind := kindOf(p.body); kind == packet.SigTypeKeyRevocation || kind == packet.SigTypeDirectSignature {
				to = &all[len(all)-1][0] // wherever it stands: revocations are often appended
			}
			to.sigs = append(to.sigs, p.body)
		default:
			return nil, fmt.Errorf("certificate %d, byte %d: a packet of type %d in a keyring", len(all), at, p.tag)
		}
	}
	return all, nil
}

// part finds or adds a part; nil if there are too many.
func (c *parts) part(p rawPacket) *part {
	for i := range *c {
		if (*c)[i].tag == p.tag && bytes.Equal((*c)[i].body, p.body) {
			return &(*c)[i]
		}
	}
	if len(*c) == maxParts {
		return nil
	}
	*c = append(*c, part{rawPacket: p})
	return &(*c)[len(*c)-1]
}

// union is everything that either of two copies of a certificate says, so
// that a revocation in one counts for both.
func union(a, b parts) (parts, error) {
	all := slices.Clone(a)
	sigs := 0
	for _, p := range b {
		to := all.part(p.rawPacket)
		if to == nil {
			return nil, fmt.Errorf("more than %d user ids and subkeys", maxParts)
		}
		to.sigs = slices.Concat(to.sigs, p.sigs)
	}
	for i := range all {
		all[i].sortSignatures()
		sigs += len(all[i].sigs)
	}
	if sigs > maxPartSignatures {
		return nil, fmt.Errorf("more than %d signatures", maxPartSignatures)
	}
	return all, nil
}

// sortSignatures puts equal signatures together and keeps one of each. The
// order of signatures in a certificate means nothing.
func (p *part) sortSignatures() {
	p.sigs = slices.Clone(p.sigs)
	slices.SortFunc(p.sigs, bytes.Compare)
	p.sigs = slices.CompactFunc(p.sigs, bytes.Equal)
}

// digest identifies what parts say, whatever their order.
func (c parts) digest() string {
	rest := slices.Clone(c[1:])
	slices.SortFunc(rest, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.tag, b.tag), bytes.Compare(a.body, b.body))
	})
	h := sha256.New()
	for _, p := range append(parts{c[0]}, rest...) {
		fmt.Fprintf(h, "%d %d %d\n", p.tag, len(p.body), len(p.sigs))
		h.Write(p.body)
		for _, s := range p.sigs {
			fmt.Fprintf(h, "%d\n", len(s))
			h.Write(s)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
