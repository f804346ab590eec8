package x509sig

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// openssl is a folder in which the program works. It has root.pem, chain.pem,
// leaf.pem and key.pem of a publisher, tsaroot.pem, tsa.pem and tsakey.pem
// of a timestamp authority, inter.pem, interkey.pem and the artifact.
type openssl struct {
	t   *testing.T
	dir string
}

func newOpenSSL(t *testing.T, leaf *identity) openssl {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("no openssl here")
	}
	w := theWorld()
	o := openssl{t, t.TempDir()}
	chain := leaf.chain()
	o.write("artifact", artifact)
	o.write("root.pem", toPEM("CERTIFICATE", w.root.cert.Raw))
	o.write("inter.pem", toPEM("CERTIFICATE", w.inter.cert.Raw))
	o.write("leaf.pem", toPEM("CERTIFICATE", leaf.cert.Raw))
	o.write("chain.pem", toPEM("CERTIFICATE", chain[0].Raw, chain[1].Raw))
	o.write("tsaroot.pem", toPEM("CERTIFICATE", w.tsaRoot.cert.Raw))
	o.write("tsa.pem", toPEM("CERTIFICATE", w.tsa.cert.Raw))
	for name, i := range map[string]*identity{"key.pem": leaf, "tsakey.pem": w.tsa, "interkey.pem": w.inter} {
		o.write(name, toPEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(i.key))))
	}
	return o
}

func (o openssl) write(name string, data []byte) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), data, 0o600); err != nil {
		o.t.Fatal(err)
	}
}

func (o openssl) read(name string) []byte {
	o.t.Helper()
	data, err := os.ReadFile(filepath.Join(o.dir, name))
	if err != nil {
		o.t.Fatal(err)
	}
	return data
}

func (o openssl) try(args string) (string, error) {
	cmd := exec.Command("openssl", strings.Fields(args)...)
	cmd.Dir = o.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (o openssl) run(args string) {
	o.t.Helper()
	if out, err := o.try(args); err != nil {
		o.t.Fatalf("openssl %s: %v\n%s", args, err, out)
	}
}

// TestOpenSSLSigns verifies what openssl made in every way it can.
func TestOpenSSLSigns(t *testing.T) {
	w := theWorld()
	byRSA := issue(w.inter, "rsa", rsa2048(), codeSigning)
	for _, c := range []struct {
		by    *identity
		flags string
	}{
		{w.leaf, "-outform DER"},
		{w.leaf, "-outform PEM"},
		{w.leaf, "-outform DER -md sha512"},
		{w.leaf, "-outform DER -noattr"},
		{w.leaf, "-outform DER -keyid"},
		{w.leaf, "-outform DER -cades"},
		{byRSA, "-outform DER"},
		{byRSA, "-outform DER -md sha384 -keyopt rsa_padding_mode:pss"},
		{byRSA, "-outform DER -md sha256 -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:-1"},
	} {
		t.Run("cms "+c.flags, func(t *testing.T) {
			o := newOpenSSL(t, c.by)
			o.run("cms -sign -binary -signer leaf.pem -certfile inter.pem -inkey key.pem -in artifact -out artifact.p7s " + c.flags)
			a := &newTrial().a
			p7s := o.read("artifact.p7s")
			expect(t, verifyCMS(t, artifact, p7s, a, now)[0], "valid", "")
			expect(t, verifyCMS(t, artifact[1:], p7s, a, now)[0], "invalid", "")
		})
	}
	t.Run("smime", func(t *testing.T) {
		o := newOpenSSL(t, w.leaf)
		o.run("smime -sign -binary -signer leaf.pem -certfile inter.pem -inkey key.pem -in artifact -out artifact.p7s -outform PEM")
		expect(t, verifyCMS(t, artifact, o.read("artifact.p7s"), &newTrial().a, now)[0], "valid", "")
	})
	for _, flags := range []string{"-nodetach", "-stream"} {
		t.Run("embedded "+flags, func(t *testing.T) {
			o := newOpenSSL(t, w.leaf)
			o.run("cms -sign -binary -signer leaf.pem -inkey key.pem -in artifact -out artifact.p7m -outform DER " + flags)
			expect(t, verifyCMS(t, artifact, o.read("artifact.p7m"), &newTrial().a, now)[0], "invalid", "content of its own")
		})
	}
	for _, flags := range []string{"-sha256", "-sha384", "-sha512", "-sha256 -sigopt rsa_padding_mode:pss", "-sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:0"} {
		t.Run("dgst "+flags, func(t *testing.T) {
			o := newOpenSSL(t, byRSA)
			o.run("dgst " + flags + " -sign key.pem -out artifact.sig artifact")
			c := newTrial()
			c.d.Signature, c.d.Chain = o.read("artifact.sig"), must(ParseChain(o.read("chain.pem")))
			expect(t, c.run(t), "valid", "")
		})
	}
}

// TestOpenSSLAgrees lets openssl verify what this package accepts.
func TestOpenSSLAgrees(t *testing.T) {
	w := theWorld()
	byRSA := issue(w.inter, "rsa", rsa2048(), codeSigning)
	at := fmt.Sprintf(" -attime %d", now.Unix())
	for name, m := range map[string]cmsMessage{
		"good":               {signers: []cmsSigner{{by: w.leaf}}},
		"key identifier":     {signers: []cmsSigner{{by: w.leaf, byKeyID: true}}},
		"without attributes": {signers: []cmsSigner{{by: w.leaf, bare: true}}},
		"BER":                {signers: []cmsSigner{{by: w.leaf}}, indefinite: true},
		"RSA-PSS":            {signers: []cmsSigner{{by: byRSA, pss: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOpenSSL(t, w.leaf)
			p7s := m.build(artifact)
			expect(t, verifyCMS(t, artifact, p7s, &newTrial().a, now)[0], "valid", "")
			o.write("artifact.p7s", p7s)
			o.run("cms -verify -binary -inform DER -in artifact.p7s -content artifact -CAfile root.pem -purpose any -out out" + at)
		})
	}
}

// TestOpenSSLTimestamps verifies its timestamps, and lets it verify ours.
func TestOpenSSLTimestamps(t *testing.T) {
	c := newTrial()
	o := newOpenSSL(t, c.leaf)
	o.write("sig", c.d.Signature)
	o.write("ts.cnf", []byte("[tsa]\ndefault_tsa=t\n[t]\nserial=serial\nsigner_digest=sha256\ndefault_policy=1.2.3\ndigests=sha256\nordering=no\n"))
	o.run("ts -query -data sig -sha256 -cert -out sig.tsq")
	o.run("ts -reply -config ts.cnf -queryfile sig.tsq -signer tsa.pem -inkey tsakey.pem -out sig.tsr")
	c.d.Timestamp = o.read("sig.tsr")
	c.at = time.Now() // openssl stamps with the time of the clock
	r := c.run(t)
	expect(t, r, "valid", "")
	if !r.TimeProven {
		t.Errorf("openssl's timestamp does not count: %s", r.Reason)
	}
	o.write("our.tsr", c.tsa.stamp(c.d.Signature, now.Add(-day), nil))
	o.run(fmt.Sprintf("ts -verify -data sig -in our.tsr -CAfile tsaroot.pem -attime %d", now.Add(-day).Unix()))
	o.write("sig", artifact)
	if out, err := o.try("ts -verify -data sig -in our.tsr -CAfile tsaroot.pem"); err == nil {
		t.Errorf("openssl verifies anything: %s", out)
	}
}

// TestOpenSSLRevocations reads the CRLs and OCSP responses that it writes.
func TestOpenSSLRevocations(t *testing.T) {
	w := theWorld()
	for _, revoke := range []bool{false, true} {
		o := newOpenSSL(t, w.leaf)
		serial := strings.ToUpper(hex.EncodeToString(w.leaf.cert.SerialNumber.Bytes()))
		line := fmt.Sprintf("V\t%s\t\t%s\tunknown\t/O=Example Test/CN=publisher\n", w.leaf.cert.NotAfter.Format("060102150405Z"), serial)
		want := "valid"
		if revoke {
			line = strings.Replace(line, "V\t", "R\t", 1)
			line = strings.Replace(line, "\t\t", "\t"+now.Format("060102150405Z")+",superseded\t", 1)
			want = "invalid"
		}
		o.write("index", []byte(line))
		o.write("ca.cnf", []byte("[ca]\ndefault_ca=c\n[c]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=3\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n"))
		o.run("ca -config ca.cnf -gencrl -cert inter.pem -keyfile interkey.pem -out crl.pem")
		o.run("ocsp -index index -CA inter.pem -issuer inter.pem -serial 0x" + serial + " -rsigner inter.pem -rkey interkey.pem -ndays 3 -respout ocsp.der -noverify")
		at := time.Now().Add(time.Minute)
		c := newTrial()
		c.at = at
		c.a.CRLs = []*CRL{must(ParseCRL(o.read("crl.pem")))}
		expect(t, c.run(t), want, "")
		c.a.CRLs, c.a.OCSP = nil, []*OCSP{must(ParseOCSP(o.read("ocsp.der")))}
		expect(t, c.run(t), want, "")
	}
}
