package bus

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"assize.dev/shared/event"
)

const scope = "assize.dev/shared/bus"

// Attribute names of OpenTelemetry's messaging conventions 1.43, which are
// still in development; "nats" is not among their systems yet. Ours, after
// them: run and digest have a value per artifact and must never label a metric.
var (
	attrSystem       = attribute.String("messaging.system", "nats")
	attrDestination  = attribute.Key("messaging.destination.template")
	attrSubscription = attribute.Key("messaging.destination.subscription.name")
	attrOperation    = attribute.Key("messaging.operation.type")
	attrMessageID    = attribute.Key("messaging.message.id")
	attrBodySize     = attribute.Key("messaging.message.body.size")
	attrAttempt      = attribute.Key("assize.attempt")
	attrSequence     = attribute.Key("assize.stream.sequence")
	attrRun          = attribute.Key("assize.run")
	attrRegistry     = attribute.Key("assize.registry")
	attrKind         = attribute.Key("assize.kind")
	attrDigest       = attribute.Key("assize.digest")
	attrDecision     = attribute.Key("assize.decision")
)

// traceContext is used whatever is configured globally, so that a trace
// never breaks at a service that exports nothing itself.
var traceContext propagation.TraceContext

// carrier keeps the case of header names: on NATS it counts, and everyone
// else looks for "traceparent", not for Go's "Traceparent".
type carrier nats.Header

func (c carrier) Get(key string) string {
	if v := c[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (c carrier) Set(key, value string) { c[key] = []string{value} }

func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	return keys
}

// template is a subject without its registry and run, so that its values are
// few: "assize.evidence.sbom".
func template(subject string) string {
	tokens := strings.SplitN(subject, ".", 4)
	if len(tokens) > 2 {
		switch tokens[1] {
		case "upload", "decision":
			tokens = tokens[:2]
		}
	}
	return strings.Join(tokens[:min(len(tokens), 3)], ".")
}

func (b *Bus) startPublish(ctx context.Context, e *event.Event) (context.Context, trace.Span) {
	return otel.Tracer(scope).Start(ctx, "publish "+template(e.Subject),
		trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(attrSystem, attrOperation.String("send"), attrDestination.String(template(e.Subject)),
			attrMessageID.String(e.ID), attrBodySize.Int(len(e.Data))))
}

// startProcess begins the span of handling m, child of the span that
// published it and linked to it.
func startProcess(ctx context.Context, durable string, m *Message) (context.Context, trace.Span) {
	ctx = traceContext.Extract(ctx, carrier(m.Header))
	return otel.Tracer(scope).Start(ctx, "process "+durable,
		trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithLinks(trace.LinkFromContext(ctx)),
		trace.WithAttributes(attrSystem, attrOperation.String("process"), attrDestination.String(template(m.Subject)),
			attrSubscription.String(durable), attrMessageID.String(m.Event.ID), attrBodySize.Int(len(m.Data)),
			attrAttempt.Int(m.Attempt), attrSequence.Int64(int64(m.Sequence))),
		trace.WithAttributes(about(m.Payload)...))
}

// about finds a span by what an operator has in hand: the run, the digest.
func about(p event.Payload) []attribute.KeyValue {
	switch p := p.(type) {
	case *event.Upload:
		return []attribute.KeyValue{attrRegistry.String(p.Registry)}
	case *event.Artifact:
		return []attribute.KeyValue{attrRun.String(p.Run), attrRegistry.String(p.Registry), attrDigest.String(string(p.Digest))}
	case *event.Evidence:
		return []attribute.KeyValue{attrRun.String(p.Run), attrRegistry.String(p.Registry), attrDigest.String(string(p.Artifact)), attrKind.String(string(p.Kind))}
	case *event.Decision:
		return []attribute.KeyValue{attrRun.String(p.Run), attrRegistry.String(p.Artifact.Registry), attrDigest.String(string(p.Artifact.Digest)), attrDecision.String(string(p.Decision))}
	}
	return nil
}

func endSpan(span trace.Span, err error) {
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
