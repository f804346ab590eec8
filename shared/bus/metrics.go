package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"assize.dev/shared/event"
)

type metrics struct {
	sent, handled, failed, dead metric.Int64Counter
	duration                    metric.Float64Histogram
}

func newMetrics() *metrics {
	m := otel.Meter(scope)
	counter := func(name, what string) metric.Int64Counter {
		// An instrument is usable, if silent, even with an error.
		c, _ := m.Int64Counter(name, metric.WithDescription(what), metric.WithUnit("{message}"))
		return c
	}
	duration, _ := m.Float64Histogram("messaging.process.duration",
		metric.WithDescription("time a handler took"), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900))
	return &metrics{
		sent:     counter("messaging.client.sent.messages", "events published"),
		handled:  counter("messaging.client.consumed.messages", "messages handled"),
		failed:   counter("assize.bus.failures", "times a handler failed"),
		dead:     counter("assize.bus.dead_letters", "messages given up on"),
		duration: duration,
	}
}

func (m *metrics) published(ctx context.Context, e *event.Event, err error) {
	m.sent.Add(ctx, 1, attributes(err, attrSystem, attrDestination.String(template(e.Subject))))
}

func (m *metrics) processed(ctx context.Context, durable string, took time.Duration, err error) {
	attrs := attributes(err, attrSystem, attrSubscription.String(durable))
	m.handled.Add(ctx, 1, attrs)
	m.duration.Record(ctx, took.Seconds(), attrs)
	if err != nil {
		m.failed.Add(ctx, 1, attrs)
	}
}

func (m *metrics) buried(ctx context.Context, c Consumer) {
	m.dead.Add(ctx, 1, metric.WithAttributes(attrSubscription.String(c.Durable), attribute.String("assize.service", c.Service)))
}

// attributes are attrs and, of an error, its kind as one of a few words.
func attributes(err error, attrs ...attribute.KeyValue) metric.MeasurementOption {
	word := "failed"
	switch {
	case err == nil:
		return metric.WithAttributes(attrs...)
	case errors.Is(err, ErrFull):
		word = "full"
	case errors.Is(err, ErrUnavailable):
		word = "unavailable"
	case errors.Is(err, ErrExists):
		word = "exists"
	case errors.Is(err, ErrPermanent):
		word = "permanent"
	}
	return metric.WithAttributes(append(attrs, attribute.String("error.type", word))...)
}

// Lag is how far a durable is behind; Durable is empty for the stream itself.
type Lag struct {
	Stream, Durable string
	Pending         uint64 // not yet handed out
	InFlight        int    // handed out, not yet answered
	Redelivered     int    // of those, handed out more than once
	Messages, Bytes uint64 // of the stream
	MaxBytes        int64  // of the stream
}

// Lag looks at every stream and durable there is.
func (b *Bus) Lag(ctx context.Context) ([]Lag, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	var list []Lag
	for _, want := range streams(ProvisionOptions{}) {
		s, err := b.js.Stream(ctx, want.Name)
		if err != nil {
			return list, b.explain("looking at stream "+want.Name, err)
		}
		state := s.CachedInfo().State
		list = append(list, Lag{Stream: want.Name, Messages: state.Msgs, Bytes: state.Bytes, MaxBytes: s.CachedInfo().Config.MaxBytes})
		infos, err := b.consumers(ctx, s)
		if err != nil {
			return list, err
		}
		for _, c := range infos {
			if c.Config.Durable != "" {
				list = append(list, Lag{Stream: want.Name, Durable: c.Name, Pending: c.NumPending,
					InFlight: c.NumAckPending, Redelivered: c.NumRedelivered})
			}
		}
	}
	return list, nil
}

// consumers lists the consumers of a stream, followers included.
func (b *Bus) consumers(ctx context.Context, s jetstream.Stream) ([]*jetstream.ConsumerInfo, error) {
	var infos []*jetstream.ConsumerInfo
	list := s.ListConsumers(ctx)
	for c := range list.Info() {
		infos = append(infos, c)
	}
	if err := list.Err(); err != nil {
		return nil, b.explain("listing the consumers of "+s.CachedInfo().Config.Name, err)
	}
	slices.SortFunc(infos, func(a, b *jetstream.ConsumerInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// ObserveLag reports Lag as gauges whenever metrics are collected, until
// stop is called. One process of an installation is enough. Needs the rights
// to see streams and list consumers.
func (b *Bus) ObserveLag() (stop func() error, err error) {
	m := otel.Meter(scope)
	gauge := func(name, what, unit string) metric.Int64ObservableGauge {
		g, gerr := m.Int64ObservableGauge(name, metric.WithDescription(what), metric.WithUnit(unit))
		err = errors.Join(err, gerr)
		return g
	}
	pending := gauge("assize.bus.consumer.pending", "messages not yet handed out", "{message}")
	inFlight := gauge("assize.bus.consumer.in_flight", "messages handed out and unanswered", "{message}")
	redelivered := gauge("assize.bus.consumer.redelivered", "messages in flight not for the first time", "{message}")
	bytes := gauge("assize.bus.stream.bytes", "size of the stream", "By")
	limit := gauge("assize.bus.stream.limit", "size at which the stream takes nothing more", "By")
	if err != nil {
		return nil, fmt.Errorf("observing lag: %w", err)
	}
	reg, err := m.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		list, err := b.Lag(ctx)
		for _, l := range list {
			if l.Durable == "" {
				at := metric.WithAttributes(attribute.String("assize.stream", l.Stream))
				o.ObserveInt64(bytes, int64(l.Bytes), at)
				o.ObserveInt64(limit, l.MaxBytes, at)
				continue
			}
			at := metric.WithAttributes(attribute.String("assize.stream", l.Stream), attrSubscription.String(l.Durable))
			o.ObserveInt64(pending, int64(l.Pending), at)
			o.ObserveInt64(inFlight, int64(l.InFlight), at)
			o.ObserveInt64(redelivered, int64(l.Redelivered), at)
		}
		return err
	}, pending, inFlight, redelivered, bytes, limit)
	if err != nil {
		return nil, fmt.Errorf("observing lag: %w", err)
	}
	return reg.Unregister, nil
}
