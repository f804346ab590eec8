package join

import (
	"encoding/json"
	"fmt"
	"strings"

	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Piece is the evidence of one kind as it lies on the stream.
type Piece struct {
	Kind event.Kind
	Type event.Type // of the CloudEvent, empty if the message is none
	Data []byte     // of the message, byte for byte
	// Evidence is what Data says. It is nil if it breaks the contract or is
	// about another artifact; Fault says so then.
	Evidence *event.Evidence
	// Fault says why the evidence cannot be relied on, empty if it can.
	Fault string
	// Reused: it was gathered for an earlier run of the same artifact.
	Reused bool
}

// Bounds of what a decision repeats of every piece of evidence.
const (
	maxBasis    = 4 << 10 // bytes of names and values
	maxProducer = 256     // bytes of name or version
)

// ReadPiece makes a piece again from its kind, type and data.
func ReadPiece(kind event.Kind, typ event.Type, data []byte, artifact event.Artifact) Piece {
	fact := &Fact{Data: data}
	if typ != "" {
		fact.Event = &event.Event{
			Type: typ, Data: data,
			Subject: event.EvidenceSubject(kind, artifact.Registry, artifact.Run),
		}
	}
	p, _ := readPiece(kind, fact, artifact)
	return p
}

// ReadReused makes a piece of evidence that an earlier run gathered, maybe for
// one before it: it may name any run.
func ReadReused(kind event.Kind, typ event.Type, data []byte, artifact event.Artifact) Piece {
	var said struct {
		Run string `json:"run"`
	}
	if json.Unmarshal(data, &said) == nil && event.ValidRun(said.Run) == nil {
		artifact.Run = said.Run
	}
	p := ReadPiece(kind, typ, data, artifact)
	p.Reused = true
	return p
}

// readPiece decodes evidence of this kind and holds it against the artifact.
// It also tells whether the fact breaks the contract.
func readPiece(kind event.Kind, fact *Fact, artifact event.Artifact) (p Piece, broken bool) {
	p = Piece{Kind: kind, Data: fact.Data}
	if fact.Event == nil {
		p.Fault = "it breaks the contract (no CloudEvent)"
		return p, true
	}
	p.Type = fact.Event.Type
	var said event.Evidence
	if err := event.Decode(fact.Event, &said); err != nil {
		p.Fault = fmt.Sprintf("it breaks the contract (%.300s)", err)
		return p, true
	}
	if other := strangers(said, kind, artifact); other != "" {
		p.Fault = "evidence of another artifact: " + other
		return p, false
	}
	p.Evidence = &said
	p.Fault = fault(said)
	return p, false
}

// strangers says in which respect evidence is about something else.
func strangers(e event.Evidence, kind event.Kind, a event.Artifact) string {
	switch {
	case e.Artifact != a.Digest:
		return fmt.Sprintf("it examined %s, the artifact is %s", e.Artifact, a.Digest)
	case e.Run != a.Run:
		return fmt.Sprintf("it belongs to run %s, not %s", e.Run, a.Run)
	case e.Registry != a.Registry:
		return fmt.Sprintf("it belongs to registry %q, not %q", e.Registry, a.Registry)
	case e.Kind != kind:
		return fmt.Sprintf("it is of kind %q", e.Kind)
	}
	return ""
}

// fault finds evidence that contradicts itself, or is too large to repeat.
func fault(e event.Evidence) string {
	size := 0
	for name, value := range e.Basis {
		size += len(name) + len(value)
	}
	if size > maxBasis {
		return fmt.Sprintf("its basis takes %d bytes, at most %d", size, maxBasis)
	}
	if n := max(len(e.Producer.Name), len(e.Producer.Version)); n > maxProducer {
		return fmt.Sprintf("its producer's name or version takes %d bytes, at most %d", n, maxProducer)
	}
	if e.Kind == event.KindSignature {
		return signatureFault(e)
	}
	return ""
}

func signatureFault(e event.Evidence) string {
	v := e.Verification
	if v == nil {
		if e.Status == event.Complete {
			return "it is complete but says nothing of the verification"
		}
		return ""
	}
	if v.SLSALevel < 0 || v.SLSALevel > 3 {
		return fmt.Sprintf("SLSA build level %d does not exist", v.SLSALevel)
	}
	switch v.Result {
	case event.Fail, event.Undetermined:
		return ""
	case event.Pass:
		for _, s := range v.Signatures {
			if s.Valid && s.Trust == event.Trusted {
				return ""
			}
		}
		return "it passes without a valid signature by a trusted key"
	}
	return fmt.Sprintf("verification result %.40q is unknown", v.Result)
}

// Digest of the evidence's data.
func (p Piece) Digest() digest.Digest { return digest.Of(p.Data) }

// Address is what the subject of an evidence fact tells.
type Address struct {
	Kind     event.Kind
	Registry string
	Run      string
	// Upload says, where it is known, that the run is the examination of an
	// upload, which reuses nothing: that spares a look at the artifact fact.
	Upload bool
}

// ParseAddress reads a subject assize.evidence.<kind>.<registry>.<run>. Errors
// wrap event.ErrInvalid.
func ParseAddress(subject string) (Address, error) {
	tokens, ok := strings.CutPrefix(subject, strings.TrimSuffix(event.AllEvidence, ">"))
	parts := strings.Split(tokens, ".")
	if !ok || len(parts) != 3 {
		return Address{}, fmt.Errorf("%w: %.200q is not a subject of evidence", event.ErrInvalid, subject)
	}
	for i, token := range parts {
		text, err := event.FromToken(token)
		if err != nil {
			return Address{}, fmt.Errorf("subject %.200q: %w", subject, err)
		}
		parts[i] = text
	}
	if err := event.ValidRun(parts[2]); err != nil {
		return Address{}, fmt.Errorf("%w: subject %.200q: %w", event.ErrInvalid, subject, err)
	}
	return Address{Kind: event.Kind(parts[0]), Registry: parts[1], Run: parts[2]}, nil
}
