package x509sig

import (
	"crypto/x509"
	"slices"
)

// Concerns tells whether anchors that are denied are about a leaf, and is
// generous. With Names, one of them matches, whoever issued the leaf. Without
// Names, the leaf is one of Roots or was issued under one, maybe through
// Intermediates: only the signatures of certificates count, not their times,
// usages or names. Intermediates that came with a signature are not known
// here, so that a denial should list them or the authority itself.
func (a *Anchors) Concerns(leaf *x509.Certificate) bool {
	if len(a.Names) > 0 {
		return namesMatch(a.Names, leaf)
	}
	below := []*x509.Certificate{leaf} // grows while it is read
	for i := 0; i < len(below); i++ {
		c := below[i]
		if slices.ContainsFunc(a.Roots, func(root *x509.Certificate) bool { return root.Equal(c) || issued(root, c) }) {
			return true
		}
		for _, between := range a.Intermediates {
			if !slices.ContainsFunc(below, between.Equal) && issued(between, c) {
				below = append(below, between)
			}
		}
	}
	return false
}

// issued tells whether the key of one certificate signed another.
func issued(issuer, c *x509.Certificate) bool {
	return issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}
