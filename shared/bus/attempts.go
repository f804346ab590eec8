package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
)

// The server counts deliveries, whatever became of them. What matters is how
// often the message itself brought a handler to fail, crash included. So a
// delivery that ended in an outage, or in our own shutdown, is excused, and
// with it all before: the worker lived to say so. As that word must outlast
// the worker and be known to its fellows, it is put on the stream EXCUSED
// now and then, and read back before a message is given up on.
const excusedSubject = "assize.excused."

// maxRecords bounds the memory; records lost are read back from EXCUSED.
const maxRecords = 10_000

type attempts struct {
	bus     *Bus
	durable string
	most    int // deliveries before giving up

	mu      sync.Mutex
	records map[uint64]record // by stream sequence
}

type record struct {
	excused int    // deliveries up to this one do not count
	stored  int    // what EXCUSED knows of it
	last    string // why the last counted delivery failed
	buried  bool   // its dead letter is stored
}

// count tells which attempt the delivery is, and what is known of the last.
func (a *attempts) count(ctx context.Context, seq uint64, delivery int) (attempt int, last string, err error) {
	r := a.recall(seq)
	if r.excused >= delivery {
		// The consumer was made anew and counts from 1 again.
		r.excused, r.stored = 0, 0
		a.keep(seq, r)
	}
	if delivery-r.excused >= a.most {
		stored, err := a.load(ctx, seq)
		if err != nil {
			return 0, "", err
		}
		// Greater than delivery: the consumer was made anew since.
		if stored > r.excused && stored < delivery {
			r.excused, r.stored = stored, stored
			a.keep(seq, r)
		}
	}
	return delivery - r.excused, r.last, nil
}

// excuse notes that the message is not to blame for a delivery's end.
func (a *attempts) excuse(ctx context.Context, seq uint64, delivery int) {
	r := a.recall(seq)
	r.excused = delivery
	if delivery-r.stored >= max(a.most/2, 1) {
		msg := nats.NewMsg(a.subject(seq))
		msg.Data = strconv.AppendInt(nil, int64(delivery), 10)
		if _, err := a.bus.publish(ctx, msg, nil); err != nil {
			a.bus.log.WarnContext(ctx, "could not note that a failed delivery does not count",
				"durable", a.durable, "sequence", seq, "error", err)
		} else {
			r.stored = delivery
		}
	}
	a.keep(seq, r)
}

// blame notes why the message's delivery failed.
func (a *attempts) blame(seq uint64, reason string) {
	r := a.recall(seq)
	r.last = reason
	a.keep(seq, r)
}

// bury notes that the message's dead letter is stored, so that it is not
// stored again and again while GaveUp fails: the stream tells duplicates only
// for a few minutes.
func (a *attempts) bury(seq uint64) {
	r := a.recall(seq)
	r.buried = true
	a.keep(seq, r)
}

func (a *attempts) forget(seq uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.records, seq)
}

func (a *attempts) recall(seq uint64) record {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.records[seq]
}

func (a *attempts) keep(seq uint64, r record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.records) >= maxRecords {
		clear(a.records)
	}
	a.records[seq] = r
}

func (a *attempts) load(ctx context.Context, seq uint64) (int, error) {
	m, err := a.bus.Last(ctx, a.subject(seq))
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(m.Data))
	if err != nil {
		return 0, fmt.Errorf("message %d of %s: %w", m.Sequence, m.Stream, err)
	}
	return n, nil
}

func (a *attempts) subject(seq uint64) string {
	return excusedSubject + a.durable + "." + strconv.FormatUint(seq, 10)
}
