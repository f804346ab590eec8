// Package attest turns decisions into signed files that anyone can check
// with the public key alone: in-toto statements in DSSE envelopes, each bare
// and as a Sigstore bundle, because clients read one or the other.
//
// What is signed is made here, from the decision, and signed at once: no
// bytes from elsewhere ever reach a key.
package attest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"filippo.io/mldsa"

	"assize.dev/services/sign/internal/dsse"
	"assize.dev/services/sign/internal/signer"
	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Attestor signs decisions as one verifier.
type Attestor struct {
	verifier Verifier
	signers  []signer.Signer
	keyIDs   []string // of the signers
}

// New makes an Attestor that signs with every one of signers. The first key
// is Ed25519 or ECDSA P-256: it alone signs the bundles, and names verdicts.
// verifier.ID is the absolute URI by which relying parties know us.
func New(verifier Verifier, signers ...signer.Signer) (*Attestor, error) {
	if err := verifier.Check(); err != nil {
		return nil, err
	}
	a := &Attestor{verifier: verifier, signers: signers}
	for i, s := range signers {
		id, err := dsse.KeyID(s.Public())
		if err != nil {
			return nil, fmt.Errorf("signing key %d: %w", i+1, err)
		}
		if slices.Contains(a.keyIDs, id) {
			return nil, fmt.Errorf("signing key %s is given twice", id)
		}
		a.keyIDs = append(a.keyIDs, id)
	}
	if len(signers) == 0 {
		return nil, errors.New("no signing key")
	}
	if _, ok := signers[0].Public().(*mldsa.PublicKey); ok {
		return nil, errors.New("the first signing key is ML-DSA, which few clients verify yet: name an Ed25519 or ECDSA P-256 key before it")
	}
	return a, nil
}

// KeyIDs names the keys that sign, in their order.
func (a *Attestor) KeyIDs() []string { return slices.Clone(a.keyIDs) }

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
// and carries the envelope itself. The same decision and keys give the same
// bytes, as far as the signers are deterministic. An error that wraps
// event.ErrInvalid is the decision's fault and will not go away; any other is
// a signer's, whose key is out of reach.
func (a *Attestor) Attest(ctx context.Context, d event.Decision) (*event.Verdict, []File, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if err := check(&d); err != nil {
		return nil, nil, fmt.Errorf("%w: decision of run %.80q: %w", event.ErrInvalid, d.Run, err)
	}
	d.Reasons = within(d.Reasons, d.Decision)

	files, err := a.sign(ctx, subjectOf(&d), VerdictPredicateType, a.predicate(&d), VerdictEnvelope, VerdictBundle)
	if err == nil && d.Decision == event.Allow {
		var summary []File
		summary, err = a.sign(ctx, subjectOf(&d), SummaryPredicateType, a.summary(&d), SummaryEnvelope, SummaryBundle)
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
func (a *Attestor) sign(ctx context.Context, s Subject, predicateType string, predicate any, envelopeName, bundleName string) ([]File, error) {
	body, err := json.Marshal(predicate)
	if err != nil {
		return nil, fmt.Errorf("%w: encoding predicate %s: %w", event.ErrInvalid, predicateType, err)
	}
	statement, err := json.Marshal(Statement{
		Type: StatementType, Subject: []Subject{s}, PredicateType: predicateType, Predicate: body,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: encoding statement %s: %w", event.ErrInvalid, predicateType, err)
	}
	envelope, err := dsse.Seal(ctx, dsse.PayloadType, statement, a.signers...)
	if errors.Is(err, dsse.ErrTooLarge) {
		return nil, fmt.Errorf("%w: %w", event.ErrInvalid, err)
	}
	if err != nil {
		return nil, err
	}
	bundle, err := dsse.Bundle(envelope)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", event.ErrInvalid, err)
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
		KeyID: a.keyIDs[0], KeyVersion: a.verifier.Keys, Supersedes: art.Supersedes, Changes: d.Changes, Time: d.Time.UTC(),
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
