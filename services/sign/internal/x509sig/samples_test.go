package x509sig

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"assize.dev/shared/realdata"
)

func file(t testing.TB, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestFixtures verifies files that openssl made; see testdata/README.md.
func TestFixtures(t *testing.T) {
	a := &Anchors{
		Roots:             must(ParseCertificates(file(t, "testdata/root.pem"))),
		TimestampRoots:    must(ParseCertificates(file(t, "testdata/tsaroot.pem"))),
		CRLs:              []*CRL{must(ParseCRL(file(t, "testdata/inter.crl")))},
		Names:             []string{"cn:Fixture Publisher"},
		RequireRevocation: true,
	}
	a.OCSP = []*OCSP{must(ParseOCSP(file(t, "testdata/inter.ocsp")))}
	artifact := file(t, "testdata/artifact")
	check := func(name string, content []byte, want string, proven bool) {
		t.Run(name, func(t *testing.T) {
			r := verifyCMS(t, content, file(t, "testdata", name), a, fixtureTime)[0]
			expect(t, r, want, "")
			if r.TimeProven != proven || r.Time.IsZero() && want == "valid" && name != "noattr.p7s" {
				t.Errorf("%+v", r)
			}
		})
	}
	for _, name := range []string{"plain.p7s", "noattr.p7s", "pss.p7s"} {
		check(name, artifact, "valid", false)
		check(name, artifact[1:], "invalid", false)
	}
	d := Detached{Signature: file(t, "testdata/artifact.sig"), Chain: must(ParseChain(file(t, "testdata/chain.pem"))), Timestamp: file(t, "testdata/artifact.sig.tsr")}
	a.CRLs = append(a.CRLs, must(ParseCRL(file(t, "testdata/tsaroot.crl"))))
	r, err := Verify(content(artifact), d, a, fixtureTime)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, r, "valid", "")
	if !r.TimeProven || r.Signer != fixtureSigner {
		t.Errorf("%+v", r)
	}
}

// TestRealSamples holds the package against signatures made by others.
func TestRealSamples(t *testing.T) {
	dir := filepath.Join(realdata.Dir(t), "signatures", "x509")
	lines := bufio.NewScanner(bytes.NewReader(file(t, dir, "manifest.jsonl")))
	n := 0
	for ; lines.Scan(); n++ {
		var c struct {
			Artifact, Chain, CRL, Root, Signature, Want, Why string
			At                                               time.Time
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		t.Run(c.Chain+" "+c.Why, func(t *testing.T) {
			a := &Anchors{Roots: must(ParseCertificates(file(t, dir, c.Root)))}
			if c.CRL != "" {
				a.CRLs = []*CRL{must(ParseCRL(file(t, dir, c.CRL)))}
			}
			d := Detached{Signature: file(t, dir, c.Signature), Chain: must(ParseChain(file(t, dir, c.Chain)))}
			r, err := Verify(content(file(t, dir, c.Artifact)), d, a, c.At)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", r)
			if r.Valid != (c.Want == "accept") || r.Reason == "" {
				t.Errorf("want %s", c.Want)
			}
		})
	}
	if err := lines.Err(); err != nil || n == 0 {
		t.Errorf("%d samples: %v", n, err)
	}
}
