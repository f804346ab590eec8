package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"strings"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/digest"
)

// The log is a row of segments audit/log/<index of first entry>.jsonl, each
// created once and never changed. Creating a segment is what commits its
// entries: its name follows from everything before it and the store lets one
// writer create it, so any number of replicas may try and none can fork the
// log. audit/head.json only saves reading everything at start.
const (
	segmentPrefix = "audit/log/"
	segmentSuffix = ".jsonl"
	headKey       = "audit/head.json"
)

func segmentKey(first uint64) string {
	return fmt.Sprintf("%s%020d%s", segmentPrefix, first, segmentSuffix)
}

// Head is where the log ends.
type Head struct {
	Size      uint64            `json:"size"`      // entries
	Chain     digest.Digest     `json:"chain"`     // SHA-256 of the last line
	Positions map[string]uint64 `json:"positions"` // last sequence recorded of each stream
}

// errMoved says that another replica has appended meanwhile.
var errMoved = errors.New("another replica appended to the log")

// Log appends to the log in a store. It has one user at a time.
type Log struct {
	store blob.Store
	head  Head
}

// OpenLog finds the end of the log.
func OpenLog(ctx context.Context, store blob.Store) (*Log, error) {
	l := &Log{store: store, head: Head{Chain: origin, Positions: map[string]uint64{}}}
	saved, err := readHead(ctx, store)
	if err != nil {
		return nil, err
	}
	if saved != nil {
		l.head = *saved
	}
	if err := l.reload(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

func readHead(ctx context.Context, store blob.Store) (*Head, error) {
	o, err := store.Open(ctx, headKey)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer o.Close()
	var h Head
	if err := json.NewDecoder(io.LimitReader(o, blob.MaxReplace)).Decode(&h); err != nil {
		return nil, fmt.Errorf("read %s: %w", headKey, err)
	}
	if h.Positions == nil {
		h.Positions = map[string]uint64{}
	}
	return &h, nil
}

// Head is where the log ends, as far as this replica knows.
func (l *Log) Head() Head {
	h := l.head
	h.Positions = maps.Clone(h.Positions)
	return h
}

// reload reads on from the head to the end of the log.
func (l *Log) reload(ctx context.Context) error {
	after := ""
	if l.head.Size > 0 {
		after = segmentKey(l.head.Size - 1)
	}
	for info, err := range l.store.List(ctx, segmentPrefix, after) {
		if err != nil {
			return fmt.Errorf("list the log: %w", err)
		}
		if info.Key < segmentKey(l.head.Size) {
			continue
		}
		if info.Key != segmentKey(l.head.Size) {
			return fmt.Errorf("the log has %s, but entries from %d on are missing: run assize audit verify", info.Key, l.head.Size)
		}
		for line, err := range lines(ctx, l.store, info.Key) {
			if err != nil {
				return err
			}
			if err := l.head.extend(line); err != nil {
				return fmt.Errorf("%s: %w: run assize audit verify", info.Key, err)
			}
		}
	}
	return nil
}

// extend checks that line continues the log and moves the head behind it.
func (h *Head) extend(line []byte) error {
	e, err := parseLine(line)
	if err != nil {
		return fmt.Errorf("entry %d: %w", h.Size, err)
	}
	if e.Index != h.Size {
		return fmt.Errorf("entry %d: says it is entry %d", h.Size, e.Index)
	}
	if e.Previous != h.Chain {
		return fmt.Errorf("entry %d: names %s as its predecessor, which has %s", e.Index, e.Previous, h.Chain)
	}
	if last := h.Positions[e.Stream]; e.Sequence <= last || (e.Type != TypeGap && e.Sequence != last+1) {
		return fmt.Errorf("entry %d: sequence %d of %s after %d", e.Index, e.Sequence, e.Stream, last)
	}
	h.Size++
	h.Chain = digest.Of(line)
	h.Positions[e.Stream] = e.Sequence
	return nil
}

// Append records messages that follow the head in their streams, all of them
// or none. Those recorded before are skipped. errMoved means that the head
// has moved and the caller should append the same messages again.
func (l *Log) Append(ctx context.Context, messages []*bus.Message) error {
	next := l.Head()
	var segment bytes.Buffer
	for _, m := range messages {
		if m.Sequence <= next.Positions[m.Stream] {
			continue
		}
		entries := []*Entry{entryOf(m)}
		if missing := next.Positions[m.Stream] + 1; m.Sequence > missing {
			entries = []*Entry{gap(m, missing), entries[0]}
		}
		for _, e := range entries {
			e.Index, e.Previous = next.Size, next.Chain
			line, err := e.line()
			if err != nil {
				return err
			}
			if err := next.extend(line); err != nil {
				return err
			}
			segment.Write(line)
			segment.WriteByte('\n')
		}
		if entries[len(entries)-1].Data == nil && len(m.Data) > 0 {
			if _, err := blob.PutDocument(ctx, l.store, m.Data); err != nil {
				return fmt.Errorf("store the data of %s: %w", m.Subject, err)
			}
		}
	}
	if segment.Len() == 0 {
		return nil
	}
	err := l.store.Create(ctx, segmentKey(l.head.Size), bytes.NewReader(segment.Bytes()), int64(segment.Len()))
	if errors.Is(err, blob.ErrExists) {
		if err := l.reload(ctx); err != nil {
			return err
		}
		return errMoved
	}
	if err != nil {
		return fmt.Errorf("append to the log: %w", err)
	}
	l.head = next
	return nil
}

// SaveHead leaves a note where the log ends: a later start reads from there,
// and Verify sees when the log has become shorter.
func (l *Log) SaveHead(ctx context.Context) error {
	saved, err := readHead(ctx, l.store)
	if err != nil {
		return err
	}
	if saved != nil && saved.Size >= l.head.Size {
		return nil // a replica that is further wrote it
	}
	b, err := json.Marshal(l.head)
	if err != nil {
		return err
	}
	return l.store.Replace(ctx, headKey, b)
}

func entryOf(m *bus.Message) *Entry {
	e := &Entry{
		Stream: m.Stream, Sequence: m.Sequence, Time: m.Time.UTC(), Subject: m.Subject,
		Type: "malformed", Digest: digest.Of(m.Data),
	}
	if m.Event != nil {
		e.Type, e.ID, e.Source = string(m.Event.Type), m.Event.ID, m.Event.Source
	}
	if inlineable(m.Data) {
		e.Data = m.Data
	}
	return e
}

func gap(m *bus.Message, from uint64) *Entry {
	data := fmt.Appendf(nil, `{"from":%d,"to":%d}`, from, m.Sequence-1)
	return &Entry{
		Stream: m.Stream, Sequence: m.Sequence - 1, Time: m.Time.UTC(), Subject: m.Subject,
		Type: TypeGap, Digest: digest.Of(data), Data: data,
	}
}

// lines yields the lines of a segment without their newlines; each is valid
// until the next.
func lines(ctx context.Context, store blob.Store, key string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		o, err := store.Open(ctx, key)
		if err != nil {
			yield(nil, err)
			return
		}
		defer o.Close()
		r := bufio.NewReaderSize(o, maxLine)
		for {
			line, err := r.ReadSlice('\n')
			if err == io.EOF && len(line) == 0 {
				return
			}
			if err == io.EOF {
				err = errors.New("the last line is cut off")
			}
			if err != nil {
				yield(nil, fmt.Errorf("%s: %w", key, err))
				return
			}
			if !yield(line[:len(line)-1], nil) {
				return
			}
		}
	}
}

// Entries yields the log from its beginning. A line that is no entry ends it
// with an error; Verify says more.
func Entries(ctx context.Context, store blob.Store) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		for info, err := range store.List(ctx, segmentPrefix, "") {
			if err != nil {
				yield(nil, fmt.Errorf("list the log: %w", err))
				return
			}
			if !strings.HasSuffix(info.Key, segmentSuffix) {
				continue
			}
			for line, err := range lines(ctx, store, info.Key) {
				var e *Entry
				if err == nil {
					e, err = parseLine(line)
				}
				if err != nil {
					yield(nil, fmt.Errorf("%s: %w", info.Key, err))
					return
				}
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}
