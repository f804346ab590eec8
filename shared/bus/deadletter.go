package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/event"
)

// Bounds of what is kept of a message that broke the contract.
const (
	maxBroken  = 128 << 10 // bytes of data
	maxHeaders = 64 << 10  // bytes of headers, as JSON
	maxReason  = 200       // bytes of reason the server is told
)

// giveUp stores the message with the reason as a dead letter, lets the
// service say so, and only then ends its delivery for good. Whatever fails
// on the way is done again later.
func (w *worker) giveUp(msg jetstream.Msg, m *Message, reason error) {
	log := w.log.With("stream", m.Stream, "sequence", m.Sequence, "attempts", m.Attempt, "reason", reason)
	if w.attempts.recall(m.Sequence).buried {
		log.Debug("it is a dead letter already; what is left is to say so")
	} else if err := w.bury(m, reason); err != nil {
		log.Error("giving up on a message failed; will try again", "error", err)
		w.nak(msg, m, w.Backoff(m.Attempt))
		return
	}
	if w.GaveUp != nil {
		if err := w.sayGaveUp(m, reason); err != nil {
			log.Error("saying that a message was given up on failed; will try again", "error", err)
			w.nak(msg, m, w.Backoff(m.Attempt))
			return
		}
	}
	w.bus.metrics.buried(w.work, w.Consumer)
	log.Error("gave up on a message: it is a dead letter now")
	if err := msg.TermWithReason(oneLine(reason.Error(), maxReason)); err != nil {
		log.Warn("the message may come again", "error", err)
		return
	}
	w.attempts.forget(m.Sequence)
}

func (w *worker) sayGaveUp(m *Message, reason error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return w.GaveUp(w.work, m, reason)
}

func (w *worker) bury(m *Message, reason error) error {
	e, err := deadLetter(w.Service, w.Durable, m, reason, time.Now())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(traceContext.Extract(w.work, carrier(m.Header)), publishTimeout)
	defer cancel()
	if _, err = w.bus.Publish(ctx, e); err == nil {
		w.attempts.bury(m.Sequence)
	}
	return err
}

// deadLetter wraps the message. An event of the contract is kept whole, so
// the letter may be larger than event.MaxData, though never than the stream
// takes. Its id names the durable too: a service may give up on one message
// for several reasons, one per durable, and each is to be known.
func deadLetter(service, durable string, m *Message, reason error, at time.Time) (*event.Event, error) {
	letter := &event.DeadLetter{
		Service: service, Reason: oneLine(reason.Error(), event.MaxName), Attempts: m.Attempt,
		Stream: m.Stream, Sequence: m.Sequence, Original: oneLine(m.Subject, event.MaxName),
		Headers: map[string]string{}, Data: m.Data,
	}
	if m.Invalid != nil && len(letter.Data) > maxBroken {
		letter.Data = letter.Data[:maxBroken]
	}
	room := maxHeaders
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		v := m.Header[name]
		if len(v) == 0 || len(name) > event.MaxName {
			continue
		}
		value := oneLine(v[0], event.MaxName)
		size, err := json.Marshal(map[string]string{name: value})
		if err != nil {
			return nil, fmt.Errorf("dead letter: %w", err)
		}
		if room -= len(size); room < 0 {
			break
		}
		letter.Headers[name] = value
	}
	if err := letter.Validate(); err != nil {
		return nil, fmt.Errorf("dead letter: %w", err)
	}
	data, err := json.Marshal(letter)
	if err != nil {
		return nil, fmt.Errorf("dead letter: %w", err)
	}
	return &event.Event{ID: letter.Identity() + "/" + event.Token(durable), Source: "assize/" + service, Type: letter.EventType(),
		Time: at.UTC(), Subject: letter.Subject(), Data: data}, nil
}

// oneLine makes any text valid UTF-8 of one line and at most n bytes.
func oneLine(s string, n int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if s == "" {
		return "none given"
	}
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
