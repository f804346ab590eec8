package x509sig

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/timestamp-authority/v2/pkg/verification"
)

// expiredTrial is a signature by a certificate that was valid until
// yesterday: valid only if a timestamp from before counts.
func expiredTrial() *trial {
	c := newTrial()
	c.by(c.inter, p256(), validity(now.Add(-30*day), now.Add(-day)))
	return c
}

// tst is TSTInfo over value, with changes.
func tst(value []byte, at time.Time, change func(*tstInfo)) []byte {
	info := tstInfo{Version: 1, Policy: asn1.ObjectIdentifier{1, 2, 3}, Serial: big.NewInt(7), Time: at.UTC()}
	info.Imprint.HashAlgorithm.Algorithm = hashOID(crypto.SHA256)
	info.Imprint.Sum = digest(crypto.SHA256, value)
	if change != nil {
		change(&info)
	}
	return must(asn1.Marshal(info))
}

// tokenBy is a token as no library makes it.
func tokenBy(content []byte, m cmsMessage) []byte {
	m.contentType, m.embedded = oidTSTInfo, content
	return m.build(content)
}

func TestTimestamp(t *testing.T) {
	yesterday := now.Add(-2 * day)
	by := func(tsa func(*trial) *identity, change func(*timestamp.Timestamp)) func(*trial) {
		return func(c *trial) { c.d.Timestamp = tsa(c).stamp(c.d.Signature, yesterday, change) }
	}
	tsa := func(edits ...edit) func(*trial) *identity {
		return func(c *trial) *identity {
			return issue(c.tsaRoot, "other tsa", p256(), append([]edit{timeStamping}, edits...)...)
		}
	}
	good := func(c *trial) *identity { return c.tsa }
	at := func(when time.Time) func(*trial) {
		return func(c *trial) { c.d.Timestamp = c.tsa.stamp(c.d.Signature, when, nil) }
	}
	made := func(change func(*tstInfo), signers ...cmsSigner) func(*trial) {
		return func(c *trial) {
			m := cmsMessage{}
			for _, s := range signers {
				if s.by == nil {
					s.by = c.tsa
				}
				if s.attributes == nil {
					s.attributes = plus(oidSigningCertificateV2, signingCertificateV2(s.by.cert))
				}
				m.signers = append(m.signers, s)
			}
			c.d.Timestamp = tokenBy(tst(c.d.Signature, yesterday, change), m)
		}
	}
	ekus := func(critical bool, oids ...asn1.ObjectIdentifier) edit {
		return func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{extension(oidExtendedKeyUsage, critical, oids)}
		}
	}
	stamping, codes := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}
	for _, c := range []struct {
		name, want, why string
		change          func(*trial)
	}{
		{"none", "invalid", "expired", nil},
		{"response", "valid", "", at(yesterday)},
		{"token", "valid", "", func(c *trial) { c.d.Timestamp = token(c.tsa.stamp(c.d.Signature, yesterday, nil)) }},
		{"over the base64 form", "valid", "", func(c *trial) {
			c.d.Signature = []byte(base64.StdEncoding.EncodeToString(c.d.Signature))
			at(yesterday)(c)
		}},
		{"over the decoded form", "valid", "", func(c *trial) {
			at(yesterday)(c)
			c.d.Signature = []byte(base64.StdEncoding.EncodeToString(c.d.Signature))
		}},
		{"SHA-512", "valid", "", by(good, func(ts *timestamp.Timestamp) { ts.HashAlgorithm = crypto.SHA512 })},
		{"RSA authority", "valid", "", by(func(c *trial) *identity { return issue(c.tsaRoot, "rsa tsa", rsa2048(), timeStamping) }, nil)},
		{"nonce and extension", "valid", "", by(good, func(ts *timestamp.Timestamp) {
			ts.Nonce, ts.ExtraExtensions = big.NewInt(9), []pkix.Extension{extension(oidUnknown, false, 1)}
		})},
		{"intermediate of the authority configured", "valid", "", func(c *trial) {
			inter := issue(c.tsaRoot, "tsa inter", p256(), ca)
			c.a.Intermediates = []*x509.Certificate{inter.cert}
			by(func(*trial) *identity { return issue(inter, "tsa", p256(), timeStamping) }, func(ts *timestamp.Timestamp) { ts.Certificates = nil })(c)
		}},
		{"certificate of the authority left out", "invalid", "is not in it", by(good, func(ts *timestamp.Timestamp) { ts.AddTSACertificate = false })},
		{"certificate of the authority configured", "valid", "", func(c *trial) {
			by(good, func(ts *timestamp.Timestamp) { ts.AddTSACertificate = false })(c)
			c.a.Intermediates = []*x509.Certificate{c.tsa.cert}
		}},
		{"another signature", "invalid", "for another signature", func(c *trial) { c.d.Timestamp = c.tsa.stamp([]byte("x"), yesterday, nil) }},
		{"the artifact", "invalid", "for another signature", func(c *trial) { c.d.Timestamp = c.tsa.stamp(c.content, yesterday, nil) }},
		{"no roots configured", "invalid", "no root of timestamp authorities", func(c *trial) { at(yesterday)(c); c.a.TimestampRoots = nil }},
		{"unknown authority", "invalid", "leads to no trusted root", func(c *trial) {
			at(yesterday)(c)
			c.a.TimestampRoots = c.a.Roots
		}},
		{"publisher's own authority", "invalid", "leads to no trusted root", by(func(c *trial) *identity { return issue(c.inter, "tsa", p256(), timeStamping) }, nil)},
		{"after the certificate expired", "invalid", "expired", at(now.Add(-day / 2))},
		{"before the certificate was valid", "invalid", "not yet valid", at(now.Add(-31 * day))},
		{"tomorrow", "invalid", "yet to come", at(now.Add(day))},
		{"usage not critical", "invalid", "timeStamping alone", by(tsa(ekus(false, stamping)), nil)},
		{"more usages", "invalid", "timeStamping alone", by(tsa(ekus(true, stamping, codes)), nil)},
		{"more unknown usages", "invalid", "timeStamping alone", by(tsa(ekus(true, stamping, oidUnknown)), nil)},
		{"code signing certificate", "invalid", "timeStamping alone", by(tsa(ekus(true, codes)), nil)},
		{"authority that is a CA", "invalid", "timeStamping alone", by(tsa(func(c *x509.Certificate) { c.IsCA = true }), nil)},
		{"key usage", "invalid", "digitalSignature", by(tsa(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), nil)},
		{"authority expired then", "invalid", "expired", by(tsa(validity(now.Add(-30*day), now.Add(-3*day))), nil)},
		{"authority expired since", "valid", "", by(tsa(validity(now.Add(-30*day), now.Add(-day))), nil)},
		{"weak authority", "invalid", "RSA key of 1024", by(func(c *trial) *identity { return issue(c.tsaRoot, "weak tsa", rsa1024(), timeStamping) }, nil)},
		{"SHA-1 imprint", "invalid", "imprint by 1.3.14.3.2.26", made(func(i *tstInfo) { i.Imprint.HashAlgorithm.Algorithm = oidSHA1 }, cmsSigner{})},
		{"signed with SHA-1", "invalid", "digest algorithm", func(c *trial) {
			ts := &timestamp.Timestamp{HashAlgorithm: crypto.SHA256, HashedMessage: digest(crypto.SHA256, c.d.Signature), Time: yesterday, Policy: oidUnknown, AddTSACertificate: true}
			tsa := issue(c.tsaRoot, "rsa tsa", rsa2048(), timeStamping)
			c.d.Timestamp = must(ts.CreateResponseWithOpts(tsa.cert, tsa.key, crypto.SHA1))
		}},
		{"made here", "valid", "", made(nil, cmsSigner{})},
		{"fraction of a second", "valid", "", made(func(i *tstInfo) { i.Accuracy.Millis = 500 }, cmsSigner{})},
		{"BER", "valid", "", func(c *trial) {
			s := cmsSigner{by: c.tsa, attributes: plus(oidSigningCertificateV2, signingCertificateV2(c.tsa.cert))}
			c.d.Timestamp = tokenBy(tst(c.d.Signature, yesterday, nil), cmsMessage{signers: []cmsSigner{s}, indefinite: true})
		}},
		{"two signatures", "invalid", "one signature", made(nil, cmsSigner{}, cmsSigner{})},
		{"without attributes", "invalid", "without attributes", made(nil, cmsSigner{bare: true})},
		{"no signing-certificate", "invalid", "do not name the signer's certificate", made(nil, cmsSigner{attributes: plus(oidUnknown, 1)})},
		{"signing-certificate by SHA-1", "valid", "", func(c *trial) {
			type id struct{ Sum []byte }
			v1 := struct{ IDs []id }{[]id{{digest(crypto.SHA1, c.tsa.cert.Raw)}}}
			made(nil, cmsSigner{attributes: plus(oidSigningCertificate, v1)})(c)
		}},
		{"signing-certificate of another", "invalid", "another certificate", func(c *trial) {
			made(nil, cmsSigner{attributes: plus(oidSigningCertificateV2, signingCertificateV2(c.root.cert))})(c)
		}},
		{"version 2", "invalid", "malformed TSTInfo", made(func(i *tstInfo) { i.Version = 2 }, cmsSigner{})},
		{"unknown critical extension", "invalid", "unknown critical extension", made(func(i *tstInfo) { i.Extensions = []pkix.Extension{extension(oidUnknown, true, 1)} }, cmsSigner{})},
		{"accuracy of a day", "invalid", "accuracy", made(func(i *tstInfo) { i.Accuracy.Seconds = 86400 }, cmsSigner{})},
		{"accuracy below zero", "invalid", "accuracy", made(func(i *tstInfo) { i.Accuracy.Millis = -1 }, cmsSigner{})},
		{"empty token", "invalid", "malformed CMS", func(c *trial) { c.d.Timestamp = []byte{0} }},
		{"oversized", "invalid", "at most", func(c *trial) { c.d.Timestamp = make([]byte, maxToken+1) }},
		{"bytes after the response", "invalid", "malformed CMS", func(c *trial) { at(yesterday)(c); c.d.Timestamp = append(c.d.Timestamp, 0) }},
		{"refused", "invalid", "status 2", func(c *trial) {
			c.d.Timestamp = must(timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.BadAlgorithm))
		}},
		{"granted with changes", "valid", "", func(c *trial) {
			type response struct{ Status, Token asn1.RawValue }
			c.d.Timestamp = must(asn1.Marshal(response{asn1.RawValue{FullBytes: []byte{0x30, 3, 2, 1, 1}}, asn1.RawValue{FullBytes: token(c.tsa.stamp(c.d.Signature, yesterday, nil))}}))
		}},
		{"CMS signature", "invalid", "no timestamp", func(c *trial) {
			c.d.Timestamp = cmsMessage{signers: []cmsSigner{{by: c.tsa}}}.build(c.d.Signature)
		}},
		{"another artifact", "invalid", "does not hold", func(c *trial) { at(yesterday)(c); c.content = nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			trial := expiredTrial()
			if c.change != nil {
				c.change(trial)
			}
			r := trial.run(t)
			expect(t, r, c.want, c.why)
			if c.want == "valid" && (!r.TimeProven || !r.Time.Equal(yesterday)) {
				t.Errorf("time %s, proven %v", r.Time, r.TimeProven)
			}
			// Everything that counts here must count for a library that
			// checks less; it does not take tokens without a response, and
			// wants the certificate inside.
			if _, err := timestamp.ParseResponse(trial.d.Timestamp); c.want == "valid" && err == nil && len(trial.a.Intermediates) == 0 {
				opts := verification.VerifyOpts{Roots: trial.a.TimestampRoots}
				decoded := must(decodeSignature(trial.d.Signature))
				_, raw := verification.VerifyTimestampResponse(trial.d.Timestamp, bytes.NewReader(trial.d.Signature), opts)
				_, other := verification.VerifyTimestampResponse(trial.d.Timestamp, bytes.NewReader(decoded), opts)
				if raw != nil && other != nil {
					t.Errorf("timestamp-authority refuses it: %v", raw)
				}
			}
		})
	}
}

// TestTimestampThatDoesNotCount leaves a signature valid that is so now.
func TestTimestampThatDoesNotCount(t *testing.T) {
	c := newTrial()
	c.d.Timestamp = c.tsa.stamp([]byte("x"), now.Add(-day), nil)
	r := c.run(t)
	expect(t, r, "valid", "does not count: it is for another signature")
	if r.TimeProven || !r.Time.IsZero() {
		t.Errorf("%+v", r)
	}
}

func TestTimestampsInCMS(t *testing.T) {
	c := expiredTrial()
	stamp := func(when time.Time) func([]byte) []byte {
		return func(value []byte) []byte { return token(c.tsa.stamp(value, when, nil)) }
	}
	bad := cmsAttribute{oidTimestampToken, []any{asn1.RawValue{FullBytes: token(c.tsa.stamp(nil, now.Add(-2*day), nil))}}}
	for _, v := range []struct {
		name, want, why string
		s               cmsSigner
	}{
		{"none", "invalid", "expired", cmsSigner{}},
		{"in time", "valid", "", cmsSigner{stamp: stamp(now.Add(-2 * day))}},
		{"late", "invalid", "expired", cmsSigner{stamp: stamp(now.Add(-day / 2))}},
		{"for another", "invalid", "another signature", cmsSigner{unsigned: []cmsAttribute{bad}}},
		{"two attributes", "invalid", "two attributes", cmsSigner{unsigned: []cmsAttribute{bad}, stamp: stamp(now.Add(-2 * day))}},
		{"five of another", "invalid", "another signature", cmsSigner{unsigned: []cmsAttribute{{oidTimestampToken, slices.Repeat(bad.values, 5)}}}},
		{"not a token", "invalid", "malformed", cmsSigner{unsigned: []cmsAttribute{{oidTimestampToken, []any{1}}}}},
	} {
		t.Run(v.name, func(t *testing.T) {
			v.s.by = c.leaf
			r := verifyCMS(t, artifact, cmsMessage{signers: []cmsSigner{v.s}}.build(artifact), &c.a, now)[0]
			expect(t, r, v.want, v.why)
			if r.TimeProven != (v.name == "in time" || v.name == "late") {
				t.Errorf("%+v", r)
			}
		})
	}
}
