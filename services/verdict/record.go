package verdict

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"assize.dev/services/verdict/internal/join"
	"assize.dev/services/verdict/internal/policy"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// RecordName is the name of the record among the files of a verdict.
const RecordName = "evidence.json"

// Record is everything a decision was made from, so that anyone can check
// what it was made of and make it again. It is stored as canonical JSON.
type Record struct {
	Artifact Fact         `json:"artifact"`
	Evidence []Fact       `json:"evidence"`
	Policy   RecordPolicy `json:"policy"`
	Time     time.Time    `json:"time"` // of the newest fact
}

// Fact is one message of the stream. The data is kept in base64, because its digest
// holds for exactly these bytes and JSON inside JSON may be spaced anew.
type Fact struct {
	Kind   event.Kind    `json:"kind,omitempty"` // of evidence
	Type   event.Type    `json:"type,omitempty"` // empty: the message was no CloudEvent
	Digest digest.Digest `json:"digest"`
	Data   []byte        `json:"data"`
}

// RecordPolicy names the policy. Its rules are the document with its digest.
type RecordPolicy struct {
	event.Policy
	Settings policy.Settings `json:"settings"`
}

func newRecord(p *Policy, c Case) ([]byte, error) {
	r := Record{
		Artifact: Fact{Type: event.TypeArtifact, Digest: digest.Of(c.ArtifactFact), Data: c.ArtifactFact},
		Evidence: make([]Fact, 0, len(c.Evidence)),
		Policy:   RecordPolicy{Policy: p.Name(), Settings: p.Settings()},
		Time:     c.Time.UTC(),
	}
	for _, piece := range c.Evidence {
		r.Evidence = append(r.Evidence, Fact{Kind: piece.Kind, Type: piece.Type, Digest: piece.Digest(), Data: piece.Data})
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return text, nil
}

// MaxRecord is the size of the largest record, in bytes: what 33 facts of
// event.MaxData take in base64, and some.
const MaxRecord = 16 << 20

// ParseRecord reads a record and checks that every fact has its digest.
func ParseRecord(text []byte) (*Record, error) {
	if len(text) > MaxRecord {
		return nil, fmt.Errorf("record of %d bytes, at most %d", len(text), MaxRecord)
	}
	var r Record
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return nil, fmt.Errorf("decode record: %w", err)
	}
	if dec.More() {
		return nil, errors.New("decode record: data after the JSON value")
	}
	for _, f := range append([]Fact{r.Artifact}, r.Evidence...) {
		if got := digest.Of(f.Data); got != f.Digest {
			return nil, fmt.Errorf("record: %s fact has digest %s, not %s", cmp.Or(f.Kind, "artifact"), got, f.Digest)
		}
	}
	return &r, nil
}

// Case is what was decided on: with the same policy, Decide makes the same
// decision of it again.
func (r *Record) Case() (Case, error) {
	c := Case{ArtifactFact: r.Artifact.Data, Time: r.Time}
	if err := json.Unmarshal(r.Artifact.Data, &c.Artifact); err != nil {
		return Case{}, fmt.Errorf("artifact of the record: %w", err)
	}
	if err := c.Artifact.Validate(); err != nil {
		return Case{}, fmt.Errorf("artifact of the record: %w", err)
	}
	for _, f := range r.Evidence {
		c.Evidence = append(c.Evidence, join.ReadPiece(f.Kind, f.Type, f.Data, c.Artifact))
	}
	return c, nil
}
