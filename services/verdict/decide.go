// Package verdict waits for the evidence about an artifact and decides by
// policy whether it is allowed, denied or held.
package verdict

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"assize.dev/services/verdict/internal/join"
	"assize.dev/services/verdict/internal/policy"
	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Case is all that is known of one artifact when the decision is made.
type Case = join.Case

// Policy is a compiled policy; see LoadPolicy.
type Policy = policy.Policy

// LoadPolicy compiles the policy that ASSIZE_POLICY names: "" for the
// built-in rules, a YAML file of settings for them, a Rego file, a
// directory of Rego files, or an OPA bundle.
func LoadPolicy(ctx context.Context, path string) (*Policy, error) { return policy.Load(ctx, path) }

// LoadSignedPolicy compiles an OPA bundle that is signed by the key whose public
// half the PEM file has.
func LoadSignedPolicy(ctx context.Context, path, key string) (*Policy, error) {
	return policy.LoadSigned(ctx, path, key)
}

// Decide applies the policy to the case. The same case and policy always make
// the same decision and the same record, byte for byte; the record is the
// object that the decision's Record refers to, not stored yet.
//
// A policy that fails, takes too long or answers nonsense makes a hold of
// grade risk with the rule "policy/error". An error means that there is no
// decision: ctx ended, or the artifact fact breaks the contract.
func Decide(ctx context.Context, p *Policy, c Case) (event.Decision, []byte, error) {
	if err := c.Artifact.Validate(); err != nil {
		return event.Decision{}, nil, fmt.Errorf("decide: %w: artifact: %w", event.ErrInvalid, err)
	}
	if c.Artifact.Digest == "" {
		return event.Decision{}, nil, errors.New("decide: artifact has no digest")
	}
	c.Evidence = slices.SortedStableFunc(slices.Values(c.Evidence), inReadingOrder)
	if !p.NeedsComponents() {
		c.Components, c.Without = nil, ""
	} else if len(c.Components) == 0 && c.Without == "" {
		c.Without = "the list of components is not at hand"
	}
	record, err := newRecord(p, c)
	if err != nil {
		return event.Decision{}, nil, fmt.Errorf("decide: %w", err)
	}
	ruling, err := p.Evaluate(ctx, input(c))
	if ctx.Err() != nil {
		return event.Decision{}, nil, fmt.Errorf("decide: %w", context.Cause(ctx))
	}
	if err != nil {
		ruling = policy.Failure(err)
	}
	d := event.Decision{
		Run: c.Artifact.Run, Artifact: c.Artifact,
		Decision: ruling.Decision, Grade: ruling.Grade, Reasons: ruling.Reasons,
		Evidence:  make([]event.EvidenceRef, 0, len(c.Evidence)),
		SLSALevel: slsaLevel(c.Evidence),
		Policy:    p.Name(),
		Record: event.Document{
			Name: RecordName, MediaType: "application/json",
			Key:    blob.VerdictKey(c.Artifact.Digest, c.Artifact.Run, RecordName),
			Digest: digest.Of(record), Size: int64(len(record)),
		},
		Time: c.Time.UTC(),
	}
	// The record keeps the signatures; in the decision they would only take
	// the room that reasons need.
	d.Artifact.Signatures = nil
	for _, piece := range c.Evidence {
		d.Evidence = append(d.Evidence, ref(piece))
	}
	d.Changes = changes(c, &d)
	return d, record, nil
}

// inReadingOrder puts Assize's own kinds first, then others by name.
func inReadingOrder(a, b join.Piece) int {
	place := func(k event.Kind) int {
		if i := slices.Index(event.Kinds, k); i >= 0 {
			return i
		}
		return len(event.Kinds)
	}
	return cmp.Or(cmp.Compare(place(a.Kind), place(b.Kind)), cmp.Compare(a.Kind, b.Kind))
}

func input(c Case) policy.Input {
	in := policy.Input{
		Artifact: c.Artifact, Evidence: []event.Evidence{}, Faults: map[event.Kind]string{}, Time: c.Time.UTC(),
		Components: c.Components, ComponentsFault: c.Without,
	}
	for _, piece := range c.Evidence {
		if piece.Evidence != nil {
			in.Evidence = append(in.Evidence, *piece.Evidence)
		}
		if piece.Fault != "" {
			in.Faults[piece.Kind] = piece.Fault
		}
	}
	return in
}

// slsaLevel is what complete, trusted, consistent evidence proves.
func slsaLevel(pieces []join.Piece) int {
	for _, p := range pieces {
		if p.Kind != event.KindSignature || p.Fault != "" || p.Evidence == nil || p.Evidence.Status != event.Complete {
			continue
		}
		if v := p.Evidence.Verification; v != nil && v.Result == event.Pass {
			return v.SLSALevel
		}
	}
	return 0
}

// ref pins a piece of evidence. One that cannot be relied on is pinned as
// failed, whatever it says of itself.
func ref(p join.Piece) event.EvidenceRef {
	r := event.EvidenceRef{Kind: p.Kind, Status: event.Failed, Producer: event.Producer{Name: "unknown"}, Digest: p.Digest()}
	if p.Fault == "" && p.Evidence != nil {
		r.Status, r.Producer, r.Basis = p.Evidence.Status, p.Evidence.Producer, p.Evidence.Basis
	}
	return r
}
