package verdict

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
	// Components that the SBOM lists, if the policy asked for them, and else why
	// they are not known.
	Components []policy.Component `json:"components,omitempty"`
	Without    string             `json:"withoutComponents,omitempty"`
	// Before and its evidence are of the run that was superseded, for what
	// the decision says has changed.
	Before         *join.Before `json:"before,omitempty"`
	BeforeEvidence []Fact       `json:"beforeEvidence,omitempty"`

	digest digest.Digest // of the text that was parsed
	size   int64
}

// Fact is one message of the stream. The data is kept in base64, because its digest
// holds for exactly these bytes and JSON inside JSON may be spaced anew.
type Fact struct {
	Kind   event.Kind    `json:"kind,omitempty"` // of evidence
	Type   event.Type    `json:"type,omitempty"` // empty: the message was no CloudEvent
	Digest digest.Digest `json:"digest"`
	Data   []byte        `json:"data"`
	Reused bool          `json:"reused,omitempty"` // evidence that an earlier run gathered
}

// RecordPolicy names the policy. Its rules are the document with its digest.
type RecordPolicy struct {
	event.Policy
	Settings policy.Settings `json:"settings"`
}

func newRecord(p *Policy, c Case) ([]byte, error) {
	r := Record{
		Artifact:   Fact{Type: event.TypeArtifact, Digest: digest.Of(c.ArtifactFact), Data: c.ArtifactFact},
		Evidence:   make([]Fact, 0, len(c.Evidence)),
		Policy:     RecordPolicy{Policy: p.Name(), Settings: p.Settings()},
		Time:       c.Time.UTC(),
		Components: c.Components, Without: c.Without,
	}
	for _, piece := range c.Evidence {
		r.Evidence = append(r.Evidence, factOf(piece))
	}
	if c.Before != nil {
		r.Before = c.Before
		for _, piece := range c.Before.Evidence {
			// What is reused is in the record already.
			if !c.Artifact.Reuses(piece.Kind) {
				r.BeforeEvidence = append(r.BeforeEvidence, factOf(piece))
			}
		}
	}
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return text, nil
}

func factOf(p join.Piece) Fact {
	return Fact{Kind: p.Kind, Type: p.Type, Digest: p.Digest(), Data: p.Data, Reused: p.Reused}
}

// MaxRecord is the size of the largest record, in bytes: what twice 33 facts
// of event.MaxData take in base64, and the components.
const MaxRecord = 64 << 20

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
	for _, f := range slices.Concat([]Fact{r.Artifact}, r.Evidence, r.BeforeEvidence) {
		if got := digest.Of(f.Data); got != f.Digest {
			return nil, fmt.Errorf("record: %s fact has digest %s, not %s", cmp.Or(f.Kind, "artifact"), got, f.Digest)
		}
	}
	r.digest, r.size = digest.Of(text), int64(len(text))
	return &r, nil
}

// Case is what was decided on: with the same policy, Decide makes the same
// decision of it again.
func (r *Record) Case() (Case, error) {
	c := Case{ArtifactFact: r.Artifact.Data, Time: r.Time, Components: r.Components, Without: r.Without}
	if err := json.Unmarshal(r.Artifact.Data, &c.Artifact); err != nil {
		return Case{}, fmt.Errorf("artifact of the record: %w", err)
	}
	if err := c.Artifact.Validate(); err != nil {
		return Case{}, fmt.Errorf("artifact of the record: %w", err)
	}
	for _, f := range r.Evidence {
		c.Evidence = append(c.Evidence, f.piece(c.Artifact, f.Reused))
	}
	if r.Before != nil {
		before := *r.Before
		for _, f := range r.BeforeEvidence {
			before.Evidence = append(before.Evidence, f.piece(c.Artifact, true))
		}
		c.Before = &before
	}
	return c, nil
}

// piece reads evidence again. One that was to be reused and could not be has
// no data.
func (f *Fact) piece(a event.Artifact, earlier bool) join.Piece {
	switch {
	case earlier && len(f.Data) == 0:
		return join.Piece{Kind: f.Kind, Reused: true, Fault: "it was to be taken from an earlier run, and could not be"}
	case earlier:
		p := join.ReadReused(f.Kind, f.Type, f.Data, a)
		p.Reused = f.Reused
		return p
	}
	return join.ReadPiece(f.Kind, f.Type, f.Data, a)
}
