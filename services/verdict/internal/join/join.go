// Package join brings the facts of a run together without a lock or a table.
//
// Every fact of a run (the artifact, then one piece of evidence per kind) is
// the last message on a subject of its own. Whoever handles one fact reads
// all of them from the stream's leader and stops at the first that is newer
// than the one it handles: then the handler of that newer fact will see more.
// So the handler of the newest fact sees everything, and it decides. Several
// replicas, and redeliveries, change nothing: a handler of the newest fact
// that reads the same facts makes the same case of them.
//
// Facts that break the contract are the exception. They become dead letters
// unhandled, so nobody waits for their handlers, and they do not count for
// the time of the case. A run whose newest fact is such a one is decided only
// once somebody handles that delivery too; Read serves for this as well.
package join

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"assize.dev/services/verdict/internal/policy"
	"assize.dev/shared/event"
)

// Fact is one message of the stream.
type Fact struct {
	Event    *event.Event // nil if the message is no CloudEvent
	Data     []byte       // of the message
	Sequence uint64
	Time     time.Time // when the stream took it
}

// Facts is the stream, as its leader sees it.
type Facts interface {
	// Last returns the last fact on a subject, ErrNotFound if there is none.
	// It must see everything the stream had acknowledged before the call.
	Last(ctx context.Context, subject string) (*Fact, error)
}

// Past gives what an earlier run rested on.
type Past interface {
	// Record returns the evidence of the run that the artifact supersedes, and
	// what was concluded from it. Errors that wrap ErrNoRecord mean that there
	// is none that can be relied on; others pass.
	Record(ctx context.Context, a *event.Artifact) (*Before, error)
}

// Before is an earlier run of the same artifact.
type Before struct {
	Decision event.Outcome `json:"decision,omitempty"` // empty if it cannot be told any more
	Grade    event.Grade   `json:"grade,omitempty"`
	Policy   event.Policy  `json:"policy"`
	Evidence []Piece       `json:"-"` // as of the artifact of that run
}

// ErrNoRecord says that the record of an earlier run is missing, damaged, or
// of another artifact.
var ErrNoRecord = errors.New("no record of the earlier run")

// ErrNotFound says that nothing was published on a subject yet.
var ErrNotFound = errors.New("no such fact")

// State is how a handler stands to its run.
type State int

// The states.
const (
	// Incomplete: a fact is missing; the handler of the one that comes last
	// decides.
	Incomplete State = iota
	// NotMine: a newer fact is there already; its handler decides.
	NotMine
	// Ready: all facts are there and none is newer; decide now.
	Ready
)

func (s State) String() string {
	switch s {
	case Incomplete:
		return "incomplete"
	case NotMine:
		return "not mine"
	case Ready:
		return "ready"
	}
	return fmt.Sprintf("state %d", int(s))
}

// Case is all that is known of one artifact when the decision is made.
type Case struct {
	Artifact event.Artifact
	// ArtifactFact is the data of the artifact's event, byte for byte.
	ArtifactFact []byte
	// Evidence has one piece for each required kind, in their order.
	Evidence []Piece
	// Time is when the stream took the newest of these facts.
	Time time.Time
	// Components of the artifact, where the policy asks for them; Without says
	// why they are not known.
	Components []policy.Component
	Without    string
	// Before is the run that this one supersedes, nil if there is none, or
	// none that can be told.
	Before *Before
}

// Result of Read: Subject is the fact that is missing or newer, Case is set
// if the state is Ready.
type Result struct {
	State   State
	Subject string
	Case    Case
}

// Read looks at the run of the evidence that was handled: it came on the
// subject of this address and has this sequence. required lists the kinds to
// wait for. An error means that the stream could not be read, or (wrapping
// event.ErrInvalid) that the artifact fact itself breaks the contract;
// evidence that does so becomes a Piece with a Fault.
//
// Who is not the last to come finds out soonest by asking for the evidence
// that comes last, so it is read from the end of required: analysers that
// build on others' evidence stand there. The order matters for nothing else.
//
// Evidence that the artifact fact says to reuse is not waited for: it comes
// from past, which is asked only then, or if the run supersedes another.
func Read(ctx context.Context, facts Facts, past Past, of Address, sequence uint64, required []event.Kind) (Result, error) {
	found := make([]*Fact, len(required))
	var order *event.Artifact // read when evidence is missing
	for i, kind := range slices.Backward(required) {
		subject := event.EvidenceSubject(kind, of.Registry, of.Run)
		fact, err := facts.Last(ctx, subject)
		if errors.Is(err, ErrNotFound) {
			if of.Upload {
				return Result{State: Incomplete, Subject: subject}, nil
			}
			if order == nil {
				r, _, err := begin(ctx, facts, of, sequence)
				if err != nil || r.State != Ready {
					return r, err
				}
				order = &r.Case.Artifact
			}
			if order.Reuses(kind) {
				continue
			}
			return Result{State: Incomplete, Subject: subject}, nil
		}
		if err != nil {
			return Result{}, fmt.Errorf("read %s: %w", subject, err)
		}
		if fact.Sequence > sequence {
			// Its handler decides, if it has one: whether the fact is
			// broken, only the artifact can tell.
			r, _, err := begin(ctx, facts, of, sequence)
			if err != nil || r.State != Ready {
				return r, err
			}
			if _, broken := readPiece(kind, fact, r.Case.Artifact); !broken {
				return Result{State: NotMine, Subject: subject}, nil
			}
		}
		found[i] = fact
	}
	r, newest, err := begin(ctx, facts, of, sequence)
	if err != nil || r.State != Ready {
		return r, err
	}
	if r.Case.Artifact.Supersedes != "" {
		r.Case.Before, err = past.Record(ctx, &r.Case.Artifact)
		if err != nil && !errors.Is(err, ErrNoRecord) {
			return Result{}, fmt.Errorf("record of run %s: %w", r.Case.Artifact.Supersedes, err)
		}
	}
	missing := err // why there is no record
	for i, kind := range required {
		if found[i] == nil {
			r.Case.Evidence = append(r.Case.Evidence, r.Case.reused(kind, missing))
			continue
		}
		piece, broken := readPiece(kind, found[i], r.Case.Artifact)
		if !broken && found[i].Sequence > newest {
			newest, r.Case.Time = found[i].Sequence, found[i].Time
		}
		r.Case.Evidence = append(r.Case.Evidence, piece)
	}
	return r, nil
}

// ReadOverdue is the case of a run as it is, whatever is missing; its time is
// that of the artifact. Errors wrap ErrNotFound if there is no such run, or are
// those of Read.
func ReadOverdue(ctx context.Context, facts Facts, past Past, of Address, required []event.Kind) (Case, error) {
	r, _, err := begin(ctx, facts, of, math.MaxUint64)
	if err != nil {
		return Case{}, err
	}
	if r.State != Ready {
		return Case{}, ErrNotFound
	}
	if r.Case.Artifact.Supersedes != "" {
		r.Case.Before, err = past.Record(ctx, &r.Case.Artifact)
		if err != nil && !errors.Is(err, ErrNoRecord) {
			return Case{}, fmt.Errorf("record of run %s: %w", r.Case.Artifact.Supersedes, err)
		}
	}
	missing := err
	for _, kind := range required {
		fact, err := facts.Last(ctx, event.EvidenceSubject(kind, of.Registry, of.Run))
		switch {
		case errors.Is(err, ErrNotFound) && r.Case.Artifact.Reuses(kind):
			r.Case.Evidence = append(r.Case.Evidence, r.Case.reused(kind, missing))
		case errors.Is(err, ErrNotFound):
		case err != nil:
			return Case{}, err
		default:
			piece, _ := readPiece(kind, fact, r.Case.Artifact)
			r.Case.Evidence = append(r.Case.Evidence, piece)
		}
	}
	return r.Case, nil
}

// reused is the evidence of a kind that the superseded run had.
func (c *Case) reused(kind event.Kind, missing error) Piece {
	if c.Before != nil {
		for _, p := range c.Before.Evidence {
			if p.Kind == kind {
				p.Reused = true
				return p
			}
		}
		missing = fmt.Errorf("the record of run %s has no %s evidence", c.Artifact.Supersedes, kind)
	}
	return Piece{Kind: kind, Reused: true, Fault: fmt.Sprintf("it is to be taken from an earlier run, and cannot: %.300s", missing)}
}

// begin makes a case of the artifact alone; newest is its sequence.
func begin(ctx context.Context, facts Facts, of Address, sequence uint64) (r Result, newest uint64, err error) {
	fact, subject, err := artifact(ctx, facts, of)
	switch {
	case errors.Is(err, ErrNotFound):
		return Result{State: Incomplete, Subject: subject}, 0, nil
	case err != nil:
		return Result{}, 0, err
	case fact.Sequence > sequence:
		return Result{State: NotMine, Subject: subject}, 0, nil
	case fact.Event == nil:
		return Result{}, 0, fmt.Errorf("%w: artifact of run %s: no CloudEvent", event.ErrInvalid, of.Run)
	}
	r = Result{State: Ready, Case: Case{ArtifactFact: fact.Data, Time: fact.Time}}
	if err := event.Decode(fact.Event, &r.Case.Artifact); err != nil {
		return Result{}, 0, fmt.Errorf("artifact of run %s: %w", of.Run, err)
	}
	return r, fact.Sequence, nil
}

// artifact finds the first fact of the run, whose lane the evidence's address
// does not tell.
func artifact(ctx context.Context, facts Facts, of Address) (fact *Fact, subject string, err error) {
	for _, lane := range event.Lanes {
		subject = event.ArtifactSubject(lane, of.Registry, of.Run)
		fact, err = facts.Last(ctx, subject)
		if err == nil {
			return fact, subject, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return nil, subject, fmt.Errorf("read %s: %w", subject, err)
		}
	}
	return nil, subject, ErrNotFound
}
