package checkpoint

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Collector asks a policy's witnesses for cosignatures (c2sp.org/tlog-witness).
// It has one user at a time.
type Collector struct {
	Policy *Policy
	Client *http.Client
	// Timeout is how long all of them together may take.
	Timeout time.Duration
	// Prove gives the consistency of two sizes of the log.
	Prove func(ctx context.Context, from, to uint64) (tlog.TreeProof, error)

	known map[*Witness]uint64 // the size that each has cosigned last
}

const maxAnswer = 16 << 10

// errSize is a witness's word that it knows another size.
type errSize struct{ size uint64 }

func (e *errSize) Error() string { return fmt.Sprintf("it knows %d entries", e.size) }

// Collect returns the checkpoint with the cosignatures that came in time. The
// error is only about what did not come, by witness; whether it matters is the
// policy's question.
func (c *Collector) Collect(ctx context.Context, signed []byte) ([]byte, error) {
	cp, err := Unverified(signed)
	if err != nil {
		return nil, err
	}
	if c.known == nil {
		c.known = map[*Witness]uint64{}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	var (
		mu     sync.Mutex
		failed []error
		lines  bytes.Buffer
		asking sync.WaitGroup
	)
	for _, w := range c.Policy.witnesses {
		if w.URL == "" {
			continue
		}
		mu.Lock()
		old := c.known[w]
		mu.Unlock()
		asking.Go(func() {
			line, err := c.ask(ctx, w, old, cp, signed)
			var other *errSize
			if errors.As(err, &other) && other.size <= cp.Size && other.size != old {
				line, err = c.ask(ctx, w, other.size, cp, signed)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, fmt.Errorf("witness %s: %w", w.Name, err))
				return
			}
			c.known[w] = cp.Size
			lines.WriteString(line)
		})
	}
	asking.Wait()
	return append(bytes.Clone(signed), lines.Bytes()...), errors.Join(failed...)
}

// ask one witness, for a line with its signature.
func (c *Collector) ask(ctx context.Context, w *Witness, old uint64, cp *Checkpoint, signed []byte) (string, error) {
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", old)
	if old > 0 && old < cp.Size {
		proof, err := c.Prove(ctx, old, cp.Size)
		if err != nil {
			return "", err
		}
		for _, h := range proof {
			fmt.Fprintln(&body, base64.StdEncoding.EncodeToString(h[:]))
		}
	}
	body.WriteByte('\n')
	body.Write(signed)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+"/add-checkpoint", &body)
	if err != nil {
		return "", err
	}
	response, err := c.Client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return "", err
	case len(answer) > maxAnswer:
		return "", fmt.Errorf("it answers with more than %d bytes", maxAnswer)
	case response.StatusCode == http.StatusConflict:
		size, err := strconv.ParseUint(strings.TrimSpace(string(answer)), 10, 63)
		if err != nil {
			return "", errors.New("it answers 409 without a size")
		}
		return "", &errSize{size}
	case response.StatusCode != http.StatusOK:
		return "", fmt.Errorf("it answers %s: %.200q", response.Status, answer)
	}
	return w.line(cp, answer)
}

// line picks the witness's own valid signature out of its answer.
func (w *Witness) line(cp *Checkpoint, answer []byte) (string, error) {
	n, err := note.Open([]byte(cp.Text()+"\n"+string(answer)), note.VerifierList(w.key))
	if err != nil {
		return "", fmt.Errorf("its answer is no signature by its key: %w", err)
	}
	s := n.Sigs[0]
	return fmt.Sprintf("— %s %s\n", s.Name, s.Base64), nil
}
