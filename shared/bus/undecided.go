package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/event"
)

// Undecided knows which runs have begun but have no verdict yet. It learns
// it from the subjects on EVENTS, so it costs no reading of payloads.
type Undecided struct {
	mu    sync.Mutex
	open  map[uuid.UUID]uint64 // sequence of a run's first fact
	at    uint64               // sequence seen last
	moved chan struct{}        // closed when at has moved
}

// NewUndecided knows nothing yet; see Follow.
func NewUndecided() *Undecided {
	return &Undecided{open: map[uuid.UUID]uint64{}, moved: make(chan struct{})}
}

// Follow learns from the stream until ctx ends.
func (u *Undecided) Follow(ctx context.Context, b *Bus) error {
	return b.follow(ctx, jetstream.ConsumerConfig{HeadersOnly: true}, Events, 0, func(m *Message) error {
		u.see(m.Subject, m.Sequence)
		return nil
	})
}

func (u *Undecided) see(subject string, seq uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if what, run, ok := fact(subject); ok {
		_, known := u.open[run]
		switch {
		case what == "verdict":
			delete(u.open, run)
		case !known && (what == "artifact" || what == "decision"):
			u.open[run] = seq
		}
	}
	u.at = seq
	close(u.moved)
	u.moved = make(chan struct{})
}

// fact tells the kind of event and the run from a subject of EVENTS. Runs
// that are no UUID break the contract: nothing will ever decide them.
func fact(subject string) (what string, run uuid.UUID, ok bool) {
	tokens := strings.Split(subject, ".")
	if len(tokens) < 4 {
		return "", run, false
	}
	last := tokens[len(tokens)-1]
	if event.ValidRun(last) != nil {
		return "", run, false
	}
	return tokens[1], uuid.MustParse(last), true
}

// through waits until all up to seq has been seen.
func (u *Undecided) through(ctx context.Context, seq uint64) error {
	for {
		u.mu.Lock()
		at, moved := u.at, u.moved
		u.mu.Unlock()
		if at >= seq {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("undecided runs are known up to %d of %d: %w", at, seq, ctx.Err())
		}
	}
}

// Oldest is the sequence of the oldest run's first fact; ok is false if all
// runs seen so far have their verdict.
func (u *Undecided) Oldest() (run string, seq uint64, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var oldest uuid.UUID
	for id, at := range u.open {
		if !ok || at < seq {
			oldest, seq, ok = id, at, true
		}
	}
	return oldest.String(), seq, ok
}

func (u *Undecided) drop(run string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.open, uuid.MustParse(run))
}

// oldestUndecided is Oldest, less the runs that will never get a verdict:
// whose first fact breaks the contract (a dead letter by now), or repeats a
// run that has its verdict.
func (b *Bus) oldestUndecided(ctx context.Context, u *Undecided) (seq uint64, ok bool, err error) {
	for {
		run, seq, ok := u.Oldest()
		if !ok {
			return 0, false, nil
		}
		m, err := b.get(ctx, Events, which{Sequence: seq})
		if err == nil {
			if m.decode(); m.Invalid == nil {
				var again bool
				if again, err = b.judged(ctx, m, run); err == nil && !again {
					return seq, true, nil
				}
			}
		}
		if err != nil && !errors.Is(err, ErrNotFound) { // not found: trimmed meanwhile
			return 0, false, err
		}
		u.drop(run)
	}
}

// judged tells whether there is a verdict on the run of which m is a fact.
func (b *Bus) judged(ctx context.Context, m *Message, run string) (bool, error) {
	tokens := strings.Split(m.Subject, ".")
	registry := tokens[len(tokens)-2]
	wildcard := strings.TrimSuffix(event.AllVerdicts, ">") + "*." + registry + ".*." + event.Token(run)
	_, err := b.Last(ctx, wildcard)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
