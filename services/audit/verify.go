package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"assize.dev/services/audit/internal/checkpoint"
	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
)

// Report is what Verify found.
type Report struct {
	Entries   uint64            `json:"entries"`
	Segments  int               `json:"segments,omitempty"`
	Chain     digest.Digest     `json:"chain"`     // SHA-256 of the last line
	Positions map[string]uint64 `json:"positions"` // last sequence of each stream
	// Checkpoint is the published one; nil if there is none.
	Checkpoint *CheckpointReport `json:"checkpoint,omitempty"`
	// Consistent is the size of the log when it was verified last, of which
	// this one is a continuation; 0 if that was not asked.
	Consistent uint64    `json:"consistent,omitempty"`
	Problems   []Problem `json:"problems"`
}

// CheckpointReport is what is known of a checkpoint.
type CheckpointReport struct {
	Origin   string                `json:"origin"`
	Size     uint64                `json:"size"`
	Root     []byte                `json:"root"`
	Verified bool                  `json:"verified"` // its signatures, by a policy
	Cosigned []checkpoint.Cosigned `json:"cosigned,omitempty"`
	Signed   []byte                `json:"-"` // as it is published
}

// OK reports whether the log is whole.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// Problem is a place where the log does not hold.
type Problem struct {
	Segment string `json:"segment"`
	Entry   uint64 `json:"entry"` // index of the entry that is wrong or missing, or that shows that the one before is
	Reason  string `json:"reason"`
}

// maxProblems are listed; a log with more is not worth reading further.
const maxProblems = 20

var errEnoughProblems = errors.New("more problems than are listed")

// Options of Verify.
type Options struct {
	// Policy says by whose signatures checkpoints count; with nil, signatures
	// are not looked at.
	Policy *checkpoint.Policy
	// Kept are signed checkpoints from elsewhere, which the log must
	// continue: the one that was verified last, or one that somebody else has.
	Kept     [][]byte
	Progress func(entries uint64)
}

// Verify reads the whole log in a store and checks every line, the chain, the
// order of every stream, that the documents are there which hold what is too
// large for a line, that the log has not changed or become shorter since its
// head was saved, and that tiles, bundles and all checkpoints there have been
// are those of these lines. It may run while the log is appended to.
//
// Entries after the checkpoint cannot be told from what somebody with access
// to the store would write there.
//
// The error is about reading the store; what is wrong with the log is in the
// report.
func Verify(ctx context.Context, store blob.Store, o Options) (*Report, error) {
	v := &verifier{store: store, head: emptyHead(), options: o, report: Report{Problems: []Problem{}}}
	read := func(ctx context.Context, path string, limit int64) ([]byte, error) {
		return fetch(ctx, store, path, limit)
	}
	var err error
	if v.tree, err = v.openTree(ctx, read); err != nil {
		return nil, err
	}
	if err := v.history(ctx); err != nil {
		return nil, err
	}
	if v.saved, err = readHead(ctx, store); errors.Is(err, ErrDamaged) {
		v.report.Problems = append(v.report.Problems, Problem{Segment: headKey, Reason: err.Error()})
	} else if err != nil {
		return nil, err
	}
	err = walk(ctx, store, 0, func(key string) (uint64, error) {
		err := v.segment(ctx, key)
		return v.head.Size, err
	}, v.stray)
	if err == nil && v.saved != nil && v.head.Size < v.saved.Size {
		err = v.add(segmentKey(v.head.Size), v.head.Size, fmt.Sprintf("the log ends here, but it had %d entries when its head was saved: its tail is cut off", v.saved.Size))
	}
	if err == nil {
		err = v.tree.end(ctx)
	}
	if err != nil && !errors.Is(err, errEnoughProblems) {
		return nil, err
	}
	v.report.Entries, v.report.Chain, v.report.Positions = v.head.Size, v.head.Chain, v.head.Positions
	return &v.report, nil
}

// verifier goes on over damage, so that one fault is reported once if possible.
type verifier struct {
	store   blob.Store
	options Options
	saved   *Head
	head    Head
	tree    *treeCheck
	report  Report

	// lost: the chain is broken here; the next entry is where it goes on.
	lost bool
	// unsure: after damage, the streams whose next entry says where they are.
	unsure map[string]bool
}

func (v *verifier) add(segment string, entry uint64, reason string) error {
	v.report.Problems = append(v.report.Problems, Problem{segment, entry, reason})
	if len(v.report.Problems) >= maxProblems {
		return errEnoughProblems
	}
	return nil
}

func (v *verifier) segment(ctx context.Context, key string) error {
	for line, err := range lines(ctx, v.store, key) {
		if errors.Is(err, ErrDamaged) {
			v.damaged()
			err = v.add(key, v.head.Size, err.Error())
			v.report.Segments++
			return err
		}
		if err != nil {
			return err
		}
		if err := v.line(ctx, key, examine(line)); err != nil {
			return err
		}
		if err := v.compare(key); err != nil {
			return err
		}
	}
	v.report.Segments++
	return nil
}

// examined is a line with all that can be said of it alone.
type examined struct {
	line  []byte
	entry *Entry
	err   error // why it is none
	sum   digest.Digest
	leaf  tlog.Hash
}

func examine(line []byte) examined {
	x := examined{line: line, sum: digest.Of(line), leaf: tlog.RecordHash(line)}
	x.entry, x.err = ParseLine(line)
	return x
}

func (v *verifier) line(ctx context.Context, key string, x examined) error {
	at := v.head.Size
	e, err := x.entry, x.err
	if err != nil {
		v.head.Size++
		v.damaged()
		return v.add(key, at, fmt.Sprintf("entry %d: %v", at, err))
	}
	if v.lost && e.Index >= at {
		v.lost = false
		v.head.Size, v.head.Chain = e.Index, e.Previous
		if e.Index > at {
			if err := v.add(key, at, fmt.Sprintf("entries %d to %d are missing", at, e.Index-1)); err != nil {
				return err
			}
		}
	}
	if v.unsure[e.Stream] && e.Sequence > 0 {
		delete(v.unsure, e.Stream)
		v.head.Positions[e.Stream] = e.Sequence - 1
		if e.Type == TypeGap { // its from is taken as it stands
			var from, to uint64
			if _, err := fmt.Sscanf(e.Data, `{"from":%d,"to":%d}`, &from, &to); err == nil && from > 0 && from <= e.Sequence {
				v.head.Positions[e.Stream] = from - 1
			}
		}
	}
	intact := e.Previous == v.head.Chain
	if err := v.head.extend(e, x.sum); err != nil {
		switch {
		case e.Index < at: // repeated, or moved here from further up
		case e.Index > at && !intact && e.Index < math.MaxUint64:
			v.head.Size = e.Index + 1
			v.damaged()
		default:
			v.head.Size++
			v.damaged()
		}
		return v.add(key, at, err.Error())
	}
	if v.options.Progress != nil && at%progressEvery == 0 {
		v.options.Progress(at)
	}
	if err := v.tree.line(ctx, x); err != nil {
		return err
	}
	return v.document(ctx, key, e)
}

const progressEvery = 10_000

// damaged: what the last line was does not tell what comes next.
func (v *verifier) damaged() {
	v.lost = true
	v.unsure = map[string]bool{}
	for _, stream := range recorded {
		v.unsure[stream] = true
	}
}

// document checks that the data which is not in the line can be read.
func (v *verifier) document(ctx context.Context, key string, e *Entry) error {
	if v.store == nil || e.Data != "" || e.Digest == origin {
		return nil // strangers have no documents
	}
	o, err := v.store.Open(ctx, blob.DocumentKey(e.Digest))
	if err == nil {
		_, err = io.Copy(io.Discard, o) // which compares the digest
		err = errors.Join(err, o.Close())
	}
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrCorrupt) {
		return v.add(key, e.Index, fmt.Sprintf("entry %d: its data: %v", e.Index, err))
	}
	return err
}

// compare holds the log against the saved head when it gets there.
func (v *verifier) compare(key string) error {
	s := v.saved
	if s == nil || v.head.Size != s.Size || v.lost {
		return nil
	}
	last := s.Size - 1
	if v.head.Chain != s.Chain {
		return v.add(key, last, fmt.Sprintf("entry %d: had %s when the log's head was saved: this entry was changed since, or all of the log", last, s.Chain))
	}
	sameTimes := maps.EqualFunc(v.head.Times, s.Times, func(a, b time.Time) bool { return a.Equal(b) })
	if !maps.Equal(v.head.Positions, s.Positions) || !sameTimes || segmentKey(s.Segment) != key {
		return v.add(headKey, last, "the saved head is not that of the log: it was changed")
	}
	return nil
}

// stray reports an object that does not follow, and goes on with it if it
// can be a later part of the log.
func (v *verifier) stray(key string, next uint64) (uint64, error) {
	first, ok := parseSegmentKey(key)
	if !ok || first < next {
		return next, v.add(key, next, "this object has no place in the log, where "+segmentKey(next)+" follows")
	}
	v.damaged()
	v.head.Size, v.lost = first, true
	return first, v.add(segmentKey(next), next, fmt.Sprintf("entries %d to %d are missing", next, first-1))
}
