package dsse

import (
	"encoding/base64"
	"errors"
	"fmt"

	"assize.dev/services/sign/internal/strictjson"
)

// Bounds of an envelope from outside. A verdict event holds at most a few
// hundred kilobytes; sixteen signatures are more than any key set asks for.
const (
	MaxEnvelope   = 1 << 20
	maxSignatures = 16
)

// Parse reads an envelope, or the one inside a Sigstore bundle, and verifies
// nothing. It takes only what all readers understand the same way: names that
// are there once and in the right case, one JSON value, and base64 in its one
// canonical, standard and padded form, though DSSE permits the URL-safe one.
// Members with other names are passed over, as DSSE demands.
func Parse(data []byte) (*Envelope, error) {
	if len(data) > MaxEnvelope {
		return nil, fmt.Errorf("envelope of %d bytes, at most %d", len(data), MaxEnvelope)
	}
	type envelope struct {
		PayloadType *string `json:"payloadType"`
		Payload     *string `json:"payload"`
		Signatures  []struct {
			KeyID string `json:"keyid"`
			Sig   string `json:"sig"`
		} `json:"signatures"`
	}
	var outer struct {
		envelope
		MediaType string    `json:"mediaType"`
		Inner     *envelope `json:"dsseEnvelope"`
	}
	if err := strictjson.Decode(data, &outer, strictjson.Small); err != nil {
		return nil, fmt.Errorf("reading envelope: %w", err)
	}
	e := outer.envelope
	if outer.Inner != nil {
		switch {
		case e.PayloadType != nil || e.Payload != nil || e.Signatures != nil:
			return nil, errors.New("envelope: it is an envelope and a bundle at once")
		case outer.MediaType != BundleMediaType:
			return nil, fmt.Errorf("bundle's media type is %.80q, want %s", outer.MediaType, BundleMediaType)
		case len(outer.Inner.Signatures) != 1:
			return nil, fmt.Errorf("bundle has %d signatures, want exactly one", len(outer.Inner.Signatures))
		}
		e = *outer.Inner
	}
	switch {
	case e.PayloadType == nil || e.Payload == nil:
		return nil, errors.New("envelope: payloadType or payload is missing")
	case len(e.Signatures) == 0 || len(e.Signatures) > maxSignatures:
		return nil, fmt.Errorf("envelope has %d signatures, want 1 to %d", len(e.Signatures), maxSignatures)
	}
	parsed := &Envelope{PayloadType: *e.PayloadType}
	var err error
	if parsed.Payload, err = canonicalBase64(*e.Payload); err != nil {
		return nil, fmt.Errorf("envelope's payload: %w", err)
	}
	for i, s := range e.Signatures {
		sig, err := canonicalBase64(s.Sig)
		if err != nil {
			return nil, fmt.Errorf("envelope's signature %d: %w", i, err)
		}
		parsed.Signatures = append(parsed.Signatures, Signature{s.KeyID, sig})
	}
	return parsed, nil
}

// canonicalBase64 decodes what encoding the same bytes again would give.
// encoding/base64 passes over line breaks, even in its strict mode.
func canonicalBase64(text string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(data) != text {
		return nil, errors.New("not standard, padded, canonical base64")
	}
	return data, nil
}
