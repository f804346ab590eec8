package x509sig

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

func TestRevocation(t *testing.T) {
	stale := func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = now.Add(-9*day), now.Add(-8*day) }
	future := func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = now.Add(day), now.Add(2*day) }
	responder := func(c *trial, edits ...edit) *identity {
		return issue(c.inter, "responder", p256(), append([]edit{func(c *x509.Certificate) {
			c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		}}, edits...)...)
	}
	leafCRL := func(change func(*x509.RevocationList), entries func(*trial) []x509.RevocationListEntry) func(*trial) {
		return func(c *trial) {
			var list []x509.RevocationListEntry
			if entries != nil {
				list = entries(c)
			}
			c.a.CRLs = append(c.a.CRLs, c.inter.crl(change, list...))
		}
	}
	entry := func(at time.Time, reason int) func(*trial) []x509.RevocationListEntry {
		return func(c *trial) []x509.RevocationListEntry {
			return []x509.RevocationListEntry{revoked(c.root.cert, at, 1), revoked(c.leaf.cert, at, reason)}
		}
	}
	answer := func(change func(*ocsp.Response)) func(*trial) {
		return func(c *trial) { c.a.OCSP = append(c.a.OCSP, c.inter.ocsp(c.leaf.cert, c.inter, change)) }
	}
	by := func(edits ...edit) func(*trial) {
		return func(c *trial) { c.a.OCSP = append(c.a.OCSP, c.inter.ocsp(c.leaf.cert, responder(c, edits...), nil)) }
	}
	status := func(s int) func(*ocsp.Response) {
		return func(r *ocsp.Response) {
			r.Status, r.RevokedAt, r.RevocationReason = s, now.Add(-day), ocsp.KeyCompromise
		}
	}
	all := func(changes ...func(*trial)) func(*trial) {
		return func(c *trial) {
			for _, change := range changes {
				change(c)
			}
		}
	}
	require := func(c *trial) { c.a.RequireRevocation = true }
	// The certificate expired; it signed, as proven, before.
	expired := func(c *trial) {
		c.by(c.inter, p256(), validity(now.Add(-30*day), now.Add(-36*time.Hour)))
		c.d.Timestamp = c.tsa.stamp(c.d.Signature, now.Add(-5*day), nil)
	}
	proven := func(c *trial) { c.d.Timestamp = c.tsa.stamp(c.d.Signature, now.Add(-5*day), nil) }
	keeps := func(since time.Time) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: oidExpiredCertsOnCRL, Value: must(asn1.MarshalWithParams(since.UTC(), "generalized"))}}
		}
	}
	atExpiry := func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = now.Add(-2*day), now.Add(-day/2) }
	before, after := now.Add(-6*day), now.Add(-4*day)
	for _, c := range []struct {
		name, want, why string
		change          func(*trial)
	}{
		{"nothing configured", "valid", "revocation was not checked", nil},
		{"required, nothing there", "invalid", "not provable: there is no CRL or OCSP response", require},
		{"CRL", "valid", "certificate sha256:", leafCRL(nil, nil)},
		{"CRL, all required", "invalid", "certificate of CN=inter", all(leafCRL(nil, nil), require)},
		{"both CRLs, all required", "valid", "", all(leafCRL(nil, nil), require, func(c *trial) { c.a.CRLs = append(c.a.CRLs, c.root.crl(nil)) })},
		{"revoked", "invalid", "keyCompromise", leafCRL(nil, entry(now.Add(-day), ocsp.KeyCompromise))},
		{"revoked without reason", "invalid", "unspecified", leafCRL(nil, entry(now.Add(-day), 0))},
		{"superseded", "invalid", "superseded", leafCRL(nil, entry(now.Add(-day), ocsp.Superseded))},
		{"revoked by a stale CRL", "invalid", "keyCompromise", all(leafCRL(nil, nil), leafCRL(stale, entry(now.Add(-9*day), ocsp.KeyCompromise)))},
		{"revoked from tomorrow", "invalid", "keyCompromise", leafCRL(nil, entry(now.Add(day), ocsp.KeyCompromise))},
		{"another one revoked", "valid", "", leafCRL(nil, func(c *trial) []x509.RevocationListEntry {
			return []x509.RevocationListEntry{revoked(c.inter.cert, now, 1)}
		})},
		{"stale CRL", "invalid", "not provable: what there is covers", leafCRL(stale, nil)},
		{"CRL of tomorrow", "invalid", "not provable", leafCRL(future, nil)},
		{"CRL of somebody else", "invalid", "not provable: there is no CRL", func(c *trial) { c.a.CRLs = []*CRL{c.tsaRoot.crl(nil)} }},
		{"CRL by another key of that name", "invalid", "was not signed by the issuer", func(c *trial) {
			c.a.CRLs = []*CRL{issue(c.root, "inter", p256(), ca).crl(nil)}
		}},
		{"issuer may not sign CRLs", "invalid", "lacks the key usage cRLSign", func(c *trial) {
			key := p256()
			sub := issue(c.root, "sub", key, ca, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })
			c.by(sub, p256())
			c.a.CRLs = []*CRL{issue(c.root, "sub", key, ca).crl(nil)}
		}},
		{"intermediate revoked", "invalid", "certificate of CN=inter,O=Example Test was revoked", all(leafCRL(nil, nil), func(c *trial) {
			c.a.CRLs = append(c.a.CRLs, c.root.crl(nil, revoked(c.inter.cert, now.Add(-day), ocsp.CACompromise)))
		})},
		{"CRL of the root alone", "invalid", "certificate of CN=publisher", func(c *trial) { c.a.CRLs = []*CRL{c.root.crl(nil)} }},
		{"stale CRL of the root", "invalid", "certificate of CN=inter", all(leafCRL(nil, nil), func(c *trial) { c.a.CRLs = append(c.a.CRLs, c.root.crl(stale)) })},
		{"the other way to the root is revoked", "valid", "", all(leafCRL(nil, nil), func(c *trial) {
			twin := issue(c.root, "inter", c.inter.key, ca)
			c.d.Chain = append(c.d.Chain, twin.cert)
			c.a.CRLs = append(c.a.CRLs, c.root.crl(nil, revoked(twin.cert, now.Add(-day), ocsp.CACompromise)))
		})},
		{"listed twice", "invalid", "keyCompromise", all(proven, leafCRL(nil, func(c *trial) []x509.RevocationListEntry {
			return []x509.RevocationListEntry{revoked(c.leaf.cert, after, ocsp.KeyCompromise), revoked(c.leaf.cert, after, ocsp.Superseded)}
		}))},

		{"OCSP", "valid", "", answer(nil)},
		{"OCSP, all required", "invalid", "certificate of CN=inter", all(answer(nil), require)},
		{"OCSP staple", "valid", "", func(c *trial) {
			c.d.OCSP = []*OCSP{c.inter.ocsp(c.leaf.cert, c.inter, nil)}
			c.a.CRLs = []*CRL{c.root.crl(nil)}
		}},
		{"stale OCSP staple, nothing demanded", "valid", "revocation was not checked", func(c *trial) {
			c.d.OCSP = []*OCSP{c.inter.ocsp(c.leaf.cert, c.inter, func(r *ocsp.Response) { r.NextUpdate = now.Add(-time.Hour) })}
		}},
		{"OCSP staple that revokes", "invalid", "keyCompromise", func(c *trial) {
			c.d.OCSP = []*OCSP{c.inter.ocsp(c.leaf.cert, c.inter, status(ocsp.Revoked))}
		}},
		{"OCSP unknown", "invalid", "does not know", answer(status(ocsp.Unknown))},
		{"OCSP revoked", "invalid", "keyCompromise", answer(status(ocsp.Revoked))},
		{"OCSP good, CRL revoked", "invalid", "keyCompromise", all(answer(nil), leafCRL(nil, entry(now.Add(-day), 1)))},
		{"stale OCSP", "invalid", "not provable", answer(func(r *ocsp.Response) { r.NextUpdate = now.Add(-time.Hour) })},
		{"OCSP without an end", "invalid", "does not say until when", answer(func(r *ocsp.Response) { r.NextUpdate = time.Time{} })},
		{"OCSP by SHA-256 identifiers", "valid", "", answer(func(r *ocsp.Response) { r.IssuerHash = crypto.SHA256 })},
		{"OCSP unknown critical extension", "invalid", "critical", func(c *trial) {
			// The parser refuses it; here as if it had been read.
			der := c.inter.ocspDER(c.leaf.cert, c.inter, func(r *ocsp.Response) { r.ExtraExtensions = []pkix.Extension{extension(oidUnknown, true, 1)} })
			c.a.OCSP = []*OCSP{{raw: der, answers: c.inter.ocsp(c.leaf.cert, c.inter, nil).answers}}
		}},
		{"OCSP about the same number of another issuer", "invalid", "there is no CRL or OCSP", func(c *trial) {
			twin := issue(c.root, "twin", p256(), ca)
			c.a.OCSP = []*OCSP{twin.ocsp(c.leaf.cert, c.inter, nil)}
		}},
		{"OCSP for another number", "invalid", "there is no CRL or OCSP", func(c *trial) { c.a.OCSP = []*OCSP{c.inter.ocsp(c.root.cert, c.inter, nil)} }},
		{"OCSP by another key", "invalid", "not provable: OCSP", func(c *trial) {
			c.a.OCSP = []*OCSP{c.inter.ocsp(c.leaf.cert, &identity{c.inter.cert, p256(), nil}, func(r *ocsp.Response) { r.Certificate = nil })}
		}},
		{"OCSP signed with SHA-1", "invalid", "signed with SHA1-RSA", func(c *trial) {
			issuer := issue(c.root, "rsa issuer", rsa2048(), ca)
			c.by(issuer, p256())
			c.a.OCSP = []*OCSP{issuer.ocsp(c.leaf.cert, issuer, func(r *ocsp.Response) { r.SignatureAlgorithm = x509.SHA1WithRSA })}
		}},
		{"OCSP by SHA-224 identifiers", "invalid", "there is no CRL or OCSP", func(c *trial) {
			o := c.inter.ocsp(c.leaf.cert, c.inter, nil)
			o.answers[0].HashAlgorithm.Algorithm = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}
			c.a.OCSP = []*OCSP{o}
		}},
		{"OCSP superseded, CRL compromised", "invalid", "keyCompromise", all(proven, leafCRL(nil, entry(after, 1)), answer(func(r *ocsp.Response) {
			r.Status, r.RevokedAt, r.RevocationReason = ocsp.Revoked, after, ocsp.Superseded
		}))},
		{"OCSP with the issuer's certificate inside", "valid", "", answer(func(r *ocsp.Response) { r.Certificate = theWorld().inter.cert })},
		{"responder", "valid", "", by()},
		{"responder without usage", "invalid", "not issued for OCSP", by(usages())},
		{"responder for anything", "invalid", "not issued for OCSP", by(usages(x509.ExtKeyUsageAny))},
		{"the publisher as responder", "invalid", "not issued for OCSP", func(c *trial) { c.a.OCSP = []*OCSP{c.inter.ocsp(c.leaf.cert, c.leaf, nil)} }},
		{"responder that is a CA", "invalid", "not issued for OCSP", by(ca)},
		{"responder's key usage", "invalid", "digitalSignature", by(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })},
		{"responder expired before it answered", "invalid", "responder's certificate was not valid", by(validity(now.Add(-30*day), now.Add(-9*day)))},
		{"responder expired since", "invalid", "responder's certificate was not valid", by(validity(now.Add(-30*day), now.Add(-time.Hour)))},
		{"responder not yet valid when it answered", "invalid", "responder's certificate was not valid", by(validity(now.Add(-time.Hour), now.Add(day)))},
		{"expired since, OCSP of then by a responder of then", "valid", "", all(expired, func(c *trial) {
			r := responder(c, validity(now.Add(-30*day), now.Add(-day)))
			c.a.OCSP = []*OCSP{c.inter.ocsp(c.leaf.cert, r, func(o *ocsp.Response) { o.ThisUpdate, o.NextUpdate = now.Add(-2*day), now.Add(-day) })}
		})},
		{"responder with unknown critical extension", "invalid", "critical", by(extra(extension(oidUnknown, true, 1)))},
		{"responder of another issuer", "invalid", "not certified by the issuer", func(c *trial) {
			r := issue(c.root, "responder", p256(), usages(x509.ExtKeyUsageOCSPSigning))
			c.a.OCSP = []*OCSP{c.inter.ocsp(c.leaf.cert, r, nil)}
		}},
		{"responder of another key of that name", "invalid", "not certified by the issuer", func(c *trial) {
			r := issue(issue(c.root, "inter", p256(), ca), "responder", p256(), usages(x509.ExtKeyUsageOCSPSigning))
			c.a.OCSP = []*OCSP{c.inter.ocsp(c.leaf.cert, r, nil)}
		}},
		{"weak responder", "invalid", "RSA key of 1024 bits", func(c *trial) {
			r := issue(c.inter, "responder", rsa1024(), usages(x509.ExtKeyUsageOCSPSigning))
			c.a.OCSP = []*OCSP{c.inter.ocsp(c.leaf.cert, r, nil)}
		}},
		{"responder revoked", "invalid", "the responder's certificate was revoked", func(c *trial) {
			r := responder(c)
			c.a.OCSP = []*OCSP{c.inter.ocsp(c.leaf.cert, r, nil)}
			c.a.CRLs = []*CRL{c.inter.crl(stale, revoked(r.cert, now.Add(-9*day), 1))}
		}},

		{"superseded after it signed", "valid", "superseded), after it signed", all(proven, leafCRL(nil, entry(after, ocsp.Superseded)))},
		{"ceased after it signed", "valid", "", all(proven, leafCRL(nil, entry(after, ocsp.CessationOfOperation)))},
		{"superseded before it signed", "invalid", "superseded", all(proven, leafCRL(nil, entry(before, ocsp.Superseded)))},
		{"superseded within the accuracy", "invalid", "superseded", all(proven, leafCRL(nil, entry(now.Add(-5*day+time.Second), ocsp.Superseded)))},
		{"superseded after it says it signed", "invalid", "superseded", leafCRL(nil, entry(after, ocsp.Superseded))},
		{"compromised after it signed", "invalid", "keyCompromise", all(proven, leafCRL(nil, entry(after, ocsp.KeyCompromise)))},
		{"revoked without reason after it signed", "invalid", "unspecified", all(proven, leafCRL(nil, entry(after, 0)))},
		{"withdrawn after it signed", "invalid", "privilegeWithdrawn", all(proven, leafCRL(nil, entry(after, ocsp.PrivilegeWithdrawn)))},
		{"on hold after it signed", "invalid", "certificateHold", all(proven, leafCRL(nil, entry(after, ocsp.CertificateHold)))},
		{"revoked for an unknown reason after it signed", "invalid", "reason 77", all(proven, leafCRL(nil, entry(after, 77)))},
		{"superseded after it signed, says a stale CRL alone", "invalid", "not provable", all(proven, leafCRL(stale, entry(after, ocsp.Superseded)))},
		{"superseded after it signed, invalid before", "invalid", "superseded", all(proven, leafCRL(nil, func(c *trial) []x509.RevocationListEntry {
			e := revoked(c.leaf.cert, after, ocsp.Superseded)
			e.ExtraExtensions = []pkix.Extension{{Id: oidInvalidityDate, Value: must(asn1.MarshalWithParams(before.UTC(), "generalized"))}}
			return []x509.RevocationListEntry{e}
		}))},
		{"OCSP superseded after it signed", "valid", "", all(proven, answer(func(r *ocsp.Response) {
			r.Status, r.RevokedAt, r.RevocationReason = ocsp.Revoked, after, ocsp.Superseded
		}))},

		{"expired since, CRL of today", "invalid", "not provable: what there is covers", all(expired, leafCRL(nil, nil))},
		{"expired since, CRL of today keeps expired ones", "valid", "", all(expired, leafCRL(keeps(now.Add(-2*day)), nil))},
		{"expired since, CRL of today keeps later ones", "invalid", "not provable", all(expired, leafCRL(keeps(now.Add(-time.Hour)), nil))},
		{"expired since, CRL of then", "valid", "", all(expired, leafCRL(atExpiry, nil))},
		{"expired since, revoked in the CRL of then", "invalid", "keyCompromise", all(expired, leafCRL(atExpiry, entry(after, 1)))},
		{"expired since, OCSP of today", "invalid", "not provable", all(expired, answer(func(r *ocsp.Response) { r.ThisUpdate = now.Add(-time.Hour) }))},
		{"expired since, OCSP archive", "valid", "", all(expired, answer(func(r *ocsp.Response) {
			r.ThisUpdate = now.Add(-time.Hour)
			r.ExtraExtensions = []pkix.Extension{{Id: oidArchiveCutoff, Value: must(asn1.MarshalWithParams(now.Add(-9*day).UTC(), "generalized"))}}
		}))},

		{"timestamp authority revoked", "invalid", "certificate of CN=tsa,O=Example Test was revoked", all(expired, func(c *trial) {
			c.a.CRLs = []*CRL{c.tsaRoot.crl(nil, revoked(c.tsa.cert, after, ocsp.KeyCompromise)), c.inter.crl(atExpiry)}
		})},
		{"timestamp authority superseded later", "valid", "", all(expired, func(c *trial) {
			c.a.CRLs = []*CRL{c.tsaRoot.crl(nil, revoked(c.tsa.cert, after, ocsp.Superseded)), c.inter.crl(atExpiry)}
		})},
		{"timestamp authority must be covered", "invalid", "certificate of CN=tsa,O=Example Test is not provable", all(expired, require, func(c *trial) {
			c.a.CRLs = []*CRL{c.inter.crl(atExpiry), c.root.crl(nil)}
		})},
		{"all covered", "valid", "", all(expired, require, func(c *trial) {
			c.a.CRLs = []*CRL{c.inter.crl(atExpiry), c.root.crl(nil), c.tsaRoot.crl(nil)}
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			trial := newTrial()
			if c.change != nil {
				c.change(trial)
			}
			expect(t, trial.run(t), c.want, c.why)
		})
	}
}

func TestWorse(t *testing.T) {
	early, late := now.Add(-day), now
	for _, c := range []struct{ a, b, want revocation }{
		{revocation{early, ocsp.Superseded}, revocation{late, ocsp.KeyCompromise}, revocation{late, ocsp.KeyCompromise}},
		{revocation{early, ocsp.Superseded}, revocation{late, ocsp.Superseded}, revocation{early, ocsp.Superseded}},
		{revocation{early, ocsp.KeyCompromise}, revocation{late, ocsp.Unspecified}, revocation{early, ocsp.KeyCompromise}},
	} {
		if got := worse(c.a, c.b); got != c.want {
			t.Errorf("%v, %v: %v", c.a, c.b, got)
		}
		if got := worse(c.b, c.a); got != c.want {
			t.Errorf("%v, %v: %v", c.b, c.a, got)
		}
	}
}

func TestParseCRL(t *testing.T) {
	w := theWorld()
	with := func(e pkix.Extension) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{e} }
	}
	inEntry := func(e pkix.Extension) x509.RevocationListEntry {
		r := revoked(w.leaf.cert, now, 0)
		r.ExtraExtensions = []pkix.Extension{e}
		return r
	}
	rsaCA := issue(nil, "rsa ca", rsa2048(), ca)
	good := w.inter.crlDER(nil)
	for _, c := range []struct {
		name, why string
		data      []byte
	}{
		{"DER", "", good},
		{"PEM", "", toPEM("X509 CRL", good)},
		{"two", "2 PEM blocks", toPEM("X509 CRL", good, good)},
		{"certificate", "CERTIFICATE", toPEM("CERTIFICATE", w.leaf.cert.Raw)},
		{"certificate in DER", "x509", w.leaf.cert.Raw},
		{"cut off", "malformed", good[:len(good)-1]},
		{"byte after it", "1 bytes after", append(good, 0)},
		{"delta", "critical extension 2.5.29.27", w.inter.crlDER(with(extension(asn1.ObjectIdentifier{2, 5, 29, 27}, true, 1)))},
		{"partial", "critical extension 2.5.29.28", w.inter.crlDER(with(extension(asn1.ObjectIdentifier{2, 5, 29, 28}, true, struct{}{})))},
		{"extension", "", w.inter.crlDER(with(extension(oidUnknown, false, 1)))},
		{"malformed expiredCertsOnCRL", "expiredCertsOnCRL", w.inter.crlDER(with(extension(oidExpiredCertsOnCRL, false, 1)))},
		{"indirect entry", "unknown critical extension", w.inter.crlDER(nil, inEntry(extension(asn1.ObjectIdentifier{2, 5, 29, 29}, true, 1)))},
		{"malformed invalidity date", "CRL entry", w.inter.crlDER(nil, inEntry(extension(oidInvalidityDate, false, 1)))},
		{"SHA-1", "SHA1-RSA", rsaCA.crlDER(func(l *x509.RevocationList) { l.SignatureAlgorithm = x509.SHA1WithRSA })},
		{"too large", "at most", make([]byte, maxCRL+1)},
		{"nothing", "neither DER nor PEM", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseCRL(c.data)
			mentions(t, err, c.why)
		})
	}
	// Go never writes a CRL without the time of the next; this one is signed
	// by nobody, which only matters later.
	list := w.inter.crl(nil)
	if list.list.NextUpdate.IsZero() {
		t.Error("no time of the next CRL")
	}
	_, err := ParseCRL(withoutNextUpdate(good))
	mentions(t, err, "when the next one is due")
}

// withoutNextUpdate cuts the field out of a CRL with short lengths.
func withoutNextUpdate(der []byte) []byte {
	var crl struct {
		TBS struct {
			Version    int
			Algorithm  pkix.AlgorithmIdentifier
			Issuer     asn1.RawValue
			ThisUpdate time.Time
			NextUpdate time.Time        `asn1:"optional"`
			Extensions []pkix.Extension `asn1:"optional,explicit,tag:0"`
		}
		Algorithm pkix.AlgorithmIdentifier
		Value     asn1.BitString
	}
	must(asn1.Unmarshal(der, &crl))
	crl.TBS.NextUpdate = time.Time{}
	return must(asn1.Marshal(crl))
}

func TestParseOCSP(t *testing.T) {
	w := theWorld()
	good := w.inter.ocspDER(w.leaf.cert, w.inter, nil)
	for _, c := range []struct {
		name, why string
		data      []byte
	}{
		{"good", "", good},
		{"cut off", "malformed", good[:len(good)-1]},
		{"byte after it", "malformed", append(good, 0)},
		{"try later", "try later", ocspTryLater},
		{"unknown critical extension", "critical", w.inter.ocspDER(w.leaf.cert, w.inter, func(r *ocsp.Response) {
			r.ExtraExtensions = []pkix.Extension{extension(oidUnknown, true, 1)}
		})},
		{"PEM", "malformed", toPEM("OCSP RESPONSE", good)},
		{"too large", "at most", make([]byte, maxOCSP+1)},
		{"nothing", "malformed", nil},
		{"no answers", "0 certificates", ocspOf()},
		{"unknown critical extension of the whole", "critical", ocspOf(extension(oidUnknown, true, 1))},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseOCSP(c.data)
			mentions(t, err, c.why)
		})
	}
}

// ocspOf is a response without a signature: with extensions, about one
// certificate; else about none.
func ocspOf(extensions ...pkix.Extension) []byte {
	type answer struct{ ID certID }
	type data struct {
		Responder  asn1.RawValue
		ProducedAt time.Time `asn1:"generalized"`
		Responses  []answer
		Extensions []pkix.Extension `asn1:"optional,explicit,tag:1"`
	}
	d := data{Responder: asn1.RawValue{Class: 2, Tag: 2, IsCompound: true, Bytes: []byte{4, 0}}, ProducedAt: now, Extensions: extensions}
	if len(extensions) > 0 {
		d.Responses = []answer{{certID{pkix.AlgorithmIdentifier{Algorithm: oidSHA1}, nil, nil, big.NewInt(1)}}}
	}
	type inner struct {
		Type     asn1.ObjectIdentifier
		Response []byte
	}
	return must(asn1.Marshal(struct {
		Status asn1.Enumerated
		Bytes  inner `asn1:"explicit,tag:0"`
	}{0, inner{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}, must(asn1.Marshal(struct{ Data data }{d}))}}))
}
