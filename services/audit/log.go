package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
)

// errMoved says that another replica has appended meanwhile.
var errMoved = errors.New("another replica appended to the log")

// Log appends to the log in a store. It has one user at a time.
type Log struct {
	store blob.Store
	head  Head
	crash func(point string) // for tests; nil
}

func (l *Log) at(point string) {
	if l.crash != nil {
		l.crash(point)
	}
}

// OpenLog finds the end of the log. ErrDamaged if that is not the log that
// the saved head is of: appending to it would hide what happened.
func OpenLog(ctx context.Context, store blob.Store) (*Log, error) {
	l := &Log{store: store, head: emptyHead()}
	saved, err := readHead(ctx, store)
	if err != nil {
		return nil, err
	}
	if saved != nil {
		if err := isThere(ctx, store, saved); err != nil {
			return nil, err
		}
		l.head = *saved
	}
	if err := walk(ctx, store, l.head.Size, func(key string) (uint64, error) {
		err := l.read(ctx, key)
		return l.head.Size, err
	}, strayIsDamage); err != nil {
		return nil, err
	}
	return l, nil
}

// isThere checks that the last segment h knows of ends where h does.
func isThere(ctx context.Context, store blob.Store, h *Head) error {
	size, chain := h.Segment, digest.Digest("")
	for line, err := range lines(ctx, store, segmentKey(h.Segment)) {
		if errors.Is(err, blob.ErrNotFound) {
			return fmt.Errorf("%w: %s is missing, though the log had %d entries when its head was saved", ErrDamaged, segmentKey(h.Segment), h.Size)
		}
		if err != nil {
			return err
		}
		size, chain = size+1, digest.Of(line)
	}
	if size != h.Size || chain != h.Chain {
		return fmt.Errorf("%w: %s ends with entry %d, %s; when the log's head was saved that was entry %d, %s",
			ErrDamaged, segmentKey(h.Segment), size-1, chain, h.Size-1, h.Chain)
	}
	return nil
}

// read moves the head over the segment that begins there.
func (l *Log) read(ctx context.Context, key string) error {
	next := l.head.clone()
	next.Segment = next.Size
	for line, err := range lines(ctx, l.store, key) {
		if err != nil {
			return err
		}
		e, err := ParseLine(line)
		if err == nil {
			err = next.extend(e, digest.Of(line))
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrDamaged, key, err)
		}
	}
	l.head = next
	return nil
}

// Head is where the log ends, as far as this replica knows.
func (l *Log) Head() Head { return l.head.clone() }

// Append records messages that follow the head in their streams, all of them
// or none. Those recorded before are skipped. errMoved means that the head
// has moved and the caller should append the same messages again. After any
// other error they may or may not be recorded; OpenLog tells.
func (l *Log) Append(ctx context.Context, messages []*bus.Message) error {
	next := l.head.clone()
	next.Segment = next.Size
	segment := make([]byte, 0, sizeOf(messages))
	entries := entriesOf(messages)
	for i, m := range messages {
		if m.Sequence <= next.Positions[m.Stream] {
			continue
		}
		if first := next.Positions[m.Stream] + 1; first < m.Sequence {
			var err error
			if segment, err = next.add(segment, gapBefore(m, first)); err != nil {
				return err
			}
		}
		e := entries[i]
		if e.Data == "" && len(m.Data) > 0 {
			if _, err := blob.PutDocument(ctx, l.store, m.Data); err != nil {
				return fmt.Errorf("store the data of %s %d: %w", m.Stream, m.Sequence, err)
			}
		}
		var err error
		if segment, err = next.add(segment, e); err != nil {
			return err
		}
	}
	if len(segment) == 0 {
		return nil
	}
	key := segmentKey(next.Segment)
	l.at("segment to be stored")
	err := l.store.Create(ctx, key, bytes.NewReader(segment), int64(len(segment)))
	if errors.Is(err, blob.ErrExists) {
		// Perhaps it is our own and we did not hear the answer: what is read
		// from it then is skipped the next time.
		if err := l.read(ctx, key); err != nil {
			return err
		}
		return errMoved
	}
	if err != nil {
		return fmt.Errorf("append to the log: %w", err)
	}
	l.at("segment stored")
	l.head = next
	return nil
}

// entriesOf makes the entries, but for their places, on all processors.
func entriesOf(messages []*bus.Message) []*Entry {
	entries := make([]*Entry, len(messages))
	const each = 128
	var working sync.WaitGroup
	for from := 0; from < len(messages); from += each {
		work := func() {
			for i := from; i < min(from+each, len(messages)); i++ {
				entries[i] = entryOf(messages[i])
			}
		}
		if len(messages) <= each {
			work()
			continue
		}
		working.Go(work)
	}
	working.Wait()
	return entries
}

// sizeOf is about what the lines of messages take.
func sizeOf(messages []*bus.Message) (n int) {
	for _, m := range messages {
		if n += 800; len(m.Data) <= MaxInline {
			n += len(m.Data) + len(m.Data)/4
		}
	}
	return n
}

// add gives e its place and appends its line.
func (h *Head) add(segment []byte, e *Entry) ([]byte, error) {
	e.Index, e.Previous = h.Size, h.Chain
	start := len(segment)
	segment, err := e.appendLine(segment)
	if err == nil {
		err = h.extend(e, digest.Of(segment[start:]))
	}
	if err != nil {
		return segment[:start], fmt.Errorf("record %s %d: %w", e.Stream, e.Sequence, err)
	}
	return append(segment, '\n'), nil
}
