package x509sig

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// maxCRL holds some 400,000 revocations, more than any authority for code
// signing has.
const maxCRL = 16 << 20

// CRL is a certificate revocation list (RFC 5280, section 5).
type CRL struct {
	list    *x509.RevocationList // without its entries
	revoked map[string]revocation
	// keeps is since when certificates that expired stay listed, zero if
	// they do not (X.509, extension expiredCertsOnCRL).
	keeps time.Time
}

var (
	oidReasonCode        = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidInvalidityDate    = asn1.ObjectIdentifier{2, 5, 29, 24}
	oidExpiredCertsOnCRL = asn1.ObjectIdentifier{2, 5, 29, 60}
)

// ParseCRL reads a CRL in DER or PEM ("X509 CRL"), at most 16 MiB. Lists that
// may be silent about a certificate of their issuer are refused: delta CRLs,
// indirect ones and those for a part of the certificates, which all mark
// themselves by critical extensions; and lists that do not say when the next
// one is due.
func ParseCRL(data []byte) (*CRL, error) {
	if len(data) > maxCRL {
		return nil, fmt.Errorf("CRL of %d bytes, at most %d", len(data), maxCRL)
	}
	der, err := oneDER(data, "X509 CRL")
	if err != nil {
		return nil, err
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, err
	}
	if len(list.Raw) != len(der) {
		return nil, fmt.Errorf("%d bytes after the CRL", len(der)-len(list.Raw))
	}
	if err := checkAlgorithm(list.SignatureAlgorithm); err != nil {
		return nil, fmt.Errorf("CRL of %s: %w", distinguishedName(list.RawIssuer), err)
	}
	if list.NextUpdate.IsZero() {
		return nil, fmt.Errorf("CRL of %s does not say when the next one is due", distinguishedName(list.RawIssuer))
	}
	c := &CRL{
		list: &x509.RevocationList{
			RawTBSRevocationList: list.RawTBSRevocationList, Signature: list.Signature, SignatureAlgorithm: list.SignatureAlgorithm,
			RawIssuer: list.RawIssuer, ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate,
		},
		revoked: make(map[string]revocation, len(list.RevokedCertificateEntries)),
	}
	for _, e := range list.Extensions {
		if e.Critical {
			return nil, fmt.Errorf("CRL of %s is a delta, an indirect or a partial one (critical extension %s): want the complete list", distinguishedName(list.RawIssuer), e.Id)
		}
		if e.Id.Equal(oidExpiredCertsOnCRL) {
			if c.keeps, err = generalizedTime(e.Value); err != nil {
				return nil, fmt.Errorf("CRL extension expiredCertsOnCRL: %w", err)
			}
		}
	}
	for _, e := range list.RevokedCertificateEntries {
		if err := c.add(e); err != nil {
			return nil, fmt.Errorf("CRL entry for %x: %w", e.SerialNumber, err)
		}
	}
	return c, nil
}

func (c *CRL) add(e x509.RevocationListEntry) error {
	r := revocation{e.RevocationTime, e.ReasonCode}
	for _, x := range e.Extensions {
		switch {
		case x.Id.Equal(oidReasonCode):
		case x.Id.Equal(oidInvalidityDate):
			since, err := generalizedTime(x.Value)
			if err != nil {
				return err
			}
			if since.Before(r.at) {
				r.at = since
			}
		case x.Critical:
			return fmt.Errorf("unknown critical extension %s", x.Id)
		}
	}
	key := serialKey(e.SerialNumber)
	if before, twice := c.revoked[key]; twice {
		r = worse(before, r)
	}
	c.revoked[key] = r
	return nil
}

// serialKey includes the sign: certificates have positive numbers only, but
// lists may hold anything.
func serialKey(n *big.Int) string { return n.Text(36) }

// authentic tells whether the list is by this issuer.
func (c *CRL) authentic(issuer *x509.Certificate) error {
	if issuer.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return errors.New("the issuer's certificate lacks the key usage cRLSign")
	}
	if err := c.list.CheckSignatureFrom(issuer); err != nil {
		return fmt.Errorf("the CRL was not signed by the issuer: %w", err)
	}
	return nil
}

func generalizedTime(der []byte) (time.Time, error) {
	var t time.Time
	rest, err := asn1.UnmarshalWithParams(der, &t, "generalized")
	if err == nil && len(rest) != 0 {
		err = errors.New("data after the time")
	}
	return t, err
}
