package x509sig

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"golang.org/x/crypto/cryptobyte"
	cryptobyte_asn1 "golang.org/x/crypto/cryptobyte/asn1"

	"assize.dev/services/sign/internal/signature"
)

func verifyCMS(tb testing.TB, file []byte, p7s []byte, a *Anchors, at time.Time) []signature.Result {
	tb.Helper()
	results, err := VerifyCMS(content(file), p7s, a, at)
	if err != nil {
		tb.Fatal(err)
	}
	if len(results) == 0 {
		tb.Fatal("no result")
	}
	return results
}

func without(oid asn1.ObjectIdentifier) func([]cmsAttribute) []cmsAttribute {
	return func(list []cmsAttribute) []cmsAttribute {
		return slices.DeleteFunc(list, func(a cmsAttribute) bool { return a.oid.Equal(oid) })
	}
}

func plus(oid asn1.ObjectIdentifier, values ...any) func([]cmsAttribute) []cmsAttribute {
	return func(list []cmsAttribute) []cmsAttribute { return append(list, cmsAttribute{oid, values}) }
}

// signingCertificateV2 is the attribute for a certificate, by SHA-256.
func signingCertificateV2(c *x509.Certificate) any {
	type id struct{ Sum []byte }
	return struct{ IDs []id }{[]id{{digest(crypto.SHA256, c.Raw)}}}
}

func signingCertificateBy(h crypto.Hash, c *x509.Certificate) any {
	type id struct {
		Hash pkix.AlgorithmIdentifier
		Sum  []byte
	}
	return struct{ IDs []id }{[]id{{pkix.AlgorithmIdentifier{Algorithm: hashOID(h)}, digest(h, c.Raw)}}}
}

func TestCMS(t *testing.T) {
	w := theWorld()
	p384 := issue(w.inter, "p384", curve(elliptic.P384()), codeSigning)
	byRSA := issue(w.inter, "rsa", rsa2048(), codeSigning)
	byEd := issue(w.inter, "ed", edKey(), codeSigning)
	other := issue(nil, "other", p256(), codeSigning)
	twin := issue(w.inter, "publisher", p256(), codeSigning, func(c *x509.Certificate) { c.SerialNumber = w.leaf.cert.SerialNumber })
	one := func(s cmsSigner) cmsMessage {
		if s.by == nil {
			s.by = w.leaf
		}
		return cmsMessage{signers: []cmsSigner{s}}
	}
	for _, c := range []struct {
		name, want, why string
		m               cmsMessage
	}{
		{"good", "valid", "certificate sha256:", one(cmsSigner{})},
		{"SHA-512", "valid", "", one(cmsSigner{hash: crypto.SHA512})},
		{"SHA-1", "invalid", "digest algorithm 1.3.14.3.2.26", one(cmsSigner{hash: crypto.SHA1})},
		{"P-384 with SHA-384", "valid", "", one(cmsSigner{by: p384, hash: crypto.SHA384})},
		{"rsaEncryption", "valid", "", one(cmsSigner{by: byRSA})},
		{"sha384WithRSAEncryption", "valid", "", one(cmsSigner{by: byRSA, hash: crypto.SHA384, algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}})},
		{"sha512WithRSAEncryption with SHA-256", "invalid", "signature algorithm", one(cmsSigner{by: byRSA, algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}})},
		{"RSA-PSS", "valid", "", one(cmsSigner{by: byRSA, pss: true, hash: crypto.SHA384})},
		{"RSA-PSS by default parameters", "invalid", "digest algorithm", one(cmsSigner{by: byRSA, pss: true, hash: crypto.SHA1})},
		{"Ed25519", "valid", "", one(cmsSigner{by: byEd, hash: crypto.SHA512})},
		{"Ed25519 without attributes", "valid", "", one(cmsSigner{by: byEd, bare: true})},
		{"Ed25519 under another name", "invalid", "does not hold", one(cmsSigner{by: byEd, algorithm: oidRSA})},
		{"Ed25519 under another name, without attributes", "invalid", "does not hold", one(cmsSigner{by: byEd, algorithm: oidRSA, bare: true})},
		{"ECDSA by RSA's name", "invalid", "signature algorithm", one(cmsSigner{algorithm: oidRSA})},
		{"ecdsa-with-SHA512 with SHA-256", "invalid", "signature algorithm", one(cmsSigner{algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}})},
		{"unknown algorithm", "invalid", "signature algorithm", one(cmsSigner{by: byRSA, algorithm: oidUnknown})},
		{"key identifier", "valid", "", one(cmsSigner{byKeyID: true})},
		{"BER", "valid", "", cmsMessage{signers: []cmsSigner{{by: w.leaf}}, indefinite: true}},
		{"without attributes", "valid", "", one(cmsSigner{bare: true})},
		{"without attributes, other content type", "invalid", "want data", cmsMessage{signers: []cmsSigner{{by: w.leaf, bare: true}}, contentType: oidTSTInfo}},
		{"other content type", "invalid", "want data", cmsMessage{signers: []cmsSigner{{by: w.leaf}}, contentType: oidTSTInfo}},
		{"attributes in another order", "valid", "", one(cmsSigner{unsorted: true})},
		{"no content-type", "invalid", "content-type", one(cmsSigner{attributes: without(oidContentType)})},
		{"wrong content-type", "invalid", "content-type", one(cmsSigner{attributes: func([]cmsAttribute) []cmsAttribute {
			return defaultAttributes(oidTSTInfo, digest(crypto.SHA256, artifact))
		}})},
		{"no message-digest", "invalid", "message-digest", one(cmsSigner{attributes: without(oidMessageDigest)})},
		{"wrong message-digest", "invalid", "message-digest", one(cmsSigner{attributes: func([]cmsAttribute) []cmsAttribute {
			return defaultAttributes(oidData, digest(crypto.SHA256, nil))
		}})},
		{"two message-digests", "invalid", "two attributes", one(cmsSigner{attributes: plus(oidMessageDigest, []byte("x"))})},
		{"message-digest of two values", "invalid", "message-digest", one(cmsSigner{attributes: func(list []cmsAttribute) []cmsAttribute {
			return plus(oidMessageDigest, digest(crypto.SHA256, artifact), []byte("x"))(without(oidMessageDigest)(list))
		}})},
		{"no attributes in the set", "invalid", "content-type", one(cmsSigner{attributes: func([]cmsAttribute) []cmsAttribute { return nil }})},
		{"too many attributes", "invalid", "more than 64 attributes", one(cmsSigner{attributes: func(list []cmsAttribute) []cmsAttribute {
			for i := range 64 {
				list = append(list, cmsAttribute{asn1.ObjectIdentifier{1, 2, i}, nil})
			}
			return list
		}})},
		{"signing-certificate", "valid", "", one(cmsSigner{attributes: plus(oidSigningCertificateV2, signingCertificateV2(w.leaf.cert))})},
		{"another's signing-certificate", "invalid", "name another certificate", one(cmsSigner{attributes: plus(oidSigningCertificateV2, signingCertificateV2(byRSA.cert))})},
		{"signing-certificate by SHA-512", "valid", "", one(cmsSigner{attributes: plus(oidSigningCertificateV2, signingCertificateBy(crypto.SHA512, w.leaf.cert))})},
		{"signing-certificate v2 by SHA-1", "invalid", "signing-certificate uses 1.3.14.3.2.26", one(cmsSigner{attributes: plus(oidSigningCertificateV2, signingCertificateBy(crypto.SHA1, w.leaf.cert))})},
		{"malformed signing-certificate", "invalid", "signing-certificate", one(cmsSigner{attributes: plus(oidSigningCertificateV2, 1)})},
		{"value replaced", "invalid", "does not hold", one(cmsSigner{raw: []byte{1}})},
		{"embedded content", "invalid", "content of its own", cmsMessage{signers: []cmsSigner{{by: w.leaf}}, embedded: artifact}},
		{"embedded content of no bytes", "invalid", "content of its own", cmsMessage{signers: []cmsSigner{{by: w.leaf}}, embedded: []byte{}}},
		{"embedded content in pieces", "invalid", "content of its own", cmsMessage{signers: []cmsSigner{{by: w.leaf}}, embedded: artifact, indefinite: true}},
		{"not SignedData", "invalid", "want SignedData", cmsMessage{outerType: oidData, certificates: w.leaf.chain()}},
		{"no signers", "invalid", "certificates only", cmsMessage{certificates: w.leaf.chain()}},
		{"17 signers", "invalid", "more than 16", cmsMessage{signers: slices.Repeat([]cmsSigner{{by: w.leaf}}, 17), certificates: w.leaf.chain()}},
		{"65 certificates", "invalid", "more than 64", cmsMessage{signers: []cmsSigner{{by: w.leaf}}, certificates: slices.Repeat(w.leaf.chain()[:1], 65)}},
		{"certificate left out", "stranger", "number", cmsMessage{signers: []cmsSigner{{by: w.leaf}}, certificates: []*x509.Certificate{w.inter.cert}}},
		{"certificate left out, key identifier", "stranger", "key identifier", cmsMessage{signers: []cmsSigner{{by: w.leaf, byKeyID: true}}, certificates: []*x509.Certificate{w.inter.cert}}},
		{"another certificate of the same number first", "valid", "", cmsMessage{signers: []cmsSigner{{by: w.leaf}}, certificates: []*x509.Certificate{twin.cert, w.leaf.cert, w.inter.cert}}},
		{"only another certificate of the same number", "invalid", "does not hold", cmsMessage{signers: []cmsSigner{{by: w.leaf}}, certificates: []*x509.Certificate{twin.cert, w.inter.cert}}},
		{"unknown root", "stranger", "leads to no trusted root", cmsMessage{signers: []cmsSigner{{by: other}}, certificates: []*x509.Certificate{other.cert}}},
		{"wrong usage", "invalid", "codeSigning", one(cmsSigner{by: w.tsa})},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &newTrial().a
			results := verifyCMS(t, artifact, c.m.build(artifact), a, now)
			if len(results) != 1 {
				t.Fatalf("%d results", len(results))
			}
			expect(t, results[0], c.want, c.why)
		})
	}
}

func TestPSSParameters(t *testing.T) {
	type identifier struct {
		Algorithm  asn1.ObjectIdentifier
		Parameters asn1.RawValue `asn1:"optional"`
	}
	type parameters struct {
		Hash    identifier `asn1:"explicit,tag:0"`
		MGF     identifier `asn1:"explicit,tag:1"`
		Salt    int        `asn1:"explicit,tag:2"`
		Trailer int        `asn1:"explicit,tag:3,optional,default:1"`
	}
	mgf := func(h crypto.Hash) identifier {
		return identifier{oidMGF1, asn1.RawValue{FullBytes: must(asn1.Marshal(identifier{Algorithm: hashOID(h)}))}}
	}
	good := must(asn1.Marshal(parameters{identifier{Algorithm: hashOID(crypto.SHA256)}, mgf(crypto.SHA256), 32, 1}))
	for _, c := range []struct {
		why string
		der []byte
	}{
		{"", good},
		{"malformed", nil},
		{"malformed", append(bytes.Clone(good), 0)},
		{"parameters other than SHA-256", []byte{0x30, 0}}, // the defaults, SHA-1
		{"parameters other than SHA-256", must(asn1.Marshal(parameters{identifier{Algorithm: hashOID(crypto.SHA512)}, mgf(crypto.SHA256), 32, 1}))},
		{"parameters other than SHA-256", must(asn1.Marshal(parameters{identifier{Algorithm: hashOID(crypto.SHA256)}, mgf(crypto.SHA1), 32, 1}))},
		{"parameters other than SHA-256", must(asn1.Marshal(parameters{identifier{Algorithm: hashOID(crypto.SHA256)}, identifier{Algorithm: oidUnknown}, 32, 1}))},
		{"parameters other than SHA-256", must(asn1.Marshal(parameters{identifier{Algorithm: hashOID(crypto.SHA256)}, mgf(crypto.SHA256), 32, 2}))},
	} {
		mentions(t, checkPSS(c.der, crypto.SHA256), c.why)
	}
}

func TestCMSForms(t *testing.T) {
	w := theWorld()
	der := cmsMessage{signers: []cmsSigner{{by: w.leaf}}}.build(artifact)
	nested := bytes.Repeat([]byte{0x30, 0x80}, 100_000)
	for _, c := range []struct {
		name, want, why string
		file            []byte
	}{
		{"DER", "valid", "", der},
		{"PKCS7", "valid", "", toPEM("PKCS7", der)},
		{"CMS", "valid", "", toPEM("CMS", der)},
		{"two", "invalid", "2 PEM blocks", toPEM("CMS", der, der)},
		{"certificate", "invalid", `"CERTIFICATE"`, toPEM("CERTIFICATE", w.leaf.cert.Raw)},
		{"private key", "invalid", "private key", toPEM("PRIVATE KEY", []byte("x"))},
		{"PEM cut off", "invalid", "cut off", toPEM("CMS", der)[:400]},
		{"text", "invalid", "neither DER nor PEM", []byte("hello")},
		{"nothing", "invalid", "neither DER nor PEM", nil},
		{"trailing byte", "invalid", "bytes after it", append(bytes.Clone(der), 0)},
		{"trailing byte after BER", "invalid", "BER", append(cmsMessage{signers: []cmsSigner{{by: w.leaf}}, indefinite: true}.build(artifact), 0)},
		{"nested BER", "invalid", "BER", nested},
		{"nested and closed BER", "invalid", "BER", append(nested, make([]byte, len(nested))...)},
		{"BER without end", "invalid", "BER", nested[:20]},
		{"primitive with an end mark", "invalid", "BER", []byte{0x30, 0x80, 0x04, 0x80, 0, 0, 0, 0}},
		{"too large", "invalid", "at most", make([]byte, MaxCMS+1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			results := verifyCMS(t, artifact, c.file, &newTrial().a, now)
			expect(t, results[0], c.want, c.why)
		})
	}
}

func TestCMSOfSeveralSigners(t *testing.T) {
	w := theWorld()
	stranger := issue(issue(nil, "elsewhere", p256(), ca), "stranger", p256(), codeSigning)
	unfit := issue(w.inter, "unfit", p256(), codeSigning, usages(x509.ExtKeyUsageServerAuth))
	p7s := cmsMessage{signers: []cmsSigner{{by: w.leaf}, {by: stranger, hash: crypto.SHA384}, {by: unfit}, {by: w.leaf, raw: []byte("x")}}}.build(artifact)
	results := verifyCMS(t, artifact, p7s, &newTrial().a, now)
	want := []struct{ verdict, signer string }{{"valid", "publisher"}, {"stranger", "stranger"}, {"invalid", "unfit"}, {"invalid", "publisher"}}
	if len(results) != len(want) {
		t.Fatalf("%d results", len(results))
	}
	for i, r := range results {
		expect(t, r, want[i].verdict, "")
		if r.Kind != KindCMS || r.Signer != fmt.Sprintf("CN=%s,O=Example Test", want[i].signer) {
			t.Errorf("result %d is of %q", i, r.Signer)
		}
		if !r.Time.IsZero() && (!r.Time.Equal(now.Add(-time.Hour)) || r.TimeProven) {
			t.Errorf("time %s, proven %v", r.Time, r.TimeProven)
		}
	}
}

// TestAttributesAsArtifact presents the signed attributes of a signature as
// the artifact of one without attributes.
func TestAttributesAsArtifact(t *testing.T) {
	w := theWorld()
	for _, n := range []int{1, 40, 200, 70_000} { // each form of a length
		list := defaultAttributes(oidData, digest(crypto.SHA256, artifact))
		list = plus(oidUnknown, bytes.Repeat([]byte{7}, n))(list)
		forged := setOf(attributesDER(list))
		p7s := cmsMessage{signers: []cmsSigner{{by: w.leaf, bare: true, raw: w.leaf.sign(forged, crypto.SHA256)}}}.build(artifact)
		expect(t, verifyCMS(t, forged, p7s, &newTrial().a, now)[0], "invalid", "signed attributes of another signature")
	}
	for _, harmless := range [][]byte{{}, {0x31}, {0x31, 0x01}, {0x31, 0x80}, {0x31, 0xff, 1, 2, 3, 4, 5}, []byte("1234")} {
		p7s := cmsMessage{signers: []cmsSigner{{by: w.leaf, bare: true}}}.build(harmless)
		expect(t, verifyCMS(t, harmless, p7s, &newTrial().a, now)[0], "valid", "")
	}
}

// TestDamage changes every byte of a file whose certificate expired, so that
// its timestamp is needed. What is still accepted must say the same as
// before: versions and hints are not signed.
func TestDamage(t *testing.T) {
	w := theWorld()
	expired := issue(w.inter, "expired", p256(), codeSigning, validity(now.Add(-9*day), now.Add(-day/2)))
	p7s := cmsMessage{signers: []cmsSigner{{by: expired, stamp: func(value []byte) []byte {
		return token(w.tsa.stamp(value, now.Add(-day), func(ts *timestamp.Timestamp) { ts.Certificates = nil }))
	}}}}.build(artifact)
	a := &newTrial().a
	good := verifyCMS(t, artifact, p7s, a, now)[0]
	expect(t, good, "valid", "")
	survived := 0
	for i := range p7s {
		for _, flip := range []byte{1, 0x80} {
			bad := bytes.Clone(p7s)
			bad[i] ^= flip
			for _, r := range verifyCMS(t, artifact, bad, a, now) {
				if !r.Valid {
					continue
				}
				survived++
				if r.Certificate.Equal(good.Certificate) {
					r.Certificate = good.Certificate // each is parsed anew
				}
				if r != good {
					t.Errorf("byte %d changed by %#x: %+v", i, flip, r)
				}
			}
		}
		if r := verifyCMS(t, artifact, p7s[:i], a, now)[0]; r.Valid {
			t.Errorf("%d of %d bytes are accepted", i, len(p7s))
		}
	}
	t.Logf("%d of %d changes left it valid", survived, 2*len(p7s))
	if survived > 100 {
		t.Errorf("%d of %d changes left it valid", survived, 2*len(p7s))
	}
}

// token takes it out of the response.
func token(response []byte) []byte {
	var r struct {
		Status asn1.RawValue
		Token  asn1.RawValue
	}
	must(asn1.Unmarshal(response, &r))
	return r.Token.FullBytes
}

// TestEmbeddedRevocation: what the publisher sends along counts as long as
// it is current.
func TestEmbeddedRevocation(t *testing.T) {
	w := theWorld()
	stale := func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = now.Add(-9*day), now.Add(-8*day) }
	all := [][]byte{w.inter.crlDER(nil), w.root.crlDER(nil)}
	for _, c := range []struct {
		name, want, why string
		crls, ocsp      [][]byte
	}{
		{"CRLs", "valid", "", all, nil},
		{"CRL and OCSP", "valid", "", all[1:], [][]byte{w.inter.ocspDER(w.leaf.cert, w.inter, nil)}},
		{"half", "invalid", "not provable", all[:1], nil},
		{"stale", "invalid", "not provable", [][]byte{w.inter.crlDER(stale), all[1]}, nil},
		{"unusable ones beside", "valid", "", append([][]byte{{0x30, 0}}, all...), [][]byte{ocspTryLater}},
		{"33", "invalid", "more than 32", slices.Repeat(all[:1], 33), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newTrial().a
			a.RequireRevocation = true
			p7s := cmsMessage{signers: []cmsSigner{{by: w.leaf}}, crls: c.crls, ocsp: c.ocsp}.build(artifact)
			expect(t, verifyCMS(t, artifact, p7s, &a, now)[0], c.want, c.why)
		})
	}
}

var ocspTryLater = []byte{0x30, 0x03, 0x0a, 0x01, 0x03}

// TestOtherFormsInSets: attribute certificates and unknown revocation
// formats may be there and mean nothing.
func TestOtherFormsInSets(t *testing.T) {
	w := theWorld()
	p7s := cmsMessage{signers: []cmsSigner{{by: w.leaf}}, certificates: append(w.leaf.chain(), &x509.Certificate{Raw: []byte{0xa1, 0x02, 0x30, 0x00}}), crls: [][]byte{otherRevocation()}}.build(artifact)
	expect(t, verifyCMS(t, artifact, p7s, &newTrial().a, now)[0], "valid", "")
	broken := cmsMessage{signers: []cmsSigner{{by: w.leaf}}, certificates: []*x509.Certificate{{Raw: []byte{0x30, 0x00}}}}.build(artifact)
	expect(t, verifyCMS(t, artifact, broken, &newTrial().a, now)[0], "invalid", "certificate in CMS")
}

func otherRevocation() []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag1, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oidUnknown)
		b.AddASN1(cryptobyte_asn1.SEQUENCE, func(b *cryptobyte.Builder) {})
	})
	return b.BytesOrPanic()
}

func TestReasonsNeverSpanLines(t *testing.T) {
	w := theWorld()
	evil := issue(nil, "evil\nline", p256(), codeSigning)
	for _, m := range []cmsMessage{{signers: []cmsSigner{{by: evil}}, certificates: []*x509.Certificate{evil.cert}}, {signers: []cmsSigner{{by: evil}}, certificates: w.leaf.chain()}} {
		r := verifyCMS(t, artifact, m.build(artifact), &newTrial().a, now)[0]
		if strings.ContainsAny(r.Signer+r.Reason, "\n\r") || r.Valid {
			t.Errorf("%+v", r)
		}
	}
}
