package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrRolledBack means that a stream has lost events that the log holds:
// going on would number new events like the lost ones, and skip them.
var ErrRolledBack = errors.New("the stream was rolled back")

const watchEvery = 2 * time.Second // well below the trimmer's pause, as trimming removes the trace

// watch looks at the streams while nothing comes from them: a server that
// lost its disk may come back with fewer messages than are recorded. What
// comes is compared before it is appended.
func (s *Service) watch(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := s.compare(ctx, s.Head(), recorded...); errors.Is(err, ErrRolledBack) {
				return err
			} // else an outage, which followers outlast
		}
	}
}

// compare checks that the streams hold what h says they held.
func (s *Service) compare(ctx context.Context, h Head, streams ...string) error {
	for _, stream := range streams {
		if h.Positions[stream] == 0 {
			continue
		}
		if err := s.compareLast(ctx, stream, h.Positions[stream], h.Times[stream]); err != nil {
			return err
		}
	}
	return nil
}

const compareTimeout = 5 * time.Second

// compareLast looks for the last message recorded. That it is not there any
// more is no news, as long as the stream goes on behind it. After a loss
// the sequences come again, but not with the time of the lost message.
func (s *Service) compareLast(ctx context.Context, stream string, sequence uint64, stored time.Time) error {
	const remedy = "restore the stream, or keep this log and begin another"
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	on, err := s.bus.JetStream().Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", stream, err)
	}
	if last := on.CachedInfo().State.LastSeq; last < sequence {
		return fmt.Errorf("%w: %s ends at %d, but the log holds %d: %s", ErrRolledBack, stream, last, sequence, remedy)
	}
	m, err := on.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at message %d of %s: %w", sequence, stream, err)
	}
	if !m.Time.Equal(stored) {
		return fmt.Errorf("%w: message %d of %s is from %s, but the log holds one from %s: %s", ErrRolledBack, sequence, stream,
			m.Time.UTC().Format(time.RFC3339Nano), stored.Format(time.RFC3339Nano), remedy)
	}
	return nil
}
