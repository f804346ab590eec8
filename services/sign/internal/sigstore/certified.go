package sigstore

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekor "github.com/sigstore/rekor-tiles/v2/pkg/verify"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/transparency-dev/formats/log"

	"assize.dev/services/sign/internal/signature"
)

// maxSkew is how far the clocks of logs and authorities may be ahead of ours.
const maxSkew = 5 * time.Minute

// entity is a bundle whose certificate is parsed once.
type entity struct {
	*bundle.Bundle
	material verify.VerificationContent
}

// VerificationContent implements verify.SignedEntity.
func (e entity) VerificationContent() (verify.VerificationContent, error) { return e.material, nil }

// certified judges a signature with a certificate.
func (v *verifier) certified(s signed, e entity, leaf *x509.Certificate, p payload) (Attestation, error) {
	who, err := claims(leaf)
	if err != nil {
		return invalid(s.kind, "", "certificate: %v", err), nil
	}
	if v.anchors.Root == nil {
		return stranger(s.kind, e, who, p, "no trusted root is configured"), nil
	}
	over := verify.WithoutArtifactUnsafe() // the statement was compared with the artifact before
	if p.statement == nil {
		over = verify.WithArtifactDigest(p.hash.String(), p.digest)
	}
	result, err := v.anchors.Root.verifier.Verify(e, verify.NewPolicy(over, verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		if v.anchors.Root.knows(leaf) {
			return invalid(s.kind, who.Signer(), "%v", err), nil
		}
		return stranger(s.kind, e, who, p, "its certificate is not from an authority of the trusted root"), nil
	}
	signedAt, err := v.provenTime(s, result.VerifiedTimestamps)
	if err != nil {
		return invalid(s.kind, who.Signer(), "%v", err), nil
	}
	if !v.trusts(who) {
		a := Attestation{Result: signature.Stranger(s.kind, who.Signer(), "the signature holds, but its signer is not one of the trusted identities")}
		a.Time, a.TimeProven = signedAt, true
		return a, nil
	}
	a := p.valid(s.kind, who.Signer())
	a.Time, a.TimeProven, a.Certificate, a.Result.Certificate = signedAt, true, who, leaf
	return a, nil
}

func (v *verifier) trusts(who *Claims) bool {
	for _, i := range v.anchors.Identities {
		if i.Matches(who) {
			return true
		}
	}
	return false
}

// knows tells whether the certificate is from one of the root's authorities,
// or says that it is.
func (r *Root) knows(leaf *x509.Certificate) bool {
	for _, ca := range r.material.FulcioCertificateAuthorities() {
		f := ca.(*root.FulcioCertificateAuthority) // as ParseRoot made sure
		for _, issuer := range slices.Concat(f.Intermediates, []*x509.Certificate{f.Root}) {
			named := len(issuer.SubjectKeyId) > 0 && bytes.Equal(leaf.AuthorityKeyId, issuer.SubjectKeyId)
			if named || leaf.CheckSignatureFrom(issuer) == nil {
				return true
			}
		}
	}
	return false
}

// stranger is the result for a certificate that leads nowhere. Its own
// signature must hold all the same: if not, more is wrong than its maker.
func stranger(kind string, e entity, who *Claims, p payload, reason string) Attestation {
	if err := holds(e, p); err != nil {
		return invalid(kind, who.Signer(), "%v", err)
	}
	return Attestation{Result: signature.Stranger(kind, who.Signer(), "%s", reason)}
}

// holds checks a signature against its own certificate.
func holds(e entity, p payload) error {
	content, err := e.SignatureContent()
	if err != nil {
		return err
	}
	nobody := &root.BaseTrustedMaterial{}
	if p.statement != nil {
		return verify.VerifySignature(content, e.material, nobody)
	}
	return verify.VerifySignatureWithArtifactDigests(content, e.material, nobody,
		[]verify.ArtifactDigest{{Algorithm: p.hash.String(), Digest: p.digest}})
}

// provenTime is the earliest of the times that were verified. None may lie in
// the future, and a log that gave a proof without a time of its own must have
// been trusted then: that of the others was compared with their own time.
func (v *verifier) provenTime(s signed, times []verify.TimestampVerificationResult) (time.Time, error) {
	var earliest time.Time
	for _, t := range times {
		if t.Timestamp.After(v.at.Add(maxSkew)) {
			return time.Time{}, fmt.Errorf("proven to be signed at %s, which is in the future", t.Timestamp.UTC().Format(time.RFC3339))
		}
		if earliest.IsZero() || t.Timestamp.Before(earliest) {
			earliest = t.Timestamp
		}
	}
	logs := v.anchors.Root.material.RekorLogs()
	for _, entry := range s.bundle.VerificationMaterial.GetTlogEntries() {
		tlog := logs[hex.EncodeToString(entry.GetLogId().GetKeyId())]
		if tlog == nil || len(entry.GetInclusionPromise().GetSignedEntryTimestamp()) > 0 {
			continue
		}
		if earliest.Before(tlog.ValidityPeriodStart) || !tlog.ValidityPeriodEnd.IsZero() && earliest.After(tlog.ValidityPeriodEnd) {
			return time.Time{}, fmt.Errorf("transparency log %s is not trusted for %s, when the signature was made", printable(tlog.BaseURL, 200), earliest.UTC().Format(time.RFC3339))
		}
		if err := bodyIncluded(entry); err != nil {
			return time.Time{}, fmt.Errorf("transparency log entry: %w", err)
		}
	}
	return earliest, nil
}

// bodyIncluded compares the entry that a bundle shows with what is in the
// log. For logs of version 2, sigstore-go makes the entry anew from the
// signature, and does not look at the one that people and other programs
// will read. Those of version 1 have the number of a tree in their name.
func bodyIncluded(entry *protorekor.TransparencyLogEntry) error {
	var checkpoint log.Checkpoint // its signature was verified
	if _, err := checkpoint.Unmarshal([]byte(entry.GetInclusionProof().GetCheckpoint().GetEnvelope())); err != nil {
		return err
	}
	if strings.Contains(checkpoint.Origin, " - ") {
		return nil
	}
	return rekor.VerifyInclusionProof(entry, &checkpoint)
}
