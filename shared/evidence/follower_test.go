package evidence

import (
	"context"
	"errors"
	"strings"
	"testing"

	"assize.dev/shared/bus"
	"assize.dev/shared/bus/bustest"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// A follower gets the evidence, the artifact it is about, and its documents.
func TestRunnerFollower(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run(asking{event.KindSBOM, func(context.Context, Input) (*Answer, error) {
		return &Answer{Status: event.Complete, Documents: []Document{{Name: "sbom", Data: []byte("components")}}}, nil
	}}, following{asking{event.KindVulnerabilities, func(ctx context.Context, in Input) (*Answer, error) {
		text, err := in.Document(ctx, in.Evidence.Documents[0])
		if err != nil {
			return nil, err
		}
		own, err := read(ctx, in)
		return &Answer{Status: event.Complete, Basis: map[string]string{"sbom": string(text), "bytes": own, "name": in.Artifact.Name}}, err
	}}, event.KindSBOM})
	for _, lane := range event.Lanes {
		e := b.evidence(event.KindVulnerabilities, b.order(lane))
		if e.Status != event.Complete || e.Basis["sbom"] != "components" || e.Basis["bytes"] != content || e.Basis["name"] != "n" {
			t.Errorf("%s: %+v", lane, e)
		}
	}
}

// Evidence about other bytes, or about no run at all, is not built on.
func TestRunnerFollowerIsNotMisled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run(following{asking{event.KindVulnerabilities, func(context.Context, Input) (*Answer, error) {
		return &Answer{Status: event.Complete}, nil
	}}, event.KindSBOM})
	a := b.order(event.LaneNew)
	sbom := &event.Evidence{Run: a.Run, Lane: a.Lane, Registry: a.Registry, Kind: event.KindSBOM, Artifact: digest.Of([]byte("other")),
		Status: event.Complete, Producer: event.Producer{Name: "third-party"}}
	b.publish(sbom)
	if e := b.evidence(event.KindVulnerabilities, a); e.Status != event.Failed || !strings.Contains(e.Reason, string(sbom.Artifact)) {
		t.Errorf("%s: %s", e.Status, e.Reason)
	}
	sbom.Run = event.NewRun()
	b.publish(sbom)
	bustest.Eventually(t, "a dead letter", func() bool {
		d := b.deadLetter(event.Artifact{Run: sbom.Run})
		return d != nil && strings.Contains(d.Reason, "never ordered")
	})
	b.settled(bus.DurableVulnerabilities)
	if _, err := b.runner.Bus.Last(t.Context(), event.EvidenceSubject(event.KindVulnerabilities, a.Registry, sbom.Run)); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("evidence about a run that was never ordered: %v", err)
	}
}
