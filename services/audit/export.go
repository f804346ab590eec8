package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"assize.dev/services/audit/internal/checkpoint"
	"assize.dev/services/audit/internal/tree"
)

// exportEnd is the last line of an export.
type exportEnd struct {
	Checkpoint string `json:"checkpoint"` // signed, of all lines above
}

// Export writes the lines of what is published, each the very bytes of the log,
// and after them the checkpoint that covers them as {"checkpoint":"…"}.
func Export(ctx context.Context, fetch Fetch, to io.Writer) (entries uint64, err error) {
	signed, c, err := present(ctx, fetch)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriter(to)
	for line, err := range tree.Entries(ctx, fetch, c.Size) {
		if err != nil {
			return entries, err
		}
		_, _ = w.Write(line) // Flush tells
		_ = w.WriteByte('\n')
		entries++
	}
	if err := json.NewEncoder(w).Encode(exportEnd{string(signed)}); err != nil {
		return entries, err
	}
	return entries, w.Flush()
}

// VerifyExport is Verify for what Export wrote.
func VerifyExport(ctx context.Context, from io.Reader, o Options) (*Report, error) {
	v := &verifier{head: emptyHead(), options: o, report: Report{Problems: []Problem{}}}
	v.tree = &treeCheck{v: v, marks: map[uint64][]mark{}}
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 64<<10), 2*checkpoint.MaxSigned+maxLine)
	var end *exportEnd
	err := v.kept(v.tree)
	for err == nil && lines.Scan() {
		if end != nil {
			err = v.add("export", v.head.Size, "lines follow the checkpoint")
			break
		}
		if bytes.HasPrefix(lines.Bytes(), []byte(`{"checkpoint":`)) {
			end = new(exportEnd)
			if json.Unmarshal(lines.Bytes(), end) != nil {
				err = v.add("export", v.head.Size, "the last line is no checkpoint")
			}
			continue
		}
		if err = ctx.Err(); err == nil {
			err = v.line(ctx, "export", examine(lines.Bytes()))
		}
	}
	if err == nil {
		err = lines.Err()
	}
	if errors.Is(err, bufio.ErrTooLong) {
		err = v.add("export", v.head.Size, "a line is too long")
	}
	if err == nil {
		err = v.exportEnd(end)
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

// exportEnd holds the checkpoint at the end against the lines before it.
func (v *verifier) exportEnd(end *exportEnd) error {
	if end == nil {
		return v.add("export", v.head.Size, "it does not end with a checkpoint: its tail is cut off")
	}
	c, err := v.open([]byte(end.Checkpoint))
	if err != nil {
		return v.add("export", v.head.Size, err.Error())
	}
	v.report.Checkpoint, v.tree.size = c, c.Size
	if v.tree.off() {
		return nil
	}
	if root := v.tree.tree.Root(); c.Size != v.head.Size || !bytes.Equal(c.Root, root[:]) {
		return v.add("export", v.head.Size, fmt.Sprintf("its checkpoint is of %d other entries", c.Size))
	}
	return nil
}
