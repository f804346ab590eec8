// Package attest turns decisions into signed files that anyone can check
// with the public key alone: in-toto statements in DSSE envelopes, each bare
// and as a Sigstore bundle, because clients read one or the other.
package attest

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Attestor signs decisions as one verifier.
type Attestor struct {
	key      crypto.Signer
	keyID    string
	verifier Verifier
}

// New makes an Attestor. The key is Ed25519 or ECDSA P-256; verifierID is
// the absolute URI by which relying parties know us.
func New(key crypto.Signer, verifierID, version string) (*Attestor, error) {
	id, err := dsse.KeyID(key.Public())
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if u, err := url.Parse(verifierID); err != nil || !u.IsAbs() || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("verifier id %.200q: want an absolute URI without query or fragment", verifierID)
	}
	return &Attestor{key: key, keyID: id, verifier: Verifier{ID: verifierID, Version: version}}, nil
}

// File is one signed file, to be stored under the verdict's key.
type File struct {
	Name      string
	MediaType string
	Data      []byte
}

// Names of the files.
const (
	VerdictEnvelope = "verdict.dsse.json"
	VerdictBundle   = "verdict.sigstore.json"
	SummaryEnvelope = "vsa.dsse.json"
	SummaryBundle   = "vsa.sigstore.json"
)

// Attest signs a decision. Every decision gets a statement of our own
// predicate; only an allow gets a SLSA verification summary too, because
// off-the-shelf clients take any validly signed summary for a success,
// whatever its result says.
//
// The verdict refers to the files by the keys they are to be stored under
// and carries the envelope itself. The same decision and key give the same
// bytes. An error that wraps event.ErrInvalid will not go away by itself.
func (a *Attestor) Attest(ctx context.Context, d event.Decision) (*event.Verdict, []File, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if err := check(&d); err != nil {
		return nil, nil, fmt.Errorf("%w: decision of run %.80q: %w", event.ErrInvalid, d.Run, err)
	}
	d.Reasons = within(d.Reasons, d.Decision)

	files, err := a.sign(subjectOf(&d), VerdictPredicateType, a.predicate(&d), VerdictEnvelope, VerdictBundle)
	if err == nil && d.Decision == event.Allow {
		var summary []File
		summary, err = a.sign(subjectOf(&d), SummaryPredicateType, a.summary(&d), SummaryEnvelope, SummaryBundle)
		files = append(files, summary...)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("attesting run %s: %w", d.Run, err)
	}
	verdict := a.verdict(&d, files)
	if err := verdict.Validate(); err != nil {
		return nil, nil, fmt.Errorf("%w: verdict of run %s: %w", event.ErrInvalid, d.Run, err)
	}
	return verdict, files, nil
}

func check(d *event.Decision) error {
	err := d.Validate()
	if d.Time.IsZero() {
		err = errors.Join(err, errors.New("time: missing"))
	}
	if d.SLSALevel < 0 || d.SLSALevel > 3 {
		err = errors.Join(err, fmt.Errorf("slsaLevel: %d, want 0 to 3", d.SLSALevel))
	}
	for name, sum := range map[string]digest.Digest{"artifact.digest": d.Artifact.Digest, "policy.digest": d.Policy.Digest} {
		if _, bad := digest.Parse(string(sum)); bad != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", name, bad))
		}
	}
	return err
}

// sign makes the two files of one statement.
func (a *Attestor) sign(s Subject, predicateType string, predicate any, envelopeName, bundleName string) ([]File, error) {
	body, err := json.Marshal(predicate)
	if err != nil {
		return nil, fmt.Errorf("encoding predicate %s: %w", predicateType, err)
	}
	statement, err := json.Marshal(Statement{
		Type: StatementType, Subject: []Subject{s}, PredicateType: predicateType, Predicate: body,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding statement %s: %w", predicateType, err)
	}
	envelope, err := dsse.Seal(a.key, statement)
	if err != nil {
		return nil, err
	}
	bundle, err := dsse.Bundle(envelope)
	if err != nil {
		return nil, err
	}
	return []File{
		{envelopeName, dsse.EnvelopeMediaType, envelope},
		{bundleName, dsse.BundleMediaType, bundle},
	}, nil
}

func (a *Attestor) verdict(d *event.Decision, files []File) *event.Verdict {
	art := &d.Artifact
	v := &event.Verdict{
		Run: d.Run, Lane: art.Lane, Registry: art.Registry, Name: art.Name, Version: art.Version,
		Filename: art.Filename, PURL: art.PURL, Format: art.Format, Artifact: art.Digest,
		Decision: d.Decision, Grade: d.Grade, Reasons: d.Reasons,
		KeyID: a.keyID, Supersedes: art.Supersedes, Time: d.Time.UTC(),
	}
	for _, f := range files {
		if f.Name == VerdictEnvelope {
			v.Envelope = f.Data
		}
		v.Documents = append(v.Documents, event.Document{
			Name: f.Name, MediaType: f.MediaType, Key: blob.VerdictKey(art.Digest, d.Run, f.Name),
			Digest: digest.Of(f.Data), Size: int64(len(f.Data)),
		})
	}
	return v
}

// maxReasons is how many bytes of reasons are signed. They travel in the
// verdict event twice, once as base64, and an event holds event.MaxData.
const maxReasons = 48 << 10

// within keeps the reasons that fit and says how many did not. All of them
// are in the stored record.
func within(reasons []event.Reason, outcome event.Outcome) []event.Reason {
	size := 0
	for i, r := range reasons {
		size += 2*(len(r.Rule)+len(r.Message)+len(r.Evidence)) + 80 // JSON may escape
		if size > maxReasons {
			return append(reasons[:i:i], event.Reason{
				Rule: "assize.reasons_omitted", Outcome: outcome,
				Message: fmt.Sprintf("%d further reasons are in the record of the decision", len(reasons)-i),
			})
		}
	}
	return reasons
}
