package main

import (
	"context"
	"crypto/sha256"
	"time"

	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

// trivial is an analyser that has nothing against anything.
type trivial event.Kind

// Kind implements evidence.Analyser.
func (t trivial) Kind() event.Kind { return event.Kind(t) }

// Version implements evidence.Analyser.
func (trivial) Version() string { return "1" }

// Analyse implements evidence.Analyser.
func (t trivial) Analyse(context.Context, evidence.Input) (*evidence.Answer, error) {
	a := &evidence.Answer{Status: event.Complete}
	switch event.Kind(t) {
	case event.KindSignature:
		a.Verification = &event.Verification{Result: event.Undetermined, Signatures: []event.Signature{}}
	case event.KindSBOM:
		a.Components = &event.Catalogue{}
	}
	return a, nil
}

// following is a trivial analyser that waits for the SBOM, as the one for
// vulnerabilities does.
type following struct{ trivial }

// Follows implements evidence.Follower.
func (following) Follows() event.Kind { return event.KindSBOM }

// burning is an analyser that always takes the same work of one processor.
type burning struct {
	trivial
	rounds int
}

// Analyse implements evidence.Analyser.
func (b burning) Analyse(ctx context.Context, in evidence.Input) (*evidence.Answer, error) {
	burn(b.rounds)
	return b.trivial.Analyse(ctx, in)
}

var kindling = make([]byte, 16<<10)

func burn(rounds int) {
	for range rounds {
		_ = sha256.Sum256(kindling)
	}
}

// roundsFor is how much burning takes d on an idle processor: the best of
// several tries, as whatever else runs makes a try longer, never shorter.
func roundsFor(d time.Duration) int {
	const rounds, tries = 100, 10
	best := time.Hour
	for range tries {
		begin := time.Now()
		burn(rounds)
		best = min(best, time.Since(begin))
	}
	return max(1, int(rounds*d/max(best, 1)))
}
