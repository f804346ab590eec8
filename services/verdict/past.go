package verdict

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"assize.dev/services/verdict/internal/join"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/event"
)

// past reads the records of earlier runs from the object store.
type past struct {
	bus   *bus.Bus
	store blob.Store
}

// Record implements join.Past. The record is where the earlier decision says,
// if the stream still has it, else where it would be; the decision itself is
// read from the stream or from the signed verdict. Whatever is read is held
// against the artifact: only a record of the same bytes counts.
func (p past) Record(ctx context.Context, a *event.Artifact) (*join.Before, error) {
	before := &join.Before{}
	key := blob.VerdictKey(a.Digest, a.Supersedes, RecordName)
	decided, err := p.decision(ctx, a)
	switch {
	case err != nil:
		return nil, err
	case decided != nil:
		before.Decision, before.Grade = decided.Decision, decided.Grade
		if decided.Record.Key != "" {
			key = decided.Record.Key
		}
	default:
		if before.Decision, before.Grade, err = p.signed(ctx, a); err != nil {
			return nil, err
		}
	}
	text, err := p.read(ctx, key, MaxRecord)
	if err != nil {
		return nil, err
	}
	r, err := ParseRecord(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", join.ErrNoRecord, key, err)
	}
	var earlier event.Artifact
	if err := json.Unmarshal(r.Artifact.Data, &earlier); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", join.ErrNoRecord, key, err)
	}
	if earlier.Digest != a.Digest || earlier.Run != a.Supersedes || earlier.Registry != a.Registry {
		return nil, fmt.Errorf("%w: %s is of run %s and %s", join.ErrNoRecord, key, earlier.Run, earlier.Digest)
	}
	before.Policy = r.Policy.Policy
	for _, f := range r.Evidence {
		if len(f.Data) > 0 {
			before.Evidence = append(before.Evidence, join.ReadReused(f.Kind, f.Type, f.Data, earlier))
		}
	}
	return before, nil
}

// decision of the superseded run; nil if the stream has it no more.
func (p past) decision(ctx context.Context, a *event.Artifact) (*event.Decision, error) {
	m, err := p.bus.Last(ctx, event.DecisionSubject(a.Registry, a.Supersedes))
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, bus.Unavailable(err)
	}
	var d event.Decision
	if m.Event == nil || event.Decode(m.Event, &d) != nil || d.Artifact.Digest != a.Digest {
		return nil, nil // nothing that could be believed
	}
	return &d, nil
}

// signed reads what was concluded from the stored verdict; nothing if there
// is none.
func (p past) signed(ctx context.Context, a *event.Artifact) (event.Outcome, event.Grade, error) {
	text, err := p.read(ctx, blob.VerdictKey(a.Digest, a.Supersedes, envelopeName), MaxRecord)
	if errors.Is(err, join.ErrNoRecord) {
		return "", "", nil
	}
	if err != nil {
		return "", "", err
	}
	one, err := concluded(Stored{Artifact: a.Digest, Run: a.Supersedes, Envelope: text})
	if err != nil {
		return "", "", nil // nothing that could be believed
	}
	return one.Decision, one.Grade, nil
}

func (p past) read(ctx context.Context, key string, most int64) ([]byte, error) {
	o, err := p.store.Open(ctx, key)
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrKey) {
		return nil, fmt.Errorf("%w: %s: %w", join.ErrNoRecord, key, err)
	}
	if err != nil {
		return nil, bus.Unavailable(err)
	}
	defer o.Close()
	if o.Size() > most {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d", join.ErrNoRecord, key, o.Size(), most)
	}
	text, err := io.ReadAll(o)
	if errors.Is(err, blob.ErrCorrupt) {
		return nil, fmt.Errorf("%w: %w", join.ErrNoRecord, err)
	}
	if err != nil {
		return nil, bus.Unavailable(err)
	}
	return text, nil
}
