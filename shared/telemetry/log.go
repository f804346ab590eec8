package telemetry

import (
	"context"
	"io"
	"log/slog"
	"slices"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/trace"
)

// stderrHandler writes text for people and JSON for everything else, and
// names the trace and span of the context in each line.
func stderrHandler(w io.Writer, terminal bool, level slog.Level) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if terminal {
		return traced{top: slog.NewTextHandler(w, options)}
	}
	return traced{top: slog.NewJSONHandler(w, options)}
}

// bridgeHandler sends records to OpenTelemetry, which takes trace and span
// from the context itself but knows nothing of our level.
func bridgeHandler(name string, loggers log.LoggerProvider, level slog.Level) slog.Handler {
	return levelled{otelslog.NewHandler(name, otelslog.WithLoggerProvider(loggers)), level}
}

// traced adds trace_id and span_id at the top of the record. The attributes
// of a record belong to the innermost open group, so everything since the
// first WithGroup is put off until the identifiers are in place.
type traced struct {
	top    slog.Handler
	scopes []func(slog.Handler) slog.Handler
}

func (h traced) Enabled(ctx context.Context, level slog.Level) bool { return h.top.Enabled(ctx, level) }

func (h traced) Handle(ctx context.Context, record slog.Record) error {
	target := h.top
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		target = target.WithAttrs([]slog.Attr{
			slog.String("trace_id", span.TraceID().String()),
			slog.String("span_id", span.SpanID().String()),
		})
	}
	for _, open := range h.scopes {
		target = open(target)
	}
	return target.Handle(ctx, record)
}

func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(h.scopes) == 0 {
		return traced{top: h.top.WithAttrs(attrs)}
	}
	return h.with(func(inner slog.Handler) slog.Handler { return inner.WithAttrs(attrs) })
}

func (h traced) WithGroup(name string) slog.Handler {
	if name == "" {
		return h // as slog.Handler asks
	}
	return h.with(func(inner slog.Handler) slog.Handler { return inner.WithGroup(name) })
}

func (h traced) with(scope func(slog.Handler) slog.Handler) slog.Handler {
	return traced{top: h.top, scopes: append(slices.Clip(h.scopes), scope)}
}

// levelled holds back records below a level.
type levelled struct {
	slog.Handler
	least slog.Level
}

func (h levelled) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.least && h.Handler.Enabled(ctx, level)
}

func (h levelled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return levelled{h.Handler.WithAttrs(attrs), h.least}
}

func (h levelled) WithGroup(name string) slog.Handler {
	return levelled{h.Handler.WithGroup(name), h.least}
}
