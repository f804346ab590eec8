package bus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/event"
)

// Ack says where an event came to rest.
type Ack struct {
	Stream   string
	Sequence uint64
	// Duplicate: the stream had it already; Sequence is the first one's.
	Duplicate bool
}

// PublishOption changes how an event is published.
type PublishOption func(*publishing)

type publishing struct{ once bool }

// Once publishes only if nothing was ever published on the event's subject,
// whoever tries; else the error is ErrExists.
func Once() PublishOption { return func(p *publishing) { p.once = true } }

const (
	tryTimeout     = 5 * time.Second
	publishTimeout = 20 * time.Second // of all tries together, if ctx allows as much
)

// Publish returns when the event is on the disk of the server, of a majority
// of the replicas if there are several. It retries on its own for up to 20
// seconds; the event's id makes that safe. Then, or when the stream is full,
// the error is an ErrUnavailable (and ErrFull): the event may still have been
// stored, so publish it again.
func (b *Bus) Publish(ctx context.Context, e *event.Event, opts ...PublishOption) (ack Ack, err error) {
	var p publishing
	for _, opt := range opts {
		opt(&p)
	}
	ctx, span := b.startPublish(ctx, e)
	defer func() {
		b.metrics.published(ctx, e, err)
		if errors.Is(err, ErrExists) {
			span.End()
			return
		}
		endSpan(span, err)
	}()
	msg := &nats.Msg{Subject: e.Subject, Header: nats.Header(e.Header()), Data: e.Data}
	traceContext.Inject(ctx, carrier(msg.Header))
	settings := []jetstream.PublishOpt{jetstream.WithMsgID(e.ID), jetstream.WithRetryAttempts(0)}
	if p.once {
		settings = append(settings, jetstream.WithExpectLastSequencePerSubject(0))
	}
	ack, err = b.publish(ctx, msg, settings)
	if err == nil && p.once && ack.Duplicate {
		// Message ids are unique in the stream only by custom: this one may
		// have been used up on another subject. The subject itself decides.
		msg.Header.Del(jetstream.MsgIDHeader)
		ack, err = b.publish(ctx, msg, settings[1:])
	}
	if err != nil {
		return ack, fmt.Errorf("publishing %s on %s: %w", e.ID, e.Subject, err)
	}
	return ack, nil
}

func (b *Bus) publish(ctx context.Context, msg *nats.Msg, settings []jetstream.PublishOpt) (Ack, error) {
	all, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	for try := 1; ; try++ {
		got, err := b.publishOnce(all, msg, settings)
		if err == nil {
			return Ack{got.Stream, got.Sequence, got.Duplicate}, nil
		}
		err = publishError(err)
		if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrFull) {
			return Ack{}, err
		}
		// The server does not answer what it refuses. A new login may be
		// allowed more, so this too is an outage and not the event's fault.
		if denied := b.denial(); denied != nil && strings.Contains(denied.Error(), `"`+msg.Subject+`"`) {
			return Ack{}, Unavailable(denied)
		}
		select {
		case <-time.After(backoff(try, 50*time.Millisecond, time.Second)):
		case <-all.Done():
			if ctx.Err() != nil {
				err = errors.Join(err, ctx.Err())
			}
			return Ack{}, err
		}
	}
}

func (b *Bus) publishOnce(ctx context.Context, msg *nats.Msg, settings []jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ctx, end := b.undenied(ctx)
	defer end()
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	return b.js.PublishMsg(ctx, msg, settings...)
}

// publishError gives an error of the server or client its kind.
func publishError(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) || errors.Is(err, nats.ErrBadHeaderMsg) {
			return err
		}
		return Unavailable(err) // time-out, no responders, not connected
	}
	switch {
	case api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return as(ErrExists, err)
	case api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant, api.ErrorCode == codeDuplicateInProcess:
		// A cluster is about to store somebody's message, or an earlier try
		// of ours, and may yet fail to. Nothing exists before it has.
		return Unavailable(err)
	case api.ErrorCode == codeStoreFailed && (strings.Contains(api.Description, "maximum bytes exceeded") ||
		strings.Contains(api.Description, "maximum messages exceeded")), api.ErrorCode == codeStorageExceeded:
		return as(ErrFull, Unavailable(err))
	case api.Code >= 500:
		return Unavailable(err)
	}
	return err
}

// Error codes of the server that the client library does not name.
const (
	codeStorageExceeded = 10047 // the account's or server's store
	codeStoreFailed     = 10077 // the description says why

	codeDuplicateInProcess = 10158
)

// backoff is how long to wait after try number n, counted from 1: a random
// time ("full jitter") of up to base doubled n-1 times, and never none, as
// the server takes no delay to mean at once.
func backoff(n int, base, most time.Duration) time.Duration {
	limit := most
	if shift := min(max(n, 1)-1, 20); base<<shift < most {
		limit = base << shift
	}
	return limit/10 + rand.N(limit-limit/10)
}
