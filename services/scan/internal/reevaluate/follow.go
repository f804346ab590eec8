package reevaluate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"assize.dev/services/scan/internal/inventory"
	"assize.dev/services/scan/internal/vulnerabilities"
	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/event"
)

// batch is how many verdicts are taken into the inventory at a time, at most.
const batch = 64

// follow takes every verdict into the inventory. The position in the stream
// is stored with the rows, so none is taken twice or passed over, whenever the
// process ends.
func (r *Reevaluator) follow(ctx context.Context) error {
	position, err := r.Inventory.Meta(metaPosition)
	if err != nil {
		return err
	}
	from := uint64(0)
	if position != "" {
		if from, err = strconv.ParseUint(position, 10, 64); err != nil {
			return fmt.Errorf("inventory: position %q: %w", position, err)
		}
	}
	if err := r.unfinished(ctx); err != nil {
		return err
	}
	var puts []inventory.Put
	return r.Runner.Bus.Follow(ctx, bus.Verdicts, from+1, nil, func(m *bus.Message) error {
		var v event.Verdict
		if m.Event != nil && event.Decode(m.Event, &v) == nil {
			p, err := r.taken(ctx, &v)
			switch {
			case err == nil:
				puts = append(puts, *p)
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, bus.ErrUnavailable):
				return err // Run's caller starts anew, from the position stored
			default:
				r.Log.WarnContext(ctx, "an artifact cannot be judged again when advisories change", "run", v.Run, "reason", err)
			}
		}
		if len(puts) < batch && m.Pending > 0 {
			return nil
		}
		late, err := r.lateOf(puts)
		if err != nil {
			return err
		}
		change := inventory.Change{Rows: puts, Meta: map[string]string{metaPosition: strconv.FormatUint(m.Sequence, 10)}}
		if len(late.puts) > 0 {
			change.Meta[metaLate] = late.note
		}
		r.rows.Lock()
		err = r.Inventory.Apply(change)
		r.rows.Unlock()
		if err != nil {
			return err
		}
		if len(late.puts) == 0 { // unless there are other advisories by now
			if late, err = r.lateOf(puts); err != nil {
				return err
			}
		}
		puts = nil
		if len(late.puts) == 0 {
			return nil
		}
		return r.late(ctx, late.puts)
	})
}

// lateRows were judged by other advisories than those of now. The note of them
// is stored with the rows, as the change of advisories may have been dealt with
// before they came in: a process that is killed before it has looked at them
// leaves them to its next life.
type lateRows struct {
	puts []inventory.Put
	note string
}

func (r *Reevaluator) lateOf(puts []inventory.Put) (late lateRows, err error) {
	known, done := r.Knowledge.Acquire()
	defer done()
	if known == nil {
		return late, nil
	}
	now := state(known.Basis())
	var rows []inventory.Row
	for _, p := range puts {
		if p.Row.Basis != now {
			late.puts = append(late.puts, p)
			// Findings are in the inventory; here they would only take room.
			rows = append(rows, inventory.Row{Registry: p.Row.Registry, Filename: p.Row.Filename, Digest: p.Row.Digest, Run: p.Row.Run, Basis: p.Row.Basis})
		}
	}
	text, err := json.Marshal(rows)
	late.note = string(text)
	return late, err
}

// unfinished looks at what an earlier life had noted as late.
func (r *Reevaluator) unfinished(ctx context.Context) error {
	note, err := r.Inventory.Meta(metaLate)
	if err != nil || note == "" {
		return err
	}
	var rows []inventory.Row
	if err := json.Unmarshal([]byte(note), &rows); err != nil {
		return fmt.Errorf("inventory: what is late: %w", err)
	}
	var puts []inventory.Put
	for _, row := range rows {
		puts = append(puts, inventory.Put{Row: row})
	}
	return r.late(ctx, puts)
}

// late looks again at what was judged by advisories that are not those of now,
// and forgets the note of it.
func (r *Reevaluator) late(ctx context.Context, puts []inventory.Put) error {
	known, done := r.Knowledge.Acquire()
	defer done()
	if known == nil {
		return nil // the note stays
	}
	for _, p := range puts {
		if _, err := r.consider(ctx, known, &p.Row, p.Components, "it was judged while the advisories changed"); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.Log.WarnContext(ctx, "an artifact could not be held against the new advisories; the next change will", "run", p.Row.Run, "error", err)
		}
	}
	return r.Inventory.Apply(inventory.Change{Meta: map[string]string{metaLate: ""}})
}

// past is what a record tells that matters here.
type past struct {
	artifact        event.Artifact
	sbom            *event.Evidence
	vulnerabilities *event.Evidence
	others          []event.Kind // kinds of evidence besides vulnerabilities
}

// maxRecord is the size of the largest record, in bytes, as verdict writes it.
const maxRecord = 32 << 20

// record reads the record of a row's run.
func (r *Reevaluator) record(ctx context.Context, row *inventory.Row) (*past, error) {
	prefix := blob.VerdictKey(row.Digest, row.Run, "evidence.json")
	failed := fmt.Errorf("%w: %s", blob.ErrNotFound, prefix)
	// A replica with another policy may have left its record beside it; all
	// have the same evidence.
	for info, err := range r.Runner.Store.List(ctx, prefix, "") {
		if err != nil {
			return nil, bus.Unavailable(err)
		}
		p, err := r.read(ctx, info.Key, row)
		if err == nil {
			return p, nil
		}
		failed = err
	}
	return nil, failed
}

func (r *Reevaluator) read(ctx context.Context, key string, row *inventory.Row) (*past, error) {
	o, err := r.Runner.Store.Open(ctx, key)
	if err != nil {
		return nil, bus.Unavailable(err)
	}
	defer o.Close()
	text, err := io.ReadAll(io.LimitReader(o, maxRecord+1))
	if err != nil {
		return nil, bus.Unavailable(err)
	}
	if len(text) > maxRecord {
		return nil, fmt.Errorf("%s: more than %d bytes", key, maxRecord)
	}
	var record struct {
		Artifact struct{ Data []byte }
		Evidence []struct {
			Kind event.Kind
			Data []byte
		}
	}
	if err := json.Unmarshal(text, &record); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	p := &past{}
	if err := json.Unmarshal(record.Artifact.Data, &p.artifact); err != nil {
		return nil, fmt.Errorf("%s: artifact: %w", key, err)
	}
	if p.artifact.Digest != row.Digest || p.artifact.Run != row.Run {
		return nil, fmt.Errorf("%s is of run %s and %s", key, p.artifact.Run, p.artifact.Digest)
	}
	for _, f := range record.Evidence {
		if f.Kind != event.KindVulnerabilities {
			p.others = append(p.others, f.Kind)
		}
		if f.Kind != event.KindVulnerabilities && f.Kind != event.KindSBOM || len(f.Data) == 0 {
			continue
		}
		var e event.Evidence
		if err := json.Unmarshal(f.Data, &e); err != nil {
			return nil, fmt.Errorf("%s: %s evidence: %w", key, f.Kind, err)
		}
		if e.Artifact != row.Digest {
			return nil, fmt.Errorf("%s: %s evidence of %s", key, f.Kind, e.Artifact)
		}
		if f.Kind == event.KindSBOM {
			p.sbom = &e
		} else {
			p.vulnerabilities = &e
		}
	}
	return p, nil
}

var errNoSBOM = errors.New("it has no SBOM")

// taken makes the row of a verdict.
func (r *Reevaluator) taken(ctx context.Context, v *event.Verdict) (*inventory.Put, error) {
	row := inventory.Row{Registry: v.Registry, Filename: v.Filename, Digest: v.Artifact, Run: v.Run}
	p, err := r.record(ctx, &row)
	if err != nil {
		return nil, err
	}
	if p.sbom == nil {
		return nil, errNoSBOM
	}
	for _, d := range p.sbom.Documents {
		if d.Name == "sbom" {
			row.SBOM = d.Digest
		}
	}
	if row.SBOM == "" {
		return nil, errNoSBOM
	}
	document, err := r.Runner.Document(ctx, event.Document{Digest: row.SBOM})
	if err != nil {
		return nil, err
	}
	described, components, err := vulnerabilities.ComponentsOf(document)
	if err != nil {
		return nil, err
	}
	row.PURL = cmp.Or(p.artifact.PURL, described)
	if e := p.vulnerabilities; e != nil {
		findings, err := r.findings(ctx, e)
		if err != nil {
			return nil, err
		}
		row.Basis, row.Findings = state(e.Basis), Sums(findings)
	}
	return &inventory.Put{Row: row, Components: components}, nil
}

// findings of evidence, all of them.
func (r *Reevaluator) findings(ctx context.Context, e *event.Evidence) ([]event.Finding, error) {
	for _, d := range e.Documents {
		if d.Name != "findings" {
			continue
		}
		text, err := r.Runner.Document(ctx, d)
		if err != nil {
			return nil, err
		}
		var all []event.Finding
		if err := json.Unmarshal(text, &all); err != nil {
			return nil, fmt.Errorf("findings of run %s: %w", e.Run, err)
		}
		return all, nil
	}
	return e.Findings, nil
}
