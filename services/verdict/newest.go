package verdict

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"assize.dev/shared/blob"
	"assize.dev/shared/digest"
	"assize.dev/shared/event"
)

// Concluded is what a stored verdict says. Its signature was not verified.
type Concluded struct {
	Artifact digest.Digest
	Run      string
	Registry string
	Filename string
	Decision event.Outcome
	Grade    event.Grade
	Reasons  []event.Reason
	Policy   digest.Digest
	Time     time.Time
	Record   struct {
		Key    string        `json:"key"`
		Digest digest.Digest `json:"digest"`
	}
}

// Newest gives the last verdict about each upload: about each artifact, under
// each name in each registry. Artifacts are those whose digest in hexadecimal
// begins with prefix. An error that wraps ErrCannotReplay is of one verdict,
// and others follow; any other one is the last.
func Newest(ctx context.Context, store blob.Store, prefix string) iter.Seq2[Concluded, error] {
	return func(yield func(Concluded, error) bool) {
		// Verdicts come by artifact, so only those of one are held at a time.
		last := map[[2]string]Concluded{}
		flush := func() bool {
			for _, one := range last {
				if !yield(one, nil) {
					return false
				}
			}
			clear(last)
			return true
		}
		var artifact digest.Digest
		for s, err := range All(ctx, store, prefix) {
			if err != nil {
				yield(Concluded{}, err)
				return
			}
			if s.Artifact != artifact && !flush() {
				return
			}
			artifact = s.Artifact
			one, err := concluded(s)
			if err != nil {
				if !yield(one, fmt.Errorf("%w: run %s: %w", ErrCannotReplay, s.Run, err)) {
					return
				}
				continue
			}
			upload := [2]string{one.Registry, one.Filename}
			if before, ok := last[upload]; !ok || !one.Time.Before(before.Time) {
				last[upload] = one
			}
		}
		flush()
	}
}

func concluded(s Stored) (Concluded, error) {
	one := Concluded{Artifact: s.Artifact, Run: s.Run}
	var envelope struct {
		Payload []byte `json:"payload"`
	}
	if err := json.Unmarshal(s.Envelope, &envelope); err != nil {
		return one, fmt.Errorf("envelope: %w", err)
	}
	var statement struct {
		Predicate struct {
			Run      string    `json:"run"`
			Registry string    `json:"registry"`
			Time     time.Time `json:"time"`
			Artifact struct {
				Filename string `json:"filename"`
			} `json:"artifact"`
			Decision event.Outcome  `json:"decision"`
			Grade    event.Grade    `json:"grade"`
			Reasons  []event.Reason `json:"reasons"`
			Policy   event.Policy   `json:"policy"`
			Record   struct {
				Key    string        `json:"key"`
				Digest digest.Digest `json:"digest"`
			} `json:"record"`
		} `json:"predicate"`
	}
	if err := json.Unmarshal(envelope.Payload, &statement); err != nil {
		return one, fmt.Errorf("statement: %w", err)
	}
	p := statement.Predicate
	if p.Run != s.Run {
		return one, fmt.Errorf("statement is about run %.60q", p.Run)
	}
	one.Registry, one.Filename, one.Time = p.Registry, p.Artifact.Filename, p.Time
	one.Decision, one.Grade, one.Reasons, one.Policy = p.Decision, p.Grade, p.Reasons, p.Policy.Digest
	one.Record = p.Record
	return one, nil
}
