package bus

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/event"
)

// Message is an event as it lies on a stream.
type Message struct {
	Subject  string
	Header   event.Header
	Data     []byte
	Stream   string
	Sequence uint64
	Time     time.Time // when the stream took it
	// Pending is how many messages that match follow it; 0 means caught up.
	Pending uint64
	// Attempt counts the deliveries to a Consumer from 1. Deliveries that
	// ended in an ErrUnavailable or in our own shutdown, and those before
	// them, do not count.
	Attempt int
	// Event is nil, and Invalid says why, if the message is no CloudEvent.
	Event   *event.Event
	Invalid error
	// Payload is the decoded and checked event. Only Consume fills it.
	Payload event.Payload
}

func newMessage(msg jetstream.Msg) (*Message, *jetstream.MsgMetadata, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, nil, fmt.Errorf("message on %s: %w", msg.Subject(), err)
	}
	m := &Message{Subject: msg.Subject(), Header: event.Header(msg.Headers()), Data: msg.Data(),
		Stream: meta.Stream, Sequence: meta.Sequence.Stream, Time: meta.Timestamp, Pending: meta.NumPending}
	m.Event, m.Invalid = event.FromMessage(m.Subject, m.Header, m.Data)
	return m, meta, nil
}

// decode fills Payload, or Invalid if the event breaks the contract.
func (m *Message) decode() {
	if m.Invalid != nil {
		return
	}
	var p event.Payload
	switch m.Event.Type {
	case event.TypeUpload:
		p = new(event.Upload)
	case event.TypeArtifact:
		p = new(event.Artifact)
	case event.TypeEvidence:
		p = new(event.Evidence)
	case event.TypeDecision:
		p = new(event.Decision)
	case event.TypeVerdict:
		p = new(event.Verdict)
	case event.TypeDeadLetter:
		p = new(event.DeadLetter)
	case event.TypeOperation:
		p = new(event.Operation)
	default:
		m.Invalid = fmt.Errorf("%w: type %q on %s is unknown", event.ErrInvalid, m.Event.Type, m.Subject)
		return
	}
	if m.Invalid = event.Decode(m.Event, p); m.Invalid == nil {
		m.Payload = p
	}
}
