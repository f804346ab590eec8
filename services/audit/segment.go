package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"assize.dev/shared/blob"
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

// maxSegment is how many entries a segment has at most: each message may come
// with a hole before it.
const maxSegment = 8192

// ErrDamaged means that what the store holds is not what was written there.
var ErrDamaged = errors.New("the audit log is damaged, run assize audit verify")

func segmentKey(first uint64) string {
	return fmt.Sprintf("%s%020d%s", segmentPrefix, first, segmentSuffix)
}

// parseSegmentKey is the first entry of the segment under key.
func parseSegmentKey(key string) (first uint64, ok bool) {
	digits := strings.TrimSuffix(strings.TrimPrefix(key, segmentPrefix), segmentSuffix)
	first, err := strconv.ParseUint(digits, 10, 64)
	return first, err == nil && key == segmentKey(first)
}

// walk calls visit with the segments in order, from the one that begins with
// entry next on. visit says which entry follows; it need not be consistent.
// Objects that are out of order go to stray instead, which says where to go
// on: at the object itself if that is where it begins.
func walk(ctx context.Context, store blob.Store, next uint64, visit func(key string) (uint64, error), stray func(key string, next uint64) (uint64, error)) error {
	after := ""
	if next > 0 {
		after = segmentKey(next - 1)
	}
	for info, err := range store.List(ctx, segmentPrefix, after) {
		if err != nil {
			return fmt.Errorf("list the log: %w", err)
		}
		// A listing may miss what was created while it ran. But a segment is
		// created after the one before it, so that one can be opened.
		for info.Key > segmentKey(next) {
			following, err := visit(segmentKey(next))
			if errors.Is(err, blob.ErrNotFound) {
				break
			}
			if err != nil {
				return err
			}
			if following <= next {
				break
			}
			next = following
		}
		if info.Key != segmentKey(next) {
			if next, err = stray(info.Key, next); err != nil {
				return err
			}
		}
		if info.Key == segmentKey(next) {
			if next, err = visit(info.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// strayIsDamage is for walks that do not go on over damage.
func strayIsDamage(key string, next uint64) (uint64, error) {
	return 0, fmt.Errorf("%w: there is %s, but not entry %d", ErrDamaged, key, next)
}

// lines yields the lines of a segment without their newlines; each is valid
// until the next. ErrDamaged tells that the segment is wrong from other
// errors, which are about reading it.
func lines(ctx context.Context, store blob.Store, key string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		o, err := store.Open(ctx, key)
		if err != nil {
			yield(nil, err)
			return
		}
		defer o.Close()
		r := bufio.NewReaderSize(o, int(min(o.Size()+1, maxLine+1)))
		for n := 0; ; n++ {
			line, err := r.ReadSlice('\n')
			if err == io.EOF && len(line) == 0 && n > 0 {
				return
			}
			if err == io.EOF {
				err = fmt.Errorf("%w: its end is cut off", ErrDamaged)
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				err = fmt.Errorf("%w: a line is longer than %d bytes", ErrDamaged, maxLine)
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

// Entries yields the log from an entry on that begins a segment: 0, or what
// followed the last one of an earlier walk. What is no entry, or not the next
// one, ends it with ErrDamaged; Verify says more.
func Entries(ctx context.Context, store blob.Store, from uint64) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		errEnough := errors.New("enough")
		next := from
		err := walk(ctx, store, next, func(key string) (uint64, error) {
			for line, err := range lines(ctx, store, key) {
				if err != nil {
					return next, err
				}
				e, err := ParseLine(line)
				if err == nil && e.Index != next {
					err = fmt.Errorf("says it is entry %d", e.Index)
				}
				if err != nil {
					return next, fmt.Errorf("%w: %s: entry %d: %w", ErrDamaged, key, next, err)
				}
				next++
				if !yield(e, nil) {
					return next, errEnough
				}
			}
			return next, nil
		}, strayIsDamage)
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}
