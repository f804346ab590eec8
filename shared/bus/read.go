package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"assize.dev/shared/event"
)

// Last is the newest message on a subject, read from the stream's leader, so
// that whatever was acknowledged to anyone before is seen. The subject may
// have wildcards. ErrNotFound if there is none. Needs the right to publish
// to $JS.API.STREAM.MSG.GET.<stream>.
func (b *Bus) Last(ctx context.Context, subject string) (*Message, error) {
	stream, err := streamOf(subject)
	if err != nil {
		return nil, err
	}
	return b.get(ctx, stream, which{Last: subject})
}

// which names one message of a stream: that of a sequence, the last on a
// subject, or the next on a subject from a sequence on.
type which struct {
	Sequence uint64 `json:"seq,omitempty"`
	Last     string `json:"last_by_subj,omitempty"`
	Next     string `json:"next_by_subj,omitempty"`
}

func (w which) String() string {
	switch {
	case w.Last != "":
		return "the last message on " + w.Last
	case w.Next != "":
		return fmt.Sprintf("the first message on %s from %d on", w.Next, w.Sequence)
	}
	return fmt.Sprintf("message %d", w.Sequence)
}

// get asks the leader for one message. The client library's own call asks
// for more rights, and any replica if the stream was told to allow it.
func (b *Bus) get(ctx context.Context, stream string, w which) (*Message, error) {
	doing := fmt.Sprintf("reading %s of %s", w, stream)
	ask, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	for try := 1; ; try++ {
		answer, err := b.request(ctx, "$JS.API.STREAM.MSG.GET."+stream, ask)
		if err == nil {
			var m *Message
			if m, err = readAnswer(stream, answer); err == nil {
				return m, nil
			}
			if !errors.Is(err, ErrUnavailable) {
				return nil, fmt.Errorf("%s: %w", doing, err)
			}
		}
		select {
		case <-time.After(backoff(try, 50*time.Millisecond, time.Second)):
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", doing, Unavailable(errors.Join(err, b.denial())))
		}
	}
}

func (b *Bus) request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	ctx, end := b.session(ctx)
	defer end()
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	answer, err := b.nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return nil, err
	}
	return answer.Data, nil
}

// readAnswer decodes what the server says to STREAM.MSG.GET.
func readAnswer(stream string, data []byte) (*Message, error) {
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Header   []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("the server's answer: %w", err)
	}
	switch e := answer.Error; {
	case e != nil && e.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, ErrNotFound
	case e != nil && e.Code >= 500:
		return nil, Unavailable(e)
	case e != nil:
		return nil, e
	case answer.Message == nil:
		return nil, errors.New("the server's answer holds no message")
	}
	m := &Message{Stream: stream, Subject: answer.Message.Subject, Sequence: answer.Message.Sequence,
		Data: answer.Message.Data, Time: answer.Message.Time}
	if len(answer.Message.Header) > 0 {
		header, err := nats.DecodeHeadersMsg(answer.Message.Header)
		if err != nil {
			return nil, fmt.Errorf("headers of message %d: %w", m.Sequence, err)
		}
		m.Header = event.Header(header)
	}
	m.Event, m.Invalid = event.FromMessage(m.Subject, m.Header, m.Data)
	return m, nil
}
