package sigstore_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sigstorego "github.com/sigstore/sigstore-go/pkg/verify"

	"assize.dev/services/sign/internal/sigstore"
	"assize.dev/services/sign/internal/sigstore/sigstoretest"
)

// BenchmarkVerify measures Verify beside what sigstore-go needs alone, with a
// verifier that it keeps, from the bytes of a bundle to the answer. The two
// take turns, and the ratio is that of their median times, 1 if ours is as
// fast, so that it holds on a busy machine too.
func BenchmarkVerify(b *testing.B) {
	a := anchors(b)
	material, err := root.NewTrustedRootFromJSON(fake.TrustedRoot(sigstoretest.Trust{}))
	if err != nil {
		b.Fatal(err)
	}
	verifier, err := sigstorego.NewVerifier(material, sigstorego.WithTransparencyLog(1), sigstorego.WithObserverTimestamps(1))
	if err != nil {
		b.Fatal(err)
	}
	identity, err := sigstorego.NewShortCertificateIdentity(sigstoretest.Issuer, "", sigstoretest.SAN, "")
	if err != nil {
		b.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"blob":         fake.SignBlob(sigstoretest.Options{}, artifact),
		"attestation":  fake.Attest(sigstoretest.Options{}, statement()),
		"blob2":        fake.SignBlob(sigstoretest.Options{Rekor2: true}, artifact),
		"attestation2": fake.Attest(sigstoretest.Options{Rekor2: true}, statement()),
	} {
		b.Run(name, func(b *testing.B) {
			var ours, theirs []time.Duration
			for b.Loop() {
				start := time.Now()
				got, err := sigstore.Verify(content(artifact), data, a, now)
				if err != nil || !got[0].Valid {
					b.Fatal(got, err)
				}
				ours = append(ours, time.Since(start))

				start = time.Now()
				var entity bundle.Bundle
				if err := entity.UnmarshalJSON(data); err != nil {
					b.Fatal(err)
				}
				if _, err := verifier.Verify(&entity, sigstorego.NewPolicy(sigstorego.WithArtifact(bytes.NewReader(artifact)), sigstorego.WithCertificateIdentity(identity))); err != nil {
					b.Fatal(err)
				}
				theirs = append(theirs, time.Since(start))
			}
			slices.Sort(ours)
			slices.Sort(theirs)
			b.ReportMetric(theirs[len(theirs)/2].Seconds()/ours[len(ours)/2].Seconds(), "ratio")
		})
	}
}
