package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pullTime is how long a pull waits for a message. It is short because
	// a pull must not be cut off: the message might be on its way, would
	// count as delivered, and lie idle until AckWait has passed.
	pullTime = 2 * time.Second
	// heartbeat is how often the server shows that a waiting pull is still
	// known; after two in silence the consumer is looked up again.
	heartbeat = 800 * time.Millisecond
)

// source hands out the messages of one durable, one at a time, through every
// outage of the server and loss of the consumer.
type source struct {
	bus             *Bus
	stream, durable string

	mu   sync.Mutex
	cons jetstream.Consumer // nil: to be looked up
	down bool               // an outage was logged and is not over
}

// next is the next message and how long the server waits for a sign of life
// before it gives the message to somebody else; nil when ctx ends, unless one
// came just then.
func (s *source) next(ctx context.Context) (jetstream.Msg, time.Duration) {
	for try := 1; ctx.Err() == nil; try++ {
		cons, err := s.consumer(ctx)
		if err == nil {
			var msg jetstream.Msg
			if msg, err = s.pull(ctx, cons); msg != nil {
				s.works()
				return msg, patience(cons.CachedInfo().Config)
			}
		}
		if err == nil {
			s.works()
			try = 0
			continue
		}
		if ctx.Err() == nil {
			s.lost(cons, err)
		}
		select {
		case <-time.After(backoff(try, 200*time.Millisecond, 5*time.Second)):
		case <-ctx.Done():
		}
	}
	return nil, 0
}

// pull asks for exactly one message, as one that waits in a client's buffer
// ages. It ends without one after pullTime, and when the server it asked is
// not the one it is connected to any more.
func (s *source) pull(ctx context.Context, cons jetstream.Consumer) (jetstream.Msg, error) {
	session, end := s.bus.session(context.WithoutCancel(ctx))
	defer end()
	session, cancel := context.WithTimeout(session, pullTime)
	defer cancel()
	batch, err := cons.Fetch(1, jetstream.FetchContext(session), jetstream.FetchHeartbeat(heartbeat))
	if err != nil {
		return nil, err
	}
	if msg := <-batch.Messages(); msg != nil || session.Err() != nil {
		return msg, nil
	}
	return nil, batch.Error()
}

// patience is AckWait, which the first BackOff overrides if an operator set
// one.
func patience(c jetstream.ConsumerConfig) time.Duration {
	return slices.Min(append([]time.Duration{c.AckWait}, c.BackOff...))
}

// lost notes an outage, and logs its begin: cons, if there was one, is to be
// looked up again.
func (s *source) lost(cons jetstream.Consumer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cons == cons {
		s.cons = nil
	}
	if !s.down {
		s.down = true
		s.bus.log.Warn("no messages can be had; trying until they can", "stream", s.stream, "durable", s.durable, "error", err)
	}
}

// works ends an outage: the server has served a pull.
func (s *source) works() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		s.down = false
		s.bus.log.Info("messages can be had again", "stream", s.stream, "durable", s.durable)
	}
}

// consumer is the one last looked up, or found now, by one worker for all.
func (s *source) consumer(ctx context.Context) (jetstream.Consumer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cons != nil {
		return s.cons, nil
	}
	cons, err := s.look(ctx)
	if err != nil {
		return nil, err
	}
	s.cons = cons
	return cons, nil
}

// look finds the consumer, and makes it anew if it is one of ours. It then
// starts over with all that is still on the stream.
func (s *source) look(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	cons, err := s.bus.js.Consumer(ctx, s.stream, s.durable)
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return cons, s.bus.explain("looking up the consumer", err)
	}
	s.bus.mu.Lock()
	desired := s.bus.desired
	s.bus.mu.Unlock()
	want, ok := durableNamed(s.durable, s.bus.filled(desired))
	if !ok || want.stream != s.stream {
		return nil, fmt.Errorf("consumer %s of %s does not exist", s.durable, s.stream)
	}
	s.bus.log.Warn("the consumer is gone; making it anew: all that is still on the stream is handled again", "stream", s.stream, "durable", s.durable)
	cons, err = s.bus.js.CreateConsumer(ctx, s.stream, want.ConsumerConfig) // never changes somebody else's
	return cons, s.bus.explain("making the consumer anew", err)
}
