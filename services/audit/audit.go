// Package audit keeps the record: every event of every stream becomes an
// entry of one hash-chained log in the object store, and only what is in the
// log may be trimmed from the streams.
package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
)

// Config of the service.
type Config struct {
	Batch    int           `env:"ASSIZE_AUDIT_BATCH, default=512" help:"entries appended at a time, at most"`
	Interval time.Duration `env:"ASSIZE_AUDIT_INTERVAL, default=100ms" help:"how long an event may wait for others to be appended with it"`
	Trim     time.Duration `env:"ASSIZE_TRIM_INTERVAL, default=1m" help:"how often the streams are trimmed behind their slowest reader"`
}

// Service appends what the streams hold to the log.
type Service struct {
	config Config
	bus    *bus.Bus
	store  blob.Store
	log    *slog.Logger

	mu   sync.Mutex
	head Head // committed
}

// recorded are the streams whose events are recorded. VERDICTS holds copies
// of what EVENTS does.
var recorded = []string{bus.Uploads, bus.Events, bus.Dead}

// New makes the service.
func New(c Config, b *bus.Bus, store blob.Store, log *slog.Logger) *Service {
	c.Batch, c.Interval = max(1, c.Batch), max(time.Millisecond, c.Interval)
	return &Service{config: c, bus: b, store: store, log: log}
}

// Run records until ctx ends. Any number of replicas may run; they help each
// other and cannot contradict each other.
func (s *Service) Run(ctx context.Context) error {
	for {
		err := s.record(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, ErrRolledBack) {
			return err
		}
		s.log.Warn("recording stopped, starting again from the end of the log", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// ErrRolledBack means that a stream has lost events that the log holds:
// going on would number new events like the lost ones.
var ErrRolledBack = errors.New("the stream was rolled back")

func (s *Service) record(ctx context.Context) error {
	l, err := OpenLog(ctx, s.store)
	if err != nil {
		return err
	}
	s.publish(l)
	group, ctx := errgroup.WithContext(ctx)
	messages := make(chan *bus.Message)
	for _, stream := range recorded {
		from := l.Head().Positions[stream]
		_, last, err := s.bus.Sequences(ctx, stream)
		if err != nil {
			return err
		}
		if last < from {
			return fmt.Errorf("%w: %s ends at %d, but the log holds %d: restore the stream, or keep this log and start a new one", ErrRolledBack, stream, last, from)
		}
		group.Go(func() error {
			return s.bus.Follow(ctx, stream, from+1, nil, func(m *bus.Message) error {
				select {
				case messages <- m:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		})
	}
	group.Go(func() error { return s.append(ctx, l, messages) })
	if s.config.Trim > 0 {
		group.Go(func() error {
			return (&bus.Trimmer{Bus: s.bus, Every: s.config.Trim, Position: s.position}).Run(ctx)
		})
	}
	return group.Wait()
}

// append is the only user of l.
func (s *Service) append(ctx context.Context, l *Log, messages <-chan *bus.Message) error {
	saved := time.NewTicker(2 * time.Second)
	defer saved.Stop()
	for {
		var batch []*bus.Message
		select {
		case <-ctx.Done():
			// The last note is worth a moment more than ctx grants.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return errors.Join(ctx.Err(), l.SaveHead(last))
		case <-saved.C:
			if err := l.SaveHead(ctx); err != nil {
				return err
			}
			continue
		case m := <-messages:
			batch = s.gather(ctx, m, messages)
		}
		for {
			err := l.Append(ctx, batch)
			if errors.Is(err, errMoved) {
				continue
			}
			if err != nil {
				return err
			}
			break
		}
		s.publish(l)
	}
}

func (s *Service) gather(ctx context.Context, first *bus.Message, messages <-chan *bus.Message) []*bus.Message {
	batch := []*bus.Message{first}
	patience := time.NewTimer(s.config.Interval)
	defer patience.Stop()
	for len(batch) < s.config.Batch {
		select {
		case m := <-messages:
			batch = append(batch, m)
		case <-patience.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

func (s *Service) publish(l *Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head = l.Head()
}

// Head is the committed end of the log.
func (s *Service) Head() Head {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head
}

// position is the first sequence of a stream that the log does not hold.
func (s *Service) position(stream string) uint64 { return s.Head().Positions[stream] + 1 }
