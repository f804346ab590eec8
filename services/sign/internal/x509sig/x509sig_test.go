package x509sig

import (
	"bytes"
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"assize.dev/services/sign/internal/signature"
)

// trial is one verification of a plain signature.
type trial struct {
	world
	content []byte
	d       Detached
	a       Anchors
	at      time.Time
}

func newTrial() *trial {
	w := theWorld()
	return &trial{
		world: w, content: artifact, at: now,
		d: Detached{Signature: w.leaf.sign(artifact, crypto.SHA256), Chain: w.leaf.chain()},
		a: Anchors{Roots: []*x509.Certificate{w.root.cert}, TimestampRoots: []*x509.Certificate{w.tsaRoot.cert}},
	}
}

// by signs with a new leaf.
func (t *trial) by(issuer *identity, key crypto.Signer, edits ...edit) {
	t.leaf = issue(issuer, "publisher", key, append([]edit{codeSigning}, edits...)...)
	t.d.Signature, t.d.Chain = t.leaf.sign(t.content, crypto.SHA256), t.leaf.chain()
}

func (t *trial) run(tb testing.TB) signature.Result {
	tb.Helper()
	r, err := Verify(content(t.content), t.d, &t.a, t.at)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

var oidUnknown = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}

func TestPlain(t *testing.T) {
	pss := func(h crypto.Hash, salt int) func(*trial) {
		return func(c *trial) {
			c.by(c.inter, rsa2048())
			c.d.Signature = signWith(rsa2048(), c.content, &rsa.PSSOptions{SaltLength: salt, Hash: h})
		}
	}
	hashed := func(key func() crypto.Signer, h crypto.Hash) func(*trial) {
		return func(c *trial) {
			c.by(c.inter, key())
			c.d.Signature = c.leaf.sign(c.content, h)
		}
	}
	p224 := func() crypto.Signer { return curve(elliptic.P224()) }
	p384 := func() crypto.Signer { return curve(elliptic.P384()) }
	p521 := func() crypto.Signer { return curve(elliptic.P521()) }
	for _, c := range []struct {
		name, want, why string
		change          func(*trial)
	}{
		{"good", "valid", "certificate sha256:", nil},
		{"P-256 with SHA-512", "valid", "", hashed(p256, crypto.SHA512)},
		{"P-384 with SHA-384", "valid", "", hashed(p384, crypto.SHA384)},
		{"P-384 with SHA-256", "valid", "", hashed(p384, crypto.SHA256)},
		{"P-521 with SHA-512", "valid", "", hashed(p521, crypto.SHA512)},
		{"P-256 with SHA-1", "invalid", "does not hold", hashed(p256, crypto.SHA1)},
		{"P-224", "invalid", "curve P-224", hashed(p224, crypto.SHA256)},
		{"RSA PKCS #1 v1.5 with SHA-256", "valid", "", hashed(rsa2048, crypto.SHA256)},
		{"RSA PKCS #1 v1.5 with SHA-384", "valid", "", hashed(rsa2048, crypto.SHA384)},
		{"RSA PKCS #1 v1.5 with SHA-512", "valid", "", hashed(rsa2048, crypto.SHA512)},
		{"RSA PKCS #1 v1.5 with SHA-1", "invalid", "does not hold", hashed(rsa2048, crypto.SHA1)},
		{"RSA-PSS with SHA-256", "valid", "", pss(crypto.SHA256, rsa.PSSSaltLengthEqualsHash)},
		{"RSA-PSS with SHA-512, longest salt", "valid", "", pss(crypto.SHA512, rsa.PSSSaltLengthAuto)},
		{"RSA-PSS with SHA-1", "invalid", "does not hold", pss(crypto.SHA1, rsa.PSSSaltLengthEqualsHash)},
		{"RSA of 1024 bits", "invalid", "RSA key of 1024 bits", hashed(rsa1024, crypto.SHA256)},
		{"Ed25519", "valid", "", func(c *trial) { c.by(c.inter, edKey()) }},
		{"Ed25519 over another artifact", "invalid", "does not hold", func(c *trial) { c.by(c.inter, edKey()); c.content = []byte("x") }},
		{"Ed25519, too short", "invalid", "63 bytes", func(c *trial) { c.by(c.inter, edKey()); c.d.Signature = c.d.Signature[:63] }},
		{"empty artifact", "valid", "", func(c *trial) { c.content = nil; c.by(c.inter, p256()) }},
		{"artifact changed", "invalid", "does not hold", func(c *trial) { c.content = []byte("the bytes of an artifacT") }},
		{"base64", "valid", "", func(c *trial) {
			c.d.Signature = []byte(" " + base64.StdEncoding.EncodeToString(c.d.Signature[:12]) + "\r\n" + base64.StdEncoding.EncodeToString(c.d.Signature[12:]) + "\n")
		}},
		{"no signature", "invalid", "0 bytes", func(c *trial) { c.d.Signature = nil }},
		{"oversized signature", "invalid", "5120 bytes", func(c *trial) { c.d.Signature = make([]byte, 5<<10) }},
		{"trailing byte", "invalid", "does not hold", func(c *trial) { c.d.Signature = append(c.d.Signature, 0) }},
		{"no chain", "invalid", "leaf first", func(c *trial) { c.d.Chain = nil }},
		{"issuer first", "invalid", "does not hold", func(c *trial) { slices.Reverse(c.d.Chain) }},
		{"overlong chain", "invalid", "at most 10", func(c *trial) { c.d.Chain = slices.Repeat(c.d.Chain, 6) }},
		{"root in the chain", "valid", "", func(c *trial) { c.d.Chain = append(c.d.Chain, c.root.cert) }},

		{"no roots", "stranger", "leads to no trusted root", func(c *trial) { c.a.Roots = nil }},
		{"other root of the same name", "stranger", "leads to no trusted root", func(c *trial) {
			c.a.Roots = []*x509.Certificate{issue(nil, "root", p256(), ca).cert}
		}},
		{"a stranger's broken signature", "invalid", "does not hold", func(c *trial) { c.a.Roots, c.content = nil, nil }},
		{"intermediate left out", "stranger", "leads to no trusted root", func(c *trial) { c.d.Chain = c.d.Chain[:1] }},
		{"intermediate configured", "valid", "", func(c *trial) {
			c.a.Intermediates, c.d.Chain = c.d.Chain[1:], c.d.Chain[:1]
		}},
		{"a timestamp root is no root", "stranger", "", func(c *trial) {
			c.by(c.tsaRoot, p256())
		}},
		{"pinned self-signed leaf", "valid", "", func(c *trial) {
			c.by(nil, p256())
			c.d.Chain = []*x509.Certificate{c.leaf.cert}
			c.a.Roots, c.a.RequireRevocation = c.d.Chain, true
		}},
		{"issuer is no authority", "stranger", "", func(c *trial) {
			c.by(issue(c.inter, "no ca", p256(), codeSigning), p256())
		}},
		{"path too long", "invalid", "too many intermediates", func(c *trial) {
			short := issue(c.root, "short", p256(), ca, func(c *x509.Certificate) { c.MaxPathLenZero = true })
			c.by(issue(short, "below", p256(), ca), p256())
		}},
		{"weak intermediate", "invalid", "RSA key of 1024 bits", func(c *trial) { c.by(issue(c.root, "weak", rsa1024(), ca), p256()) }},
		{"weak root", "invalid", "RSA key of 1024 bits", func(c *trial) {
			weak := issue(nil, "weak root", rsa1024(), ca)
			c.by(weak, p256())
			c.a.Roots = []*x509.Certificate{weak.cert}
		}},
		{"leaf signed with SHA-1", "invalid", "signed with SHA1-RSA", func(c *trial) {
			root := issue(nil, "rsa root", rsa2048(), ca)
			c.a.Roots = []*x509.Certificate{root.cert}
			c.by(root, p256(), func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA })
		}},
		{"intermediate signed with SHA-1", "invalid", "signed with SHA1-RSA", func(c *trial) {
			root := issue(nil, "rsa root", rsa2048(), ca)
			c.a.Roots = []*x509.Certificate{root.cert}
			c.by(issue(root, "old", p256(), ca, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA }), p256())
		}},
		{"a weak certificate that is not needed", "stranger", "leads to no trusted root", func(c *trial) {
			c.a.Roots, c.a.Intermediates = nil, []*x509.Certificate{issue(c.root, "weak", rsa1024(), ca).cert}
		}},
		{"root signed by itself with SHA-1", "valid", "", func(c *trial) {
			root := issue(nil, "rsa root", rsa2048(), ca, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA })
			c.a.Roots = []*x509.Certificate{root.cert}
			c.by(root, p256())
		}},
		{"RSA-PSS certificate", "valid", "", func(c *trial) {
			root := issue(nil, "rsa root", rsa2048(), ca)
			c.a.Roots = []*x509.Certificate{root.cert}
			c.by(root, p256(), func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS })
		}},

		{"serverAuth", "invalid", "lacks the extended key usage codeSigning", func(c *trial) {
			c.by(c.inter, p256(), usages(x509.ExtKeyUsageServerAuth))
		}},
		{"any extended key usage", "invalid", "lacks the extended key usage codeSigning", func(c *trial) {
			c.by(c.inter, p256(), usages(x509.ExtKeyUsageAny))
		}},
		{"no extended key usage", "invalid", "lacks the extended key usage codeSigning", func(c *trial) { c.by(c.inter, p256(), usages()) }},
		{"codeSigning among others", "valid", "", func(c *trial) {
			c.by(c.inter, p256(), usages(x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageCodeSigning))
		}},
		{"intermediate not for code", "invalid", "incompatible key usage", func(c *trial) {
			c.by(issue(c.root, "tls", p256(), ca, usages(x509.ExtKeyUsageServerAuth)), p256())
		}},
		{"key usage contentCommitment", "invalid", "lacks the key usage digitalSignature", func(c *trial) {
			c.by(c.inter, p256(), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageContentCommitment })
		}},
		{"no key usage", "invalid", "lacks the key usage digitalSignature", func(c *trial) {
			c.by(c.inter, p256(), func(c *x509.Certificate) { c.KeyUsage = 0 })
		}},
		{"authority as signer", "invalid", "must not sign artifacts", func(c *trial) {
			c.by(c.inter, p256(), func(c *x509.Certificate) { c.IsCA = true })
		}},
		{"unknown critical extension in the leaf", "invalid", "unhandled critical extension", func(c *trial) {
			c.by(c.inter, p256(), extra(extension(oidUnknown, true, 1)))
		}},
		{"unknown extension in the leaf", "valid", "", func(c *trial) { c.by(c.inter, p256(), extra(extension(oidUnknown, false, 1))) }},
		{"unknown critical extension in the intermediate", "invalid", "unhandled critical extension", func(c *trial) {
			c.by(issue(c.root, "odd", p256(), ca, extra(extension(oidUnknown, true, 1))), p256())
		}},
		{"name constraints hold", "valid", "", func(c *trial) {
			c.by(issue(c.root, "acme", p256(), ca, func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"acme.example"} }), p256(),
				func(c *x509.Certificate) { c.DNSNames = []string{"build.acme.example"} })
		}},
		{"name constraints do not hold", "invalid", "not permitted", func(c *trial) {
			c.by(issue(c.root, "acme", p256(), ca, func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"acme.example"} }), p256(),
				func(c *x509.Certificate) { c.DNSNames = []string{"build.other.example"} })
		}},
		{"overlong subject", "invalid", "at most 2048", func(c *trial) {
			c.by(c.inter, p256(), func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("x", 3<<10) })
		}},

		{"expired", "invalid", "expired", func(c *trial) { c.by(c.inter, p256(), validity(now.Add(-9*day), now.Add(-day))) }},
		{"not yet valid", "invalid", "not yet valid", func(c *trial) { c.by(c.inter, p256(), validity(now.Add(day), now.Add(9*day))) }},
		{"expired, at a time before", "valid", "", func(c *trial) {
			c.by(c.inter, p256(), validity(now.Add(-9*day), now.Add(-day)))
			c.at = now.Add(-2 * day)
		}},
		{"expired intermediate", "invalid", "expired", func(c *trial) {
			c.by(issue(c.root, "old", p256(), ca, validity(now.Add(-9*day), now.Add(-day))), p256())
		}},
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

func TestNames(t *testing.T) {
	leaf := func(c *x509.Certificate) {
		c.Subject.CommonName = "Acme [Release]"
		c.EmailAddresses = []string{"build@acme.example"}
		c.URIs = []*url.URL{must(url.Parse("https://acme.example/ci/release"))}
		c.DNSNames = []string{"ci.acme.example"}
		c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1)}
	}
	for _, c := range []struct {
		names []string
		want  string
	}{
		{nil, "valid"},
		{[]string{"Acme [Release]"}, "valid"},
		{[]string{"acme [release]"}, "stranger"},
		{[]string{"Acme"}, "stranger"},
		{[]string{"Acme*"}, "valid"},
		{[]string{"*"}, "valid"},
		{[]string{""}, "stranger"},
		{[]string{"nobody", "*Release]"}, "valid"},
		{[]string{"cn:Acme*"}, "valid"},
		{[]string{"email:*@acme.example"}, "valid"},
		{[]string{"*@acme.example"}, "valid"},
		{[]string{"cn:*@acme.example"}, "stranger"},
		{[]string{"uri:https://acme.example/**"}, "valid"},
		{[]string{"uri:https://acme.example/*"}, "stranger"},
		{[]string{"https://acme.example/*/release"}, "valid"},
		{[]string{"https://acme.example/*/*/release"}, "stranger"},
		{[]string{"dns:*.acme.example"}, "valid"},
		{[]string{"dns:*.acme.example.evil"}, "stranger"},
		{[]string{"dns:acme.example"}, "stranger"},
		{[]string{"10.0.0.1"}, "stranger"},
	} {
		trial := newTrial()
		trial.by(trial.inter, p256(), leaf)
		trial.a.Names = c.names
		t.Run(strings.Join(c.names, " "), func(t *testing.T) { expect(t, trial.run(t), c.want, "") })
	}
	t.Run("names before revocation", func(t *testing.T) {
		trial := newTrial()
		trial.a.Names, trial.a.RequireRevocation = []string{"nobody"}, true
		expect(t, trial.run(t), "stranger", "not trusted for that name")
	})
}

func TestSigner(t *testing.T) {
	for _, c := range []struct {
		want string
		edit edit
	}{
		{"O=Example Test,CN=publisher", func(c *x509.Certificate) {
			c.RawSubject = must(asn1.Marshal(rdns("CN", "publisher", "O", "Example Test")))
		}},
		{"CN=publisher,O=Example Test", func(c *x509.Certificate) {
			c.RawSubject = must(asn1.Marshal(rdns("O", "Example Test", "CN", "publisher")))
		}},
		{`CN=a\,b\0Ac`, func(c *x509.Certificate) { c.RawSubject = must(asn1.Marshal(rdns("CN", "a,b\nc"))) }},
		{"email:a@b.example", func(c *x509.Certificate) {
			c.RawSubject, c.EmailAddresses, c.DNSNames = []byte{0x30, 0}, []string{"a@b.example"}, []string{"b.example"}
		}},
		{"", func(c *x509.Certificate) { c.RawSubject = []byte{0x30, 0} }},
		{"", func(c *x509.Certificate) {
			c.RawSubject, c.DNSNames = []byte{0x30, 0}, []string{strings.Repeat("x", maxName+1)}
		}},
	} {
		trial := newTrial()
		trial.by(trial.inter, p256(), c.edit)
		if c.want == "" {
			c.want = fingerprint(trial.leaf.cert)
		}
		r := trial.run(t)
		expect(t, r, "valid", fingerprint(trial.leaf.cert))
		if r.Signer != c.want {
			t.Errorf("signer is %q, want %q", r.Signer, c.want)
		}
	}
}

// rdns is a distinguished name in the order of its encoding.
func rdns(pairs ...string) any {
	oids := map[string]asn1.ObjectIdentifier{"CN": {2, 5, 4, 3}, "O": {2, 5, 4, 10}}
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value string `asn1:"utf8"`
	}
	type set struct {
		One []attribute `asn1:"set"`
	}
	var name []asn1.RawValue
	for i := 0; i < len(pairs); i += 2 {
		der := must(asn1.Marshal(set{[]attribute{{oids[pairs[i]], pairs[i+1]}}}))
		var inner asn1.RawValue
		must(asn1.Unmarshal(der, &inner))
		name = append(name, asn1.RawValue{FullBytes: inner.Bytes})
	}
	return name
}

func TestErrorsOfReadingAreNotResults(t *testing.T) {
	trial := newTrial()
	ed := newTrial()
	ed.by(ed.inter, edKey())
	p7s := cmsMessage{signers: []cmsSigner{{by: trial.leaf}}}.build(artifact)
	bare := cmsMessage{signers: []cmsSigner{{by: ed.leaf, bare: true}}}.build(artifact)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]func() *signature.Content{
		"short": func() *signature.Content {
			return signature.NewContent(context.Background(), bytes.NewReader(artifact[1:]), int64(len(artifact)))
		},
		"cancelled": func() *signature.Content {
			return signature.NewContent(cancelled, bytes.NewReader(artifact), int64(len(artifact)))
		},
	} {
		for _, d := range []Detached{trial.d, ed.d} {
			if r, err := Verify(c(), d, &trial.a, now); err == nil {
				t.Errorf("%s: %+v", name, r)
			}
		}
		for _, p := range [][]byte{p7s, bare} {
			if r, err := VerifyCMS(c(), p, &trial.a, now); err == nil {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}
