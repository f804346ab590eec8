package audit

import (
	"context"
	"errors"
	"fmt"

	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
)

// Report is what Verify found.
type Report struct {
	Entries   uint64            `json:"entries"`
	Segments  int               `json:"segments"`
	Chain     digest.Digest     `json:"chain"`     // SHA-256 of the last line
	Positions map[string]uint64 `json:"positions"` // last sequence of each stream
	Problems  []Problem         `json:"problems"`
}

// OK reports whether the log is whole.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// Problem is a place where the log does not hold.
type Problem struct {
	Segment string `json:"segment"`
	Entry   uint64 `json:"entry"` // index of the entry that is wrong or missing
	Reason  string `json:"reason"`
}

// maxProblems are listed; a log with more is not worth reading further.
const maxProblems = 20

// Verify reads the whole log and checks every line, the chain, the order of
// every stream, and that the log is not shorter than it was. The error is
// about reading the store; what is wrong with the log is in the report.
func Verify(ctx context.Context, store blob.Store) (*Report, error) {
	head := Head{Chain: origin, Positions: map[string]uint64{}}
	r := &Report{Problems: []Problem{}}
	saved, err := readHead(ctx, store)
	if err != nil {
		return nil, err
	}
	for info, err := range store.List(ctx, segmentPrefix, "") {
		if err != nil {
			return nil, fmt.Errorf("list the log: %w", err)
		}
		r.Segments++
		if want := segmentKey(head.Size); info.Key != want {
			r.add(info.Key, head.Size, "this segment does not follow: "+want+" should")
			var first uint64
			if _, err := fmt.Sscanf(info.Key, segmentPrefix+"%d"+segmentSuffix, &first); err == nil {
				head.Size = first
			}
		}
		for line, err := range lines(ctx, store, info.Key) {
			if errors.Is(err, blob.ErrNotFound) || (err != nil && ctx.Err() != nil) {
				return nil, err
			}
			if err != nil {
				r.add(info.Key, head.Size, err.Error())
				break
			}
			if err := head.extend(line); err != nil {
				r.add(info.Key, head.Size, err.Error())
				head.resume(line)
			}
			if saved != nil && head.Size == saved.Size && head.Chain != saved.Chain {
				r.add(info.Key, head.Size-1, fmt.Sprintf("the log was rewritten: this entry had %s when the head was saved", saved.Chain))
			}
			if len(r.Problems) >= maxProblems {
				return r, nil
			}
		}
	}
	if saved != nil && head.Size < saved.Size {
		r.add(segmentKey(head.Size), head.Size, fmt.Sprintf("the log ends here, but it had %d entries when the head was saved: its tail is cut off", saved.Size))
	}
	r.Entries, r.Chain, r.Positions = head.Size, head.Chain, head.Positions
	return r, nil
}

func (r *Report) add(segment string, entry uint64, reason string) {
	r.Problems = append(r.Problems, Problem{segment, entry, reason})
}

// resume goes on behind a broken line, so that one fault is reported once.
func (h *Head) resume(line []byte) {
	h.Size++
	h.Chain = digest.Of(line)
	if e, err := parseLine(line); err == nil {
		h.Size = max(h.Size, e.Index+1)
		h.Positions[e.Stream] = max(h.Positions[e.Stream], e.Sequence)
	}
}
