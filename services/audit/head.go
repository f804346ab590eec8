package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
)

// Head is where the log ends.
type Head struct {
	Size      uint64               `json:"size"`      // entries
	Chain     digest.Digest        `json:"chain"`     // SHA-256 of the last line
	Segment   uint64               `json:"segment"`   // first entry of the last segment
	Positions map[string]uint64    `json:"positions"` // last sequence recorded of each stream
	Times     map[string]time.Time `json:"times"`     // when the stream stored that one
}

func emptyHead() Head {
	return Head{Chain: origin, Positions: map[string]uint64{}, Times: map[string]time.Time{}}
}

func (h Head) clone() Head {
	h.Positions, h.Times = maps.Clone(h.Positions), maps.Clone(h.Times)
	return h
}

// extend checks that e continues the log, and moves the head behind it; sum is
// the digest of its line. After an error the head is where it was.
func (h *Head) extend(e *Entry, sum digest.Digest) error {
	last := h.Positions[e.Stream]
	switch {
	case e.Index != h.Size:
		return fmt.Errorf("entry %d: says it is entry %d", h.Size, e.Index)
	case e.Previous != h.Chain:
		return fmt.Errorf("entry %d: names %s as its predecessor, which has %s: one of the two was changed", e.Index, e.Previous, h.Chain)
	case !slices.Contains(recorded, e.Stream):
		return fmt.Errorf("entry %d: %.80q is no stream that is recorded", e.Index, e.Stream)
	case e.Sequence <= last || (e.Type != TypeGap && e.Sequence != last+1):
		return fmt.Errorf("entry %d: sequence %d of %s after %d", e.Index, e.Sequence, e.Stream, last)
	case e.Type == TypeGap && e.Data != gapData(last+1, e.Sequence):
		return fmt.Errorf("entry %d: the hole in %s is not the one from %d to %d", e.Index, e.Stream, last+1, e.Sequence)
	}
	h.Size++
	h.Chain = sum
	h.Positions[e.Stream], h.Times[e.Stream] = e.Sequence, e.Time
	return nil
}

// readHead is the saved head; nil if there is none. It is damage if it is
// not what SaveHead writes: who has lost trust in it verifies the log and
// deletes it.
func readHead(ctx context.Context, store blob.Store) (*Head, error) {
	o, err := store.Open(ctx, headKey)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer o.Close()
	saved, err := io.ReadAll(io.LimitReader(o, blob.MaxReplace+1))
	if err != nil {
		return nil, err
	}
	var h Head
	if err := json.Unmarshal(saved, &h); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, headKey, err)
	}
	if again, err := json.Marshal(h); err != nil || !bytes.Equal(again, saved) {
		return nil, fmt.Errorf("%w: %s is not in the canonical form", ErrDamaged, headKey)
	}
	if h.Size == 0 || h.Segment >= h.Size || h.Positions == nil || h.Times == nil {
		return nil, fmt.Errorf("%w: %s does not say where a log ends", ErrDamaged, headKey)
	}
	return &h, nil
}

// SaveHead leaves a note where the log ends: a later start reads from there,
// and Verify sees when the log has become shorter. Of replicas that save at
// once a slower one may win; the next save mends that.
func (l *Log) SaveHead(ctx context.Context) error {
	saved, err := readHead(ctx, l.store)
	if err != nil {
		return err
	}
	if l.head.Size == 0 || saved != nil && saved.Size >= l.head.Size {
		return nil // a replica that is further wrote it
	}
	b, err := json.Marshal(l.head)
	if err != nil {
		return fmt.Errorf("encode %s: %w", headKey, err)
	}
	return l.store.Replace(ctx, headKey, b)
}
