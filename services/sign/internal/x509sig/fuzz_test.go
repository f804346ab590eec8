package x509sig

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// The targets rest on the fixtures: their keys are the same in every process
// that fuzzes.

// fixtureTime is one at which all fixtures are valid.
var fixtureTime = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

const fixtureSigner = "CN=Fixture Publisher,O=Example Test"

func fixtureAnchors(t testing.TB) *Anchors {
	return &Anchors{Roots: must(ParseCertificates(file(t, "testdata/root.pem"))), TimestampRoots: must(ParseCertificates(file(t, "testdata/tsaroot.pem")))}
}

func seeds(f *testing.F, names ...string) {
	for _, name := range names {
		f.Add(file(f, "testdata", name))
	}
}

func FuzzParseChain(f *testing.F) {
	seeds(f, "chain.pem", "root.pem", "artifact.sig")
	f.Add(theWorld().leaf.cert.Raw)
	a, value, signedFile := fixtureAnchors(f), file(f, "testdata/artifact.sig"), file(f, "testdata/artifact")
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := ParseChain(data)
		if err == nil && (len(certs) == 0 || len(certs) > maxChain) {
			t.Errorf("%d certificates", len(certs))
		}
		for _, c := range certs {
			namesMatch([]string{"*a*", "cn:*"}, c)
		}
		r, err := Verify(content(signedFile), Detached{Signature: value, Chain: certs}, a, fixtureTime)
		if err != nil || r.Reason == "" || r.Valid && r.Signer != fixtureSigner {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func FuzzParseCRL(f *testing.F) {
	seeds(f, "inter.crl", "tsaroot.crl", "root.pem")
	w := theWorld()
	f.Add(w.inter.crlDER(nil, revoked(w.leaf.cert, now, 1)))
	chain := must(ParseChain(file(f, "testdata/chain.pem")))
	signed := must(ParseCRL(file(f, "testdata/inter.crl"))).list.RawTBSRevocationList
	f.Fuzz(func(t *testing.T, data []byte) {
		crl, err := ParseCRL(data)
		if err != nil {
			return
		}
		s := material{crls: []*CRL{crl}}.of(chain[0], chain[1], fixtureTime)
		if (s.fresh || s.revoked != nil) && !bytes.Equal(crl.list.RawTBSRevocationList, signed) {
			t.Errorf("a list that nobody signed counts: %+v", s)
		}
	})
}

func FuzzParseOCSP(f *testing.F) {
	seeds(f, "inter.ocsp")
	w := theWorld()
	f.Add(w.inter.ocspDER(w.leaf.cert, w.inter, nil))
	f.Add(ocspTryLater)
	inter, root := must(ParseChain(file(f, "testdata/chain.pem")))[1], must(ParseCertificates(file(f, "testdata/root.pem")))[0]
	signed := must(ocsp.ParseResponse(file(f, "testdata/inter.ocsp"), root)).TBSResponseData
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := ParseOCSP(data)
		if err != nil {
			return
		}
		s := material{ocsp: []*OCSP{o}}.of(inter, root, fixtureTime)
		if s.revoked != nil || s.fresh && !bytes.Equal(must(ocsp.ParseResponseForCert(o.raw, inter, nil)).TBSResponseData, signed) {
			t.Errorf("an answer that the issuer did not give counts: %+v", s)
		}
	})
}

// FuzzCMS lets nothing count that the publisher did not sign.
func FuzzCMS(f *testing.F) {
	seeds(f, "plain.p7s", "noattr.p7s", "pss.p7s")
	c := newTrial()
	stamp := func(value []byte) []byte { return token(c.tsa.stamp(value, now.Add(-day), nil)) }
	for _, m := range []cmsMessage{
		{signers: []cmsSigner{{by: c.leaf, byKeyID: true, stamp: stamp}}, indefinite: true},
		{signers: []cmsSigner{{by: c.leaf, bare: true}}, crls: [][]byte{c.inter.crlDER(nil)}, ocsp: [][]byte{c.inter.ocspDER(c.leaf.cert, c.inter, nil)}},
	} {
		f.Add(m.build(artifact))
	}
	a, signedFile := fixtureAnchors(f), file(f, "testdata/artifact")
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, r := range verifyCMS(t, signedFile, data, a, fixtureTime) {
			if r.Kind != KindCMS || !r.Valid && r.Reason == "" || r.Valid && r.Signer != fixtureSigner {
				t.Errorf("%+v", r)
			}
		}
		for _, r := range verifyCMS(t, signedFile[1:], data, a, fixtureTime) {
			if r.Valid {
				t.Errorf("valid over another artifact: %+v", r)
			}
		}
	})
}

func FuzzTimestamp(f *testing.F) {
	response := file(f, "testdata/artifact.sig.tsr")
	f.Add(response)
	f.Add(token(response))
	w := theWorld()
	f.Add(tokenBy(tst(nil, now, nil), cmsMessage{signers: []cmsSigner{{by: w.tsa}}, indefinite: true}))
	a, values := fixtureAnchors(f), [][]byte{file(f, "testdata/artifact.sig")}
	proven := must(a.verifyTimestamp(response, values, fixtureTime))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := a.verifyTimestamp(data, values, fixtureTime); err == nil && *p != *proven {
			t.Errorf("proves %+v", p)
		}
		if _, err := a.verifyTimestamp(data, [][]byte{[]byte("other")}, fixtureTime); err == nil {
			t.Error("proves a time for another value")
		}
	})
}

// TestFuzzSeedsCount makes sure that the targets start from what is valid.
func TestFuzzSeedsCount(t *testing.T) {
	chain, root := must(ParseChain(file(t, "testdata/chain.pem"))), must(ParseCertificates(file(t, "testdata/root.pem")))[0]
	for _, s := range []status{
		material{crls: []*CRL{must(ParseCRL(file(t, "testdata/inter.crl")))}}.of(chain[0], chain[1], fixtureTime),
		material{ocsp: []*OCSP{must(ParseOCSP(file(t, "testdata/inter.ocsp")))}}.of(chain[1], root, fixtureTime),
	} {
		if !s.fresh || s.revoked != nil {
			t.Errorf("%+v", s)
		}
	}
	for _, c := range [][]*x509.Certificate{chain[:1], chain} {
		r, err := Verify(content(file(t, "testdata/artifact")), Detached{Signature: file(t, "testdata/artifact.sig"), Chain: c}, fixtureAnchors(t), fixtureTime)
		if err != nil || r.Valid != (len(c) == 2) {
			t.Errorf("%+v, %v", r, err)
		}
	}
}
