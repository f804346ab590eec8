package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/event"
)

// Consumer is the work on one durable.
type Consumer struct {
	Service string // names the dead letters' subject
	Durable string
	Stream  string // may be empty for the durables of the topology
	Workers int    // messages in work at once in this process; 1
	// MaxAttempts is how often a message is tried before it becomes a dead
	// letter; 5. A worker's death while it had the message is an attempt;
	// an ErrUnavailable or our own shutdown is not.
	MaxAttempts int
	// Timeout bounds one attempt; 0: the handler sees to that.
	Timeout time.Duration
	// Grace is how long handlers may go on after Consume was told to end; 20 s.
	Grace time.Duration
	// Handle does the work. On nil the message is done, so by then every
	// effect must be durable; it may be called again for the same message,
	// at the same time even, so effects must be idempotent. See
	// Unavailable and Permanent for its errors; any other is an attempt.
	Handle func(ctx context.Context, m *Message) error
	// GaveUp says to the rest of the world what became of a message that
	// is a dead letter by now, such as with evidence "failed". On an error
	// it is called again later. For a message that breaks the contract
	// Payload is nil, and Event too if it is no CloudEvent. May be nil.
	GaveUp func(ctx context.Context, m *Message, reason error) error
	// Backoff is the pause after the nth delivery failed, counted from 1.
	// Default: random, up to 0.5 s doubled each time, at most 60 s.
	Backoff func(n int) time.Duration
}

const (
	settleTimeout = 5 * time.Second
	firstPause    = 500 * time.Millisecond
	longestPause  = time.Minute
)

func (c Consumer) filled() (Consumer, error) {
	if c.Stream == "" {
		d, ok := durableNamed(c.Durable, ProvisionOptions{})
		if !ok {
			return c, fmt.Errorf("consuming %s: not a durable of the topology, so its stream must be given", c.Durable)
		}
		c.Stream = d.stream
	}
	if c.Service == "" || c.Durable == "" || c.Handle == nil {
		return c, errors.New("consuming: service, durable and handler must be given")
	}
	c.Workers = max(c.Workers, 1)
	if c.MaxAttempts <= 0 {
		c.MaxAttempts = 5
	}
	if c.Grace <= 0 {
		c.Grace = 20 * time.Second
	}
	if c.Backoff == nil {
		c.Backoff = func(n int) time.Duration { return backoff(n, firstPause, longestPause) }
	}
	return c, nil
}

// Consume works until ctx ends, through every outage. Then it takes nothing
// more, lets its handlers finish for as long as c.Grace, cancels those that
// have not, and returns when all have. The error says that c is wrong.
func (b *Bus) Consume(ctx context.Context, c Consumer) error {
	c, err := c.filled()
	if err != nil {
		return err
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	w := &worker{Consumer: c, bus: b, work: work,
		source:   &source{bus: b, stream: c.Stream, durable: c.Durable},
		attempts: &attempts{bus: b, durable: c.Durable, most: c.MaxAttempts, records: map[uint64]record{}},
		log:      b.log.With("service", c.Service, "durable", c.Durable)}
	var workers, clock sync.WaitGroup
	for range c.Workers {
		workers.Go(func() {
			for ctx.Err() == nil {
				if msg, wait := w.source.next(ctx); msg != nil {
					w.take(msg, wait)
				}
			}
		})
	}
	done := make(chan struct{})
	clock.Go(func() {
		select {
		case <-ctx.Done():
		case <-done:
			return
		}
		select {
		case <-time.After(c.Grace):
			stop()
		case <-done:
		}
	})
	workers.Wait()
	close(done)
	clock.Wait()
	return nil
}

// worker is what the workers of one Consume share.
type worker struct {
	Consumer
	bus      *Bus
	work     context.Context // ends with the grace
	source   *source
	attempts *attempts
	log      *slog.Logger
}

// take brings one delivery to its end: acknowledged, handed back, or given up.
func (w *worker) take(msg jetstream.Msg, wait time.Duration) {
	defer w.alive(msg, wait)()
	m, meta, err := newMessage(msg)
	if err != nil {
		w.log.Error("the server sent something odd", "error", err)
		return
	}
	delivery := int(meta.NumDelivered)
	attempt, last, err := w.attempts.count(w.work, m.Sequence, delivery)
	if err != nil {
		w.postpone(msg, m, delivery, err)
		return
	}
	m.Attempt = attempt
	if m.decode(); m.Invalid != nil {
		w.giveUp(msg, m, m.Invalid)
		return
	}
	if m.Attempt > w.MaxAttempts {
		if last == "" {
			last = "its workers died or fell silent; the last of them left no reason"
		}
		w.giveUp(msg, m, fmt.Errorf("delivered %d times: %s", delivery, last))
		return
	}
	err = w.run(m)
	switch {
	case err == nil:
		w.done(msg, m)
	case w.work.Err() != nil:
		w.handBack(msg, m, delivery)
	case errors.Is(err, ErrUnavailable):
		w.postpone(msg, m, delivery, err)
	case errors.Is(err, ErrPermanent), errors.Is(err, event.ErrInvalid), m.Attempt >= w.MaxAttempts:
		w.attempts.blame(m.Sequence, err.Error())
		w.giveUp(msg, m, err)
	default:
		w.attempts.blame(m.Sequence, err.Error())
		pause := w.Backoff(m.Attempt)
		w.log.Warn("handling failed; will try again", "event", m.Event.ID, "attempt", m.Attempt, "pause", pause, "error", err)
		w.nak(msg, m, pause)
	}
}

// alive tells the server, often enough, that the message is in work, until
// the function it returns is called.
func (w *worker) alive(msg jetstream.Msg, wait time.Duration) (stop func()) {
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		tick := time.NewTicker(max(wait/3, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				// A failure costs a redelivery at worst.
				if err := msg.InProgress(); err != nil {
					w.log.Debug("could not extend the wait for a message", "error", err)
				}
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// run calls the handler; a panic is a failure like any other.
func (w *worker) run(m *Message) (err error) {
	ctx, span := startProcess(w.work, w.Durable, m)
	begin := time.Now()
	defer func() {
		if p := recover(); p != nil {
			w.log.Error("handler panicked", "event", m.Event.ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("handler panicked: %v", p)
		}
		w.bus.metrics.processed(ctx, w.Durable, time.Since(begin), err)
		endSpan(span, err)
	}()
	if w.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.Timeout)
		defer cancel()
	}
	return w.Handle(ctx, m)
}

// done acknowledges and waits for the server's word. Without it the message
// may come again, which is what effects are idempotent for.
func (w *worker) done(msg jetstream.Msg, m *Message) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.work), settleTimeout)
	defer cancel()
	ctx, end := w.bus.session(ctx)
	defer end()
	if err := msg.DoubleAck(ctx); err != nil {
		w.log.Warn("handled, but not acknowledged for sure; it may come again", "event", m.Event.ID, "error", err)
	}
	w.attempts.forget(m.Sequence)
}

// postpone hands the message back for later, because of an outage.
func (w *worker) postpone(msg jetstream.Msg, m *Message, delivery int, reason error) {
	pause := w.Backoff(delivery)
	w.log.Warn("handling must wait", "sequence", m.Sequence, "delivery", delivery, "pause", pause, "error", reason)
	ctx, cancel := context.WithTimeout(w.work, settleTimeout)
	defer cancel()
	w.attempts.excuse(ctx, m.Sequence, delivery) // before somebody gets it again
	w.nak(msg, m, pause)
}

// handBack gives the message to another replica, at once, as we must end.
func (w *worker) handBack(msg jetstream.Msg, m *Message, delivery int) {
	w.log.Info("handling was cut short by our end; another worker takes over", "event", m.Event.ID)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.work), settleTimeout)
	defer cancel()
	w.attempts.excuse(ctx, m.Sequence, delivery)
	if err := msg.Nak(); err != nil {
		w.log.Warn("could not hand a message back; it comes again by itself", "sequence", m.Sequence, "error", err)
	}
}

// nak asks for the message again after a pause. Without a pause the server
// would send it again at once.
func (w *worker) nak(msg jetstream.Msg, m *Message, pause time.Duration) {
	if err := msg.NakWithDelay(max(pause, time.Millisecond)); err != nil {
		w.log.Warn("could not hand a message back; it comes again by itself", "sequence", m.Sequence, "error", err)
	}
}
