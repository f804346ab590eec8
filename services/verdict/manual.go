package verdict

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"assize.dev/services/verdict/internal/policy"
	"assize.dev/shared/blob"
	"assize.dev/shared/event"
)

// ManualDecision is what a person decides about one upload.
type ManualDecision = policy.ManualDecision

// Again is the order to examine an upload once more, on lane "asked", because
// of its newest verdict: whole, heeding what was decided by hand before, or, with
// a decision by hand, from the evidence there is. sign makes an Ed25519 signature over a message.
func Again(ctx context.Context, store blob.Store, of Concluded, cause string, by *ManualDecision, sign func(message []byte) ([]byte, error)) (*event.Artifact, error) {
	r, err := RecordOf(ctx, store, of.Record.Key, of.Record.Digest)
	if err != nil {
		return nil, err
	}
	c, err := r.Case()
	if err != nil {
		return nil, err
	}
	a := c.Artifact
	a.Run, a.Lane, a.Supersedes, a.Cause = event.NewRun(), event.LaneAsked, of.Run, cause
	a.Reuse, a.Policy = nil, ""
	if by == nil {
		return &a, a.Validate()
	}
	by.Artifact, by.Registry, by.Filename = a.Digest, a.Registry, a.Filename
	if by.Decision == event.Allow {
		if by.Overrules = held(of.Reasons); of.Decision != event.Hold || len(by.Overrules) == 0 {
			return nil, fmt.Errorf("the verdict is %s: only what is held is allowed by hand; waivers let findings pass", of.Decision)
		}
		// What was allowed before, and counted, still is.
		if before, _ := r.Policy.Settings.Manual(&a, r.Time); before != nil && before.Decision == event.Allow {
			by.Overrules = append(by.Overrules, before.Overrules...)
		}
	}
	if err := by.Validate(); err != nil {
		return nil, fmt.Errorf("decision: %w", err)
	}
	m := &event.Manual{}
	if m.Payload, err = json.Marshal(by); err != nil {
		return nil, err
	}
	if m.Signature, err = sign(m.Signed()); err != nil {
		return nil, err
	}
	a.Manual = m
	for _, piece := range c.Evidence {
		if len(piece.Data) > 0 {
			a.Reuse = append(a.Reuse, piece.Kind)
		}
	}
	if len(a.Reuse) == 0 {
		return nil, errors.New("there is no evidence to decide on: ask for another examination first")
	}
	return &a, a.Validate()
}

// held are the reasons to hold.
func held(reasons []event.Reason) (because []string) {
	for _, r := range reasons {
		if r.Outcome == event.Hold && !slices.Contains(because, policy.HeldBecause(r)) {
			because = append(because, policy.HeldBecause(r))
		}
	}
	return because
}

// Last is the newest verdict about an upload among those that Find gave, which
// have to be about one upload.
func Last(found []Stored) (Concluded, error) {
	var last Concluded
	for i, s := range found {
		one, err := concluded(s)
		if err != nil {
			return Concluded{}, fmt.Errorf("run %s: %w", s.Run, err)
		}
		if i > 0 && (one.Registry != last.Registry || one.Filename != last.Filename) {
			return Concluded{}, fmt.Errorf("these bytes were uploaded as %s in %s and as %s in %s: name the run that is meant", last.Filename, last.Registry, one.Filename, one.Registry)
		}
		if i == 0 || !one.Time.Before(last.Time) {
			last = one
		}
	}
	return last, nil
}
