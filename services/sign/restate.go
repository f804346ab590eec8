package sign

import (
	"bytes"
	"fmt"

	"assize.dev/services/sign/internal/attest"
	"assize.dev/services/sign/internal/dsse"
	"assize.dev/shared/event"
)

// ReadVerdict is what a verdict's envelope says, whoever signed it: for those
// who have it from a place that they trust, or verify it besides.
func ReadVerdict(envelope []byte) (*Statement, *Finding, error) {
	e, err := dsse.Parse(envelope)
	if err != nil {
		return nil, nil, fmt.Errorf("reading verdict: %w", err)
	}
	v, err := read(e.Payload)
	if err != nil {
		return nil, nil, err
	}
	return v.Statement, v.Finding, nil
}

// Restates reports whether a decision makes the very statement that an envelope
// holds, byte for byte.
func Restates(envelope []byte, d event.Decision) (bool, error) {
	e, err := dsse.Parse(envelope)
	if err != nil {
		return false, fmt.Errorf("reading verdict: %w", err)
	}
	s, err := attest.ParseStatement(e.Payload)
	if err != nil {
		return false, fmt.Errorf("reading verdict: %w", err)
	}
	again, err := attest.Restate(s, d)
	return bytes.Equal(again, e.Payload), err
}
