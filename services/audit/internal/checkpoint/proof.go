package checkpoint

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Proof shows that an entry is in a log, to whoever knows the log's key
// (c2sp.org/tlog-proof@v1).
type Proof struct {
	Index      uint64
	Entry      []byte // the entry itself, as the format's extra data; nil if it is not there
	Path       tlog.RecordProof
	Checkpoint []byte // signed
}

const (
	proofHeader = "c2sp.org/tlog-proof@v1\n"

	// MaxProof bounds a proof, in bytes.
	MaxProof = 256 << 10
)

// Marshal writes the proof in its format.
func (p *Proof) Marshal() []byte {
	var b bytes.Buffer
	b.WriteString(proofHeader)
	if p.Entry != nil {
		fmt.Fprintf(&b, "extra %s\n", base64.StdEncoding.EncodeToString(p.Entry))
	}
	fmt.Fprintf(&b, "index %d\n", p.Index)
	for _, h := range p.Path {
		fmt.Fprintf(&b, "%s\n", base64.StdEncoding.EncodeToString(h[:]))
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint)
	return b.Bytes()
}

// ParseProof reads a proof.
func ParseProof(b []byte) (*Proof, error) {
	bad := func(format string, args ...any) (*Proof, error) {
		return nil, fmt.Errorf("%w proof: "+format, append([]any{ErrMalformed}, args...)...)
	}
	if len(b) > MaxProof {
		return bad("%d bytes, at most %d", len(b), MaxProof)
	}
	rest, ok := strings.CutPrefix(string(b), proofHeader)
	if !ok {
		return bad("its first line is not %q", strings.TrimSpace(proofHeader))
	}
	head, signed, ok := strings.Cut(rest, "\n\n")
	if !ok {
		return bad("it has no checkpoint")
	}
	p := &Proof{Checkpoint: []byte(signed)}
	lines := strings.Split(head, "\n")
	if extra, ok := strings.CutPrefix(lines[0], "extra "); ok {
		entry, err := unbase64(extra)
		if err != nil {
			return bad("its extra data is not base64")
		}
		p.Entry, lines = append([]byte{}, entry...), lines[1:]
	}
	if len(lines) == 0 || len(lines) > 1+63 {
		return bad("it has %d lines", len(lines))
	}
	index, ok := strings.CutPrefix(lines[0], "index ")
	n, err := strconv.ParseInt(index, 10, 64)
	if !ok || err != nil || n < 0 || strconv.FormatInt(n, 10) != index {
		return bad("%.60q is no index", lines[0])
	}
	p.Index = uint64(n)
	for _, line := range lines[1:] {
		var h tlog.Hash
		b, err := unbase64(line)
		if err != nil || len(b) != len(h) {
			return bad("%.80q is no hash", line)
		}
		copy(h[:], b)
		p.Path = append(p.Path, h)
	}
	return p, nil
}

// Verify checks that entry is in the log at the proof's index, by a checkpoint
// that the policy accepts.
func (p *Proof) Verify(policy *Policy, entry []byte) (*Signed, error) {
	s, err := policy.Open(p.Checkpoint)
	if err != nil {
		return nil, err
	}
	if p.Index >= s.Size {
		return nil, fmt.Errorf("the proof is about entry %d, but its checkpoint is of %d entries", p.Index, s.Size)
	}
	if err := tlog.CheckRecord(p.Path, int64(s.Size), s.Root, int64(p.Index), tlog.RecordHash(entry)); err != nil {
		return nil, fmt.Errorf("the proof does not lead from the entry to the checkpoint: %w", err)
	}
	return s, nil
}
