package x509sig

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

// material is what CRLs and OCSP responses there are.
type material struct {
	crls []*CRL
	ocsp []*OCSP
}

func (m *material) add(a *Anchors) {
	m.crls = slices.Concat(m.crls, a.CRLs)
	m.ocsp = slices.Concat(m.ocsp, a.OCSP)
}

// revocation is when and why a certificate was revoked.
type revocation struct {
	at     time.Time
	reason int // RFC 5280, section 5.3.1
}

var reasons = map[int]string{
	ocsp.Unspecified: "unspecified", ocsp.KeyCompromise: "keyCompromise", ocsp.CACompromise: "cACompromise",
	ocsp.AffiliationChanged: "affiliationChanged", ocsp.Superseded: "superseded",
	ocsp.CessationOfOperation: "cessationOfOperation", ocsp.CertificateHold: "certificateHold",
	ocsp.RemoveFromCRL: "removeFromCRL", ocsp.PrivilegeWithdrawn: "privilegeWithdrawn", ocsp.AACompromise: "aACompromise",
}

func (r revocation) String() string {
	reason, ok := reasons[r.reason]
	if !ok {
		reason = fmt.Sprintf("reason %d", r.reason)
	}
	return fmt.Sprintf("revoked at %s (%s)", r.at.UTC().Format(time.RFC3339), reason)
}

// harmless tells of a reason that the key and its holder stayed honest until
// the certificate was revoked. That is not so with a compromise, whose date
// is the one when it was noticed; with no reason given, which hides one as
// often as not; and where the holder was found to have misbehaved
// (privilegeWithdrawn) or is under suspicion (certificateHold). RFC 3161,
// section 4.1 draws nearly the same line.
func (r revocation) harmless() bool {
	return r.reason == ocsp.AffiliationChanged || r.reason == ocsp.Superseded || r.reason == ocsp.CessationOfOperation
}

// excuses tells whether what was signed at a proven time stays good.
func (r revocation) excuses(p *provenTime) bool {
	return p != nil && r.harmless() && p.latest().Before(r.at)
}

// worse is the one of two revocations of a certificate that counts.
func worse(a, b revocation) revocation {
	if a.harmless() != b.harmless() {
		if a.harmless() {
			return b
		}
		return a
	}
	if b.at.Before(a.at) {
		return b
	}
	return a
}

// status is what the material tells about one certificate.
type status struct {
	revoked *revocation // by anything its issuer signed, however old
	fresh   bool        // something that is current speaks about it
	stale   error       // why what there is does not count
}

// of looks a certificate up. Material counts when it is current at the time,
// and for a certificate that expired before, at its expiry: afterwards its
// issuer need not list it any more, unless it says that it does.
func (m material) of(c, issuer *x509.Certificate, at time.Time) status {
	var s status
	add := func(r *revocation, from, until, keeps time.Time) {
		if r != nil && s.revoked != nil {
			*r = worse(*s.revoked, *r)
		}
		if r != nil {
			s.revoked = r
		}
		when := at
		if at.After(c.NotAfter) && (keeps.IsZero() || keeps.After(c.NotAfter)) {
			when = c.NotAfter
		}
		if until.IsZero() {
			s.stale = errors.New("OCSP: the response does not say until when it counts")
			return
		}
		if when.Before(from) || when.After(until) {
			s.stale = fmt.Errorf("what there is covers %s to %s, not %s", from.UTC().Format(time.RFC3339), until.UTC().Format(time.RFC3339), when.UTC().Format(time.RFC3339))
			return
		}
		s.fresh = true
	}
	for _, crl := range m.crls {
		if !bytes.Equal(crl.list.RawIssuer, issuer.RawSubject) {
			continue
		}
		if err := crl.authentic(issuer); err != nil {
			s.stale = err
			continue
		}
		var found *revocation
		if r, ok := crl.revoked[serialKey(c.SerialNumber)]; ok {
			found = &r
		}
		add(found, crl.list.ThisUpdate, crl.list.NextUpdate, crl.keeps)
	}
	for _, o := range m.ocsp {
		if !o.about(c, issuer) {
			continue
		}
		r, err := o.read(c, issuer)
		if err == nil && r.Certificate != nil {
			when := at
			if at.After(c.NotAfter) {
				when = c.NotAfter
			}
			err = m.checkResponder(r.Certificate, issuer, r.ThisUpdate, when)
		}
		if err != nil {
			s.stale = errors.New("OCSP: " + brief(err))
			continue
		}
		switch r.Status {
		case ocsp.Good:
			add(nil, r.ThisUpdate, r.NextUpdate, archive(r))
		case ocsp.Revoked:
			add(&revocation{r.RevokedAt, r.RevocationReason}, r.ThisUpdate, r.NextUpdate, archive(r))
		default:
			s.stale = errors.New("OCSP: the responder does not know the certificate")
		}
	}
	return s
}

// checkResponder refuses a delegated responder that was not fit when it
// answered, is no longer, or that a CRL has revoked.
func (m material) checkResponder(responder, issuer *x509.Certificate, answered, when time.Time) error {
	if bytes.Equal(responder.Raw, issuer.Raw) {
		return nil
	}
	for _, t := range []time.Time{answered, when} {
		if t.Before(responder.NotBefore) || t.After(responder.NotAfter) {
			return fmt.Errorf("the responder's certificate was not valid at %s", t.UTC().Format(time.RFC3339))
		}
	}
	if r := (material{crls: m.crls}).of(responder, issuer, answered).revoked; r != nil {
		return fmt.Errorf("the responder's certificate was %s", r)
	}
	return nil
}

// revocationCase is the circumstances of a check.
type revocationCase struct {
	at     time.Time
	proven *provenTime // nil if it is not known when the signature was made
	leaf   bool        // the leaf must be covered
}

// checkRevocation passes if one of the chains does, maybe with a remark.
func (a *Anchors) checkRevocation(chains [][]*x509.Certificate, m material, rc revocationCase) (remark string, err error) {
	var first error
	for _, chain := range chains {
		remark, err := a.checkChainRevocation(chain, m, rc)
		if err == nil {
			return remark, nil
		}
		if first == nil {
			first = err
		}
	}
	return "", first
}

func (a *Anchors) checkChainRevocation(chain []*x509.Certificate, m material, rc revocationCase) (remark string, err error) {
	for i, c := range chain[:len(chain)-1] {
		issuer, who := chain[i+1], distinguishedName(c.RawSubject)
		s := m.of(c, issuer, rc.at)
		if s.revoked != nil {
			if !s.revoked.excuses(rc.proven) {
				return "", flawf("certificate of %s was %s", who, s.revoked)
			}
			remark = fmt.Sprintf("certificate of %s was %s, after it signed", who, s.revoked)
		}
		if s.fresh {
			continue
		}
		if a.RequireRevocation || rc.leaf && i == 0 || slices.ContainsFunc(a.CRLs, func(l *CRL) bool { return bytes.Equal(l.list.RawIssuer, issuer.RawSubject) }) {
			why := "there is no CRL or OCSP response"
			if s.stale != nil {
				why = s.stale.Error()
			}
			return "", flawf("revocation of the certificate of %s is not provable: %s; provide a current CRL of %s", who, why, distinguishedName(issuer.RawSubject))
		}
		if i == 0 && remark == "" {
			remark = "revocation was not checked: no CRL or OCSP response is configured"
		}
	}
	return remark, nil
}
