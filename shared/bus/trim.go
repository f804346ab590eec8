package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/event"
)

// Trimmer removes from UPLOADS and EVENTS, now and then, what nobody needs
// any more. One per installation is enough; several do no harm. VERDICTS
// ages by itself, and DEAD is for people to empty.
type Trimmer struct {
	Bus *Bus
	// Position is the first sequence of a stream that the audit log has not
	// stored for good: one more bound beside Floor's. It may be nil.
	Position func(stream string) uint64
	Every    time.Duration // 1 min
}

const floorTimeout = time.Minute // a long stream takes a while to walk at first

// Run trims until ctx ends.
func (t *Trimmer) Run(ctx context.Context) error {
	undecided := NewUndecided()
	var wg sync.WaitGroup
	wg.Go(func() { _ = undecided.Follow(ctx, t.Bus) }) // only ever ends with ctx
	defer wg.Wait()
	every := t.Every
	if every <= 0 {
		every = time.Minute
	}
	for {
		for _, stream := range []string{Uploads, Events} {
			if err := t.trim(ctx, stream, undecided); err != nil && ctx.Err() == nil {
				t.Bus.log.Warn("trimming failed; nothing is lost, but the stream grows", "stream", stream, "error", err)
			}
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return nil
		}
	}
}

func (t *Trimmer) trim(ctx context.Context, stream string, u *Undecided) error {
	ctx, cancel := context.WithTimeout(ctx, floorTimeout)
	defer cancel()
	floor, err := t.Bus.floor(ctx, stream, u)
	if err != nil {
		return err
	}
	if t.Position != nil {
		floor = min(floor, t.Position(stream))
	}
	return t.Bus.Trim(ctx, stream, floor)
}

// Trim removes everything below sequence floor from the stream.
func (b *Bus) Trim(ctx context.Context, stream string, floor uint64) error {
	first, last, err := b.Sequences(ctx, stream)
	if err != nil {
		return fmt.Errorf("trimming: %w", err)
	}
	if floor > last+1 {
		// The server would count on from there.
		return fmt.Errorf("trimming %s below %d: it ends at %d", stream, floor, last)
	}
	if floor <= first {
		return nil
	}
	s, err := b.js.Stream(ctx, stream)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSequence(floor))
	}
	if err == nil {
		b.log.Info("trimmed a stream", "stream", stream, "from", first, "to", floor-1)
	}
	return b.explain(fmt.Sprintf("trimming %s below %d", stream, floor), err)
}

// Floor is the first sequence of a stream that somebody still needs: a
// durable, anybody's, that has not got or not acknowledged it; on EVENTS
// also a run without its verdict, and VERDICTS, which copies verdicts from
// there. Whoever else follows the stream is not known here.
func (b *Bus) Floor(ctx context.Context, stream string) (uint64, error) {
	undecided := NewUndecided()
	if stream != Events {
		return b.floor(ctx, stream, undecided)
	}
	follow, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = undecided.Follow(follow, b) })
	defer wg.Wait()
	defer stop()
	return b.floor(ctx, stream, undecided)
}

func (b *Bus) floor(ctx context.Context, stream string, u *Undecided) (uint64, error) {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return 0, b.explain("looking at stream "+stream, err)
	}
	// Read before anything else: what comes later is above the floor.
	state := s.CachedInfo().State
	floor := state.LastSeq + 1
	if state.Msgs == 0 {
		return floor, nil
	}
	infos, err := b.durablesOf(ctx, s)
	if err != nil {
		return 0, err
	}
	for _, want := range durables(ProvisionOptions{}) {
		if want.stream == stream && !slices.ContainsFunc(infos, func(c *jetstream.ConsumerInfo) bool { return c.Name == want.Durable }) {
			return 0, fmt.Errorf("consumer %s of %s is missing, so what it needs is unknown: provision", want.Durable, stream)
		}
	}
	for _, c := range infos {
		needs, err := b.needs(ctx, stream, c, floor)
		if err != nil {
			return 0, fmt.Errorf("what consumer %s of %s needs: %w", c.Name, stream, err)
		}
		floor = min(floor, needs)
	}
	if stream != Events {
		return floor, nil
	}
	if err := u.through(ctx, state.LastSeq); err != nil {
		return 0, err
	}
	if seq, ok, err := b.oldestUndecided(ctx, u); err != nil {
		return 0, fmt.Errorf("oldest undecided run: %w", err)
	} else if ok {
		floor = min(floor, seq)
	}
	seq, err := b.uncopied(ctx, floor)
	if err != nil {
		return 0, fmt.Errorf("verdicts not yet on %s: %w", Verdicts, err)
	}
	return min(floor, seq), nil
}

// durablesOf lists the durables of a stream, ours and other people's, all or
// none: a cluster leaves out of its list those of which it gets no answer.
func (b *Bus) durablesOf(ctx context.Context, s jetstream.Stream) ([]*jetstream.ConsumerInfo, error) {
	var names []string
	list := s.ConsumerNames(ctx)
	for name := range list.Name() {
		names = append(names, name)
	}
	if err := list.Err(); err != nil {
		return nil, b.explain("naming the consumers of "+s.CachedInfo().Config.Name, err)
	}
	infos, err := b.consumers(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(infos, func(c *jetstream.ConsumerInfo) bool { return c.Name == name }) {
			return nil, fmt.Errorf("the server tells nothing of consumer %s of %s", name, s.CachedInfo().Config.Name)
		}
	}
	return slices.DeleteFunc(infos, func(c *jetstream.ConsumerInfo) bool { return c.Config.Durable == "" }), nil
}

// needs is the first message below floor that a consumer has not finished.
func (b *Bus) needs(ctx context.Context, stream string, c *jetstream.ConsumerInfo, floor uint64) (uint64, error) {
	if c.NumAckPending > 0 {
		return c.AckFloor.Stream + 1, nil
	}
	// All that was delivered is finished. The acknowledgement floor stays
	// at the last message that matched, though, and the count of pending
	// messages is an estimate; so ask what comes next.
	filters := c.Config.FilterSubjects
	if c.Config.FilterSubject != "" {
		filters = []string{c.Config.FilterSubject}
	}
	if len(filters) == 0 {
		filters = []string{">"}
	}
	for _, filter := range filters {
		next, err := b.following(ctx, stream, filter, c.Delivered.Stream)
		if err != nil {
			return 0, err
		}
		floor = min(floor, next)
	}
	return floor, nil
}

// following is the first sequence after seq with a subject that matches;
// the largest there is if there is none.
func (b *Bus) following(ctx context.Context, stream, filter string, seq uint64) (uint64, error) {
	m, err := b.get(ctx, stream, which{Sequence: seq + 1, Next: filter})
	if errors.Is(err, ErrNotFound) {
		return ^uint64(0), nil
	}
	if err != nil {
		return 0, err
	}
	return m.Sequence, nil
}

// uncopied is the first verdict on EVENTS that VERDICTS does not have. The
// last message there tells where it came from; the server's own figure for
// the lag is only as fresh as their last contact. An empty VERDICTS, a new
// one or all aged, counts as having copied nothing until the next verdict.
func (b *Bus) uncopied(ctx context.Context, floor uint64) (uint64, error) {
	copied := uint64(0)
	m, err := b.get(ctx, Verdicts, which{Last: event.AllVerdicts})
	switch {
	case err == nil:
		if copied, err = sourceSequence(m); err != nil {
			return 0, err
		}
		if _, last, err := b.Sequences(ctx, Events); err != nil {
			return 0, err
		} else if copied > last {
			return 0, fmt.Errorf("%s has copied up to %d of %s, which ends at %d and so was made anew: provision %s anew too", Verdicts, copied, Events, last, Verdicts)
		}
	case !errors.Is(err, ErrNotFound):
		return 0, err
	}
	next, err := b.following(ctx, Events, event.AllVerdicts, copied)
	return min(floor, next), err
}

const sourceHeader = "Nats-Stream-Source"

// sourceSequence reads the header that the server gives to copies:
// "<stream> <sequence> <filter> ...".
func sourceSequence(m *Message) (uint64, error) {
	var fields []string
	if v := m.Header[sourceHeader]; len(v) > 0 {
		fields = strings.Fields(v[0])
	}
	if len(fields) < 2 || fields[0] != Events {
		return 0, fmt.Errorf("message %d of %s does not say that it comes from %s: %q", m.Sequence, m.Stream, Events, fields)
	}
	seq, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("message %d of %s: source sequence: %w", m.Sequence, m.Stream, err)
	}
	return seq, nil
}
