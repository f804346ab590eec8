package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	followBatch   = 256             // messages asked for at a time
	followForgets = 2 * time.Minute // silence after which the server forgets a follower
)

// Follow calls fn with the messages of a stream in order, each exactly once,
// from sequence from (0: the first there is) and then as they come, until
// ctx ends or fn returns an error, which it returns. Filters are subjects
// with wildcards; none means all. It survives every outage. Nothing is
// acknowledged and nothing kept at the server: where to begin is the
// follower's business, and what was trimmed is not waited for.
//
// A follower has caught up when Message.Pending is 0; whether there is
// anything at all, Sequences tells. Event may be nil: a follower sees broken
// messages too.
func (b *Bus) Follow(ctx context.Context, stream string, from uint64, filters []string, fn func(*Message) error) error {
	return b.follow(ctx, jetstream.ConsumerConfig{FilterSubjects: filters}, stream, from, fn)
}

func (b *Bus) follow(ctx context.Context, cfg jetstream.ConsumerConfig, stream string, from uint64, fn func(*Message) error) error {
	cfg.AckPolicy, cfg.MemoryStorage, cfg.Replicas = jetstream.AckNonePolicy, true, 1
	cfg.InactiveThreshold = followForgets
	cfg.DeliverPolicy = jetstream.DeliverByStartSequencePolicy
	f := &follower{bus: b, stream: stream, next: max(from, 1), fn: fn}
	for try := 1; ctx.Err() == nil; try++ {
		f.works = false
		err := f.read(ctx, cfg)
		if f.err != nil || ctx.Err() != nil {
			return f.err
		}
		if f.works {
			try = 1
		}
		if try == 1 {
			b.log.Warn("following a stream was interrupted; trying until it works", "stream", stream, "next", f.next, "error", err)
		}
		select {
		case <-time.After(backoff(try, 200*time.Millisecond, 5*time.Second)):
		case <-ctx.Done():
		}
	}
	return nil
}

type follower struct {
	bus    *Bus
	stream string
	next   uint64 // stream sequence to go on from
	works  bool   // the consumer has served a batch, be it empty
	fn     func(*Message) error
	err    error // of fn
}

var errGap = errors.New("a message was lost on the way")

// read makes a consumer and reads it until something goes wrong.
func (f *follower) read(ctx context.Context, cfg jetstream.ConsumerConfig) error {
	cfg.OptStartSeq = f.next
	cons, err := f.create(ctx, cfg)
	if err != nil {
		return f.bus.explain("following "+f.stream, err)
	}
	defer f.remove(ctx, cons)
	for delivered := uint64(0); ; {
		n, err := f.batch(ctx, cons, delivered)
		if err != nil {
			return err
		}
		delivered += n
		f.works = true
	}
}

// batch hands on the next messages of a consumer that has delivered so many.
func (f *follower) batch(ctx context.Context, cons jetstream.Consumer, delivered uint64) (n uint64, err error) {
	session, cancel := f.bus.session(ctx)
	defer cancel()
	batch, err := cons.Fetch(followBatch, jetstream.FetchContext(session), jetstream.FetchHeartbeat(heartbeat))
	if err != nil {
		return 0, err
	}
	for msg := range batch.Messages() {
		m, meta, err := newMessage(msg)
		if err != nil {
			return n, err
		}
		if n++; meta.Sequence.Consumer != delivered+n {
			return n, errGap
		}
		if f.err = f.fn(m); f.err != nil {
			return n, f.err
		}
		f.next, f.works = m.Sequence+1, true
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
	}
	return n, batch.Error()
}

func (f *follower) create(ctx context.Context, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	return f.bus.js.CreateConsumer(ctx, f.stream, cfg)
}

// remove is a courtesy: the server forgets the consumer anyway, in time.
func (f *follower) remove(ctx context.Context, cons jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), apiTimeout)
	defer cancel()
	if !f.bus.nc.IsConnected() {
		return
	}
	if err := f.bus.js.DeleteConsumer(ctx, f.stream, cons.CachedInfo().Name); err != nil {
		f.bus.log.Debug("could not remove a follower's consumer", "stream", f.stream, "error", err)
	}
}

// Sequences are the first and last sequence of a stream; it is empty if
// first is greater than last.
func (b *Bus) Sequences(ctx context.Context, stream string) (first, last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return 0, 0, fmt.Errorf("sequences: %w", b.explain("looking at stream "+stream, err))
	}
	state := s.CachedInfo().State
	return max(state.FirstSeq, 1), state.LastSeq, nil
}
