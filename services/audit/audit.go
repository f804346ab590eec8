// Package audit keeps the record: every event of every stream becomes an
// entry of one hash-chained log in the object store, over which a signed
// Merkle tree is published, and only what is in the log may be trimmed from
// the streams.
package audit

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/config"
)

// Config of the service.
type Config struct {
	Batch    int           `env:"ASSIZE_AUDIT_BATCH, default=512" help:"entries appended at a time, 4096 at most"`
	Interval time.Duration `env:"ASSIZE_AUDIT_INTERVAL, default=100ms" help:"how long an event may wait for others to be appended with it"`
	// Keys sign the checkpoints.
	Keys      config.Secret `env:"ASSIZE_AUDIT_KEY" help:"key of the log, as \"assize audit keygen\" writes it; several, one a line, while readers learn a new one; without it nothing is published"`
	Publish   time.Duration `env:"ASSIZE_AUDIT_PUBLISH, default=1s" help:"how often the tree is published, if there is something new"`
	Witnesses string        `env:"ASSIZE_AUDIT_WITNESSES" help:"policy file (c2sp.org/tlog-policy) with the log's own key, the witnesses to ask for cosignatures, and their quorum"`
	Patience  time.Duration `env:"ASSIZE_AUDIT_WITNESS_TIMEOUT, default=5s" help:"how long all witnesses together may take"`
	Refresh   time.Duration `env:"ASSIZE_AUDIT_REFRESH, default=1h" help:"how often cosignatures are renewed while nothing happens"`
	Trim      time.Duration `env:"ASSIZE_TRIM_INTERVAL, default=1m" help:"how often the streams are trimmed behind their slowest reader"`
}

const (
	maxBatch  = 8 << 20 // bytes of data appended at a time, about
	saveEvery = 2 * time.Second
	lastSave  = 5 * time.Second // what the last note is worth beyond the end
)

// Service appends what the streams hold to the log.
type Service struct {
	config Config
	bus    *bus.Bus
	store  blob.Store
	log    *slog.Logger

	publishing sync.Mutex
	publisher  *Publisher         // nil without a key
	crash      func(point string) // for tests; nil

	mu   sync.Mutex
	head Head // committed
}

// recorded are the streams whose events are recorded. VERDICTS holds copies
// of what EVENTS does.
var recorded = []string{bus.Uploads, bus.Events, bus.Dead}

// New makes the service. A key or policy that cannot be read is an error.
func New(c Config, b *bus.Bus, store blob.Store, log *slog.Logger) (*Service, error) {
	c.Batch, c.Interval = min(max(1, c.Batch), maxSegment/2), max(time.Millisecond, c.Interval)
	s := &Service{config: c, bus: b, store: store, log: log, head: emptyHead()}
	if c.Keys == "" {
		if c.Witnesses != "" {
			return nil, errors.New("ASSIZE_AUDIT_WITNESSES: without ASSIZE_AUDIT_KEY there is nothing to cosign")
		}
		return s, nil
	}
	var err error
	s.publisher, err = NewPublisher(c, store, log)
	return s, err
}

// Run records until ctx ends. Any number of replicas may run; they help each
// other and cannot contradict each other. It outlasts every outage; only
// ErrRolledBack and ErrDamaged end it, as a person has to decide.
func (s *Service) Run(ctx context.Context) error {
	// It sees all streams anyway, so it is the one that reports how far
	// behind their readers are.
	stop, err := s.bus.ObserveLag()
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()
	for {
		err := s.record(ctx)
		if errors.Is(err, ErrRolledBack) || errors.Is(err, ErrDamaged) || errors.Is(err, errStore) {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		s.log.Warn("recording stopped, starting again from the end of the log", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

func (s *Service) record(ctx context.Context) error {
	l, err := OpenLog(ctx, s.store)
	if err != nil {
		return err
	}
	l.crash = s.crash
	s.commit(l)
	if err := s.compare(ctx, l.Head(), recorded...); err != nil {
		return err
	}
	if err := s.probe(ctx); err != nil {
		return err
	}
	group, recording := errgroup.WithContext(ctx)
	messages := make(chan *bus.Message)
	for _, stream := range recorded {
		from := l.head.Positions[stream] + 1
		group.Go(func() error {
			return s.bus.Follow(recording, stream, from, nil, func(m *bus.Message) error {
				select {
				case messages <- m:
					return nil
				case <-recording.Done():
					return recording.Err()
				}
			})
		})
	}
	group.Go(func() error { return s.append(recording, l, messages) })
	group.Go(func() error { return s.watch(recording) })
	group.Go(func() error { return s.publish(recording) })
	if s.config.Trim > 0 {
		group.Go(func() error {
			return (&bus.Trimmer{Bus: s.bus, Every: s.config.Trim, Position: s.position}).Run(recording)
		})
	}
	err = group.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSave)
	defer cancel()
	if saving := l.SaveHead(last); saving != nil {
		s.log.Warn("the head of the log was not saved; the next start reads more of it", "error", saving)
	}
	if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrRolledBack) {
		if publishing := s.Publish(last); publishing != nil {
			s.log.Warn("the end of the log was not published; the next start, or another replica, will", "error", publishing)
		}
	}
	return err
}

// publish publishes what is recorded, now and then: replicas at different
// moments, so that one finds that another has.
func (s *Service) publish(ctx context.Context) error {
	if s.publisher == nil {
		s.log.WarnContext(ctx, "ASSIZE_AUDIT_KEY is not set: the log is chained, but no checkpoint says how long it is")
		return nil
	}
	pause := max(time.Millisecond, s.config.Publish)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause/2 + rand.N(pause)):
		}
		err := s.Publish(ctx)
		if errors.Is(err, ErrDamaged) || errors.Is(err, ErrRolledBack) {
			return err
		}
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "the tree was not published; the next time it will be", "error", err)
		}
	}
}

// Publish publishes what this process has recorded, with the proofs of its
// verdicts, now.
func (s *Service) Publish(ctx context.Context) error {
	if s.publisher == nil {
		return nil
	}
	s.publishing.Lock()
	defer s.publishing.Unlock()
	return s.publisher.Publish(ctx)
}

// probe checks what all rests on: that the store creates an object once.
func (s *Service) probe(ctx context.Context) error {
	key := publicPrefix + "probe/" + crand.Text()
	defer func() { _ = s.store.Delete(context.WithoutCancel(ctx), key) }()
	for i := range 2 {
		err := s.store.Create(ctx, key, strings.NewReader("x"), 1)
		if i == 0 && err != nil {
			return err
		}
		if i == 1 && !errors.Is(err, blob.ErrExists) {
			return fmt.Errorf("%w: it let %s be created twice (%v): run assize doctor s3", errStore, key, err)
		}
	}
	return nil
}

// errStore says that the store cannot keep a log.
var errStore = errors.New("the store does not keep its promises")

// append is the only user of l.
func (s *Service) append(ctx context.Context, l *Log, messages <-chan *bus.Message) error {
	save := time.NewTicker(saveEvery)
	defer save.Stop()
	for {
		var batch []*bus.Message
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-save.C:
			if err := l.SaveHead(ctx); errors.Is(err, ErrDamaged) {
				return err
			} else if err != nil && ctx.Err() == nil {
				s.log.Warn("the head of the log was not saved", "error", err)
			}
			continue
		case m := <-messages:
			batch = s.gather(ctx, m, messages)
		}
		if err := s.extend(ctx, l, batch); err != nil {
			return err
		}
		s.commit(l)
	}
}

// extend appends messages if they follow those that the log holds, and not
// others that had the same sequences.
func (s *Service) extend(ctx context.Context, l *Log, batch []*bus.Message) error {
	var streams []string
	for _, m := range batch {
		if !slices.Contains(streams, m.Stream) {
			streams = append(streams, m.Stream)
		}
	}
	for {
		if err := s.compare(ctx, l.head, streams...); err != nil {
			return err
		}
		if err := l.Append(ctx, batch); !errors.Is(err, errMoved) {
			return err
		}
	}
}

func (s *Service) gather(ctx context.Context, first *bus.Message, messages <-chan *bus.Message) []*bus.Message {
	batch, size := []*bus.Message{first}, len(first.Data)
	patience := time.NewTimer(s.config.Interval)
	defer patience.Stop()
	for len(batch) < s.config.Batch && size < maxBatch {
		select {
		case m := <-messages:
			batch, size = append(batch, m), size+len(m.Data)
		case <-patience.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

func (s *Service) commit(l *Log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head = l.Head()
}

// Head is the committed end of the log.
func (s *Service) Head() Head {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head.clone()
}

// position is the first sequence of a stream that the log does not hold.
func (s *Service) position(stream string) uint64 { return s.Head().Positions[stream] + 1 }
