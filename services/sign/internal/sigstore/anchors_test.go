package sigstore_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/url"
	"strings"
	"testing"
	"time"

	"assize.dev/services/sign/internal/signature"
	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/sigstore/sigstoretest"
)

// TestAnchors is about whom one trusts, with signatures that are good.
func TestAnchors(t *testing.T) {
	good := func(t testing.TB, trust sigstoretest.Trust) *sigstore.Anchors {
		a := anchors(t)
		a.Root = parseRoot(t, fake.TrustedRoot(trust))
		return a
	}
	pin := func(edit func(*sigstore.Identity)) func(*sigstore.Anchors) {
		return func(a *sigstore.Anchors) { edit(&a.Identities[0]) }
	}
	for _, c := range []struct {
		name  string
		opts  options
		trust sigstoretest.Trust
		edit  func(*sigstore.Anchors)
		want  string
	}{
		{name: "certificate transparency", opts: options{SCT: true}, trust: sigstoretest.Trust{CT: true}, want: "valid"},
		{name: "certificate transparency, version 2", opts: options{SCT: true, Rekor2: true}, trust: sigstoretest.Trust{CT: true}, want: "valid"},
		{name: "certificate transparency missing", trust: sigstoretest.Trust{CT: true}, want: "invalid: signed certificate timestamp"},
		{name: "no timestamp authority needed", trust: sigstoretest.Trust{NoTSA: true}, want: "valid"},
		{name: "no timestamp authority", opts: options{Rekor2: true}, trust: sigstoretest.Trust{NoTSA: true}, want: "invalid: threshold not met"},
		{name: "log no longer trusted", trust: sigstoretest.Trust{LogsUntil: sigstoretest.SignedAt.Add(-time.Hour)}, want: "invalid: not enough verified log entries"},
		{name: "log no longer trusted, version 2", opts: options{Rekor2: true}, trust: sigstoretest.Trust{LogsUntil: sigstoretest.SignedAt.Add(-time.Hour)}, want: "invalid: not trusted for"},
		{name: "log trusted until later", opts: options{Rekor2: true}, trust: sigstoretest.Trust{LogsUntil: sigstoretest.SignedAt.Add(time.Hour)}, want: "valid"},
		{name: "no root", edit: func(a *sigstore.Anchors) { a.Root = nil }, want: "stranger: no trusted root"},
		{name: "no identities", edit: func(a *sigstore.Anchors) { a.Identities = nil }, want: "stranger: trusted identities"},
		{name: "any version", edit: pin(func(i *sigstore.Identity) { i.SAN = strings.Replace(i.SAN, "v1.0.0", "v*", 1) }), want: "valid"},
		{name: "any repository of another", edit: pin(func(i *sigstore.Identity) { i.SAN = "https://github.com/us/**" }), want: "stranger: "},
		{name: "second identity", edit: func(a *sigstore.Anchors) {
			a.Identities = append([]sigstore.Identity{{Issuer: "https://x.test", SAN: "y"}}, a.Identities...)
		}, want: "valid"},
		{name: "no issuer", edit: pin(func(i *sigstore.Identity) { i.Issuer = "" }), want: "stranger: "},
		{name: "no SAN", edit: pin(func(i *sigstore.Identity) { i.SAN = "" }), want: "stranger: "},
		{name: "repository pinned by pattern", edit: pin(func(i *sigstore.Identity) { i.SourceRepository = "https://github.com/example/*" }), want: "valid"},
		{name: "repository pinned", edit: pin(func(i *sigstore.Identity) { i.SourceRepository = "https://github.com/example/other" }), want: "stranger: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := good(t, c.trust)
			if c.edit != nil {
				c.edit(a)
			}
			r := verify(t, fake.SignBlob(c.opts, artifact), a, now)[0]
			wants(t, r, c.want)
			if (r.Valid || r.Stranger) && r.Signer != signer {
				t.Errorf("signer %q", r.Signer)
			}
		})
	}
}

// TestAuthorityNoLongerTrusted: a certificate by one of ours that is not good
// enough is not a stranger's.
func TestAuthorityNoLongerTrusted(t *testing.T) {
	a := anchors(t)
	a.Root = parseRoot(t, edited(t, fake.TrustedRoot(sigstoretest.Trust{}), set("2026-01-01T00:00:00Z", "certificateAuthorities", 0, "validFor", "end")))
	wants(t, verify(t, fake.SignBlob(options{}, artifact), a, now)[0], "invalid: leaf certificate verification failed")
	// The same for a certificate that does not name the authority's key.
	unnamed := options{EditCertificate: func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 35}, Value: []byte{0x30, 0}})
	}}
	wants(t, verify(t, fake.SignBlob(unnamed, artifact), a, now)[0], "invalid: leaf certificate verification failed")
}

func TestClaims(t *testing.T) {
	r := verify(t, fake.SignBlob(options{}, artifact), anchors(t), now)[0]
	want := sigstore.Claims{
		SAN: sigstoretest.SAN, Issuer: sigstoretest.Issuer, BuildSignerURI: sigstoretest.SAN,
		RunnerEnvironment: "github-hosted", SourceRepositoryURI: sigstoretest.Repository,
		SourceRepositoryDigest: sigstoretest.Commit, SourceRepositoryRef: sigstoretest.Ref, BuildConfigURI: sigstoretest.SAN,
		BuildTrigger: "push", RunInvocationURI: sigstoretest.Repository + "/actions/runs/1/attempts/1",
	}
	if r.Certificate == nil || *r.Certificate != want {
		t.Errorf("got  %+v\nwant %+v", r.Certificate, want)
	}
	if !r.Time.Equal(sigstoretest.SignedAt) {
		t.Errorf("time %v", r.Time)
	}
}

// TestUnprintable: a stranger's certificate may say anything.
func TestUnprintable(t *testing.T) {
	other := sigstoretest.New("other")
	r := verify(t, other.SignBlob(options{Issuer: "a\nb\x1b[31m" + strings.Repeat("c", 5000), EditCertificate: func(c *x509.Certificate) {
		c.URIs = []*url.URL{{Scheme: "https", Host: "x.test", Path: strings.Repeat("y", 5000)}}
	}}, artifact), anchors(t), now)[0]
	wants(t, r, "stranger: ")
	if strings.ContainsAny(r.Signer, "\n\x1b") || len(r.Signer) > 5000 {
		t.Errorf("signer of %d bytes: %.100q", len(r.Signer), r.Signer)
	}
}

func TestErrorsOfReadingAreNotVerdicts(t *testing.T) {
	a := anchors(t)
	a.Keys = []crypto.PublicKey{sigstoretest.Key("k").Public()}
	for name, data := range map[string][]byte{
		"blob": fake.SignBlob(options{}, artifact), "attestation": fake.Attest(options{}, statement()), "envelope": seal(t, "k", statement()),
	} {
		short := signature.NewContent(context.Background(), bytes.NewReader(artifact[1:]), int64(len(artifact)))
		if all, err := sigstore.Verify(short, data, a, now); err == nil {
			t.Errorf("%s: an artifact that cannot be read gave %+v", name, all)
		}
	}
}

func TestVouches(t *testing.T) {
	for predicateType, want := range map[string]bool{
		"":                                 true,
		provenanceV1:                       true,
		"https://slsa.dev/provenance/v0.2": true,
		"https://github.com/npm/attestation/tree/main/specs/publish/v0.1": true,
		"https://docs.pypi.org/attestations/publish/v1":                   true,
		"https://slsa.dev/verification_summary/v1":                        false,
		"https://spdx.dev/Document":                                       false,
		"https://slsa.dev/provenance/v1/":                                 false,
	} {
		if got := sigstore.Vouches(predicateType); got != want {
			t.Errorf("%q: %v", predicateType, got)
		}
	}
}
