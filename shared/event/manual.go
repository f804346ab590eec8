package event

import (
	"errors"
	"fmt"
)

// Manual is a decision that a person made, as signed by them. Policies say whose
// count, and what for.
type Manual struct {
	Payload   []byte `json:"payload" jsonschema_description:"The decision in JSON, base64."`
	Signature []byte `json:"signature" jsonschema_description:"Ed25519 over the DSSE pre-authentication encoding of type application/vnd.assize.decision+json and the payload, base64."`
}

// ManualType is the payload type that is signed with the payload (DSSE 1.0.2).
const ManualType = "application/vnd.assize.decision+json"

// MaxManual is the size of the payload, in bytes.
const MaxManual = 8 << 10

// Signed are the bytes that the signature is over.
func (m *Manual) Signed() []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(ManualType), ManualType, len(m.Payload), m.Payload)
}

func (m *Manual) validate() error {
	if m == nil {
		return nil
	}
	if len(m.Payload) > MaxManual {
		return fmt.Errorf("manual: payload of %d bytes, at most %d", len(m.Payload), MaxManual)
	}
	if len(m.Signature) == 0 || len(m.Signature) > 256 {
		return errors.New("manual: want a signature")
	}
	return nil
}
