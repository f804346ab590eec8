package x509sig

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"io"
	"testing"

	"assize.dev/services/sign/internal/signature"
)

// counted counts the bytes that are read.
type counted struct {
	io.ReaderAt
	n int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

// TestReadOnceForAllPublishers: what the publishers trust differs, the
// mathematics do not.
func TestReadOnceForAllPublishers(t *testing.T) {
	w := newTrial()
	ed := issue(w.inter, "publisher", edKey(), codeSigning)
	plain := Detached{Signature: ed.sign(artifact, crypto.SHA256), Chain: ed.chain()}
	changed := plain
	changed.Signature = append([]byte{plain.Signature[0] ^ 1}, plain.Signature[1:]...)
	bare := cmsMessage{signers: []cmsSigner{{by: ed, bare: true}, {by: ed, bare: true, raw: changed.Signature}}}.build(artifact)
	r := &counted{ReaderAt: bytes.NewReader(artifact)}
	c := signature.NewContent(context.Background(), r, int64(len(artifact)))
	for i := range 100 {
		a, want := &w.a, "valid"
		if i%2 == 1 {
			a, want = &Anchors{}, "stranger"
		}
		for _, d := range []Detached{plain, changed} {
			result, err := Verify(c, d, a, now)
			if err != nil {
				t.Fatal(err)
			}
			if &d.Signature[0] == &changed.Signature[0] {
				expect(t, result, "invalid", "does not hold")
			} else {
				expect(t, result, want, "")
			}
		}
		results, err := VerifyCMS(c, bare, a, now)
		if err != nil || len(results) != 2 {
			t.Fatal(results, err)
		}
		expect(t, results[0], want, "")
		expect(t, results[1], "invalid", "does not hold")
	}
	// Two signatures, the digest for CMS, and the first bytes for each of its
	// signers.
	if want := int64(3*len(artifact) + 2*6); r.n != want {
		t.Errorf("read %d bytes of an artifact of %d, want %d", r.n, len(artifact), want)
	}
}

// TestBudget has CMS whose signers all want the whole artifact read.
func TestBudget(t *testing.T) {
	w := newTrial()
	ed := issue(w.inter, "publisher", edKey(), codeSigning)
	r := &counted{ReaderAt: bytes.NewReader(artifact)}
	c := signature.NewContent(context.Background(), r, int64(len(artifact)))
	good := ed.sign(artifact, crypto.SHA256)
	for file := range 4 {
		var m cmsMessage
		for i := range maxSigners {
			bad := bytes.Clone(good)
			bad[40] ^= byte(1 + maxSigners*file + i)
			m.signers = append(m.signers, cmsSigner{by: ed, bare: true, raw: bad})
		}
		m.certificates = ed.chain()
		results, err := VerifyCMS(c, m.build(artifact), &w.a, now)
		if err != nil || len(results) != maxSigners {
			t.Fatal(results, err)
		}
		want := "does not hold"
		if file >= 2 {
			want = signature.ErrBudget.Error()
		}
		for _, r := range results {
			if expect(t, r, "invalid", want); r.Signer != "CN=publisher,O=Example Test" {
				t.Errorf("signer %q", r.Signer)
			}
		}
	}
	if most := int64(33*len(artifact) + 64*6); r.n > most {
		t.Errorf("read %d bytes, want %d at most", r.n, most)
	}
	result, err := Verify(c, Detached{Signature: append(good[:63:63], 1), Chain: ed.chain()}, &w.a, now)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, result, "invalid", signature.ErrBudget.Error())
	// Signatures over a digest are judged as ever.
	for _, d := range []Detached{w.d, {Signature: w.leaf.sign(artifact, crypto.SHA512), Chain: w.d.Chain}} {
		if result, err = Verify(c, d, &w.a, now); err != nil {
			t.Fatal(err)
		}
		expect(t, result, "valid", "")
	}
}

func TestKeyAndCertificate(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"P-256": p256(), "Ed25519": edKey(), "RSA": rsa2048()} {
		w := newTrial()
		w.by(w.inter, key)
		p7s := cmsMessage{signers: []cmsSigner{{by: w.leaf}}}.build(artifact)
		for _, a := range []*Anchors{&w.a, {}} {
			plain, err := Verify(content(artifact), w.d, a, now)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range append(verifyCMS(t, artifact, p7s, a, now), plain) {
				var cert *x509.Certificate
				print := ""
				if a == &w.a {
					cert, print = w.leaf.cert, signature.KeyFingerprint(key.Public())
				}
				if r.Valid != (cert != nil) || !cert.Equal(r.Certificate) || r.Key != print {
					t.Errorf("%s: %+v", name, r)
				}
			}
		}
	}
}
