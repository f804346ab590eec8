package event

import (
	"fmt"
	"time"
)

// CloudEvents 1.0 binary mode on NATS: attributes are headers with the
// prefix "ce-", the data is the message (CloudEvents NATS protocol binding
// 1.0, section 3.1).
const (
	headerSpecVersion = "ce-specversion"
	headerID          = "ce-id"
	headerSource      = "ce-source"
	headerType        = "ce-type"
	headerTime        = "ce-time"
	headerContentType = "content-type"
	contentTypeJSON   = "application/json"
)

// Header maps header names, whose case counts on NATS, to values. nats.Header
// converts to it.
type Header map[string][]string

func (h Header) get(name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Header renders the attributes of e.
func (e *Event) Header() Header {
	return Header{
		headerSpecVersion: {"1.0"},
		headerID:          {e.ID},
		headerSource:      {e.Source},
		headerType:        {string(e.Type)},
		headerTime:        {e.Time.UTC().Format(time.RFC3339Nano)},
		headerContentType: {contentTypeJSON},
	}
}

// FromMessage reads an event back from a message's subject, headers and
// data. The payload is not looked at; see Decode.
func FromMessage(subject string, h Header, data []byte) (*Event, error) {
	if v := h.get(headerSpecVersion); v != "1.0" {
		return nil, fmt.Errorf("%w: message on %s: header %s is %q, want 1.0 (CloudEvents binary mode)", ErrInvalid, subject, headerSpecVersion, v)
	}
	for _, name := range []string{headerID, headerSource, headerType} {
		if h.get(name) == "" {
			return nil, fmt.Errorf("%w: message on %s: header %s is missing", ErrInvalid, subject, name)
		}
	}
	if ct := h.get(headerContentType); ct != "" && ct != contentTypeJSON {
		return nil, fmt.Errorf("%w: message on %s: content type %q, want %s", ErrInvalid, subject, ct, contentTypeJSON)
	}
	e := &Event{
		ID: h.get(headerID), Source: h.get(headerSource), Type: Type(h.get(headerType)),
		Subject: subject, Data: data,
	}
	if v := h.get(headerTime); v != "" {
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return nil, fmt.Errorf("%w: message on %s: header %s: %w", ErrInvalid, subject, headerTime, err)
		}
		e.Time = t.UTC()
	}
	return e, nil
}
