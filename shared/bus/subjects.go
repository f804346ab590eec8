package bus

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// Subjects lists, sorted, the subjects of a stream that match filter and have
// a message.
func (b *Bus) Subjects(ctx context.Context, stream, filter string) ([]string, error) {
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return nil, Unavailable(fmt.Errorf("stream %s: %w", stream, err))
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, Unavailable(fmt.Errorf("subjects of stream %s: %w", stream, err))
	}
	return slices.Sorted(maps.Keys(info.State.Subjects)), nil
}
