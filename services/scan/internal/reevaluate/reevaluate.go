// Package reevaluate judges artifacts again when the world has changed: new
// advisories, advisories that were corrected or withdrawn, exploitation that
// became known. Only artifacts with a package that something was said about
// are looked at, and only those for which the answer differs are judged.
package reevaluate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/services/scan/internal/index"
	"assize.dev/services/scan/internal/inventory"
	"assize.dev/services/scan/internal/vulnerabilities"
	"assize.dev/shared/bus"
	"assize.dev/shared/event"
	"assize.dev/shared/evidence"
)

// Reevaluator follows verdicts into an inventory and, when what is known has
// changed, publishes new examinations of what that changes.
type Reevaluator struct {
	Inventory *inventory.Inventory
	Knowledge *vulnerabilities.Knowledge
	Runner    *evidence.Runner
	// InFlight is how many artifacts are examined again at a time, at most;
	// 64 if 0. Uploads have consumers of their own and do not wait for them.
	InFlight int
	Log      *slog.Logger

	// last is the index that meta "evaluated" is of, kept open to tell what
	// the next one changes; nil after a start.
	last    *index.Index
	release func()

	rows sync.Mutex // held from reading a row until its change is stored
}

const (
	defaultInFlight = 64
	look            = time.Second // between looks at whether anything has changed

	metaPosition  = "position"  // sequence in the stream of verdicts
	metaLate      = "late"      // rows, as JSON, that are still to be held against the advisories
	metaEvaluated = "evaluated" // state that all rows were held against
)

// Run goes on until ctx ends.
func (r *Reevaluator) Run(ctx context.Context) error {
	defer func() {
		if r.release != nil {
			r.release()
		}
		r.last, r.release = nil, nil
	}()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.persist(ctx, "following the verdicts", r.follow) })
	group.Go(func() error { return r.persist(ctx, "judging again", r.Renew) })
	return group.Wait()
}

// persist does something again and again, through every outage.
func (r *Reevaluator) persist(ctx context.Context, what string, do func(context.Context) error) error {
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			r.Log.WarnContext(ctx, what+" was interrupted; it will go on", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(look):
		}
	}
}

// state names what findings rest on: two equal states give equal findings.
func state(basis map[string]string) string {
	return basis["advisories"] + ":" + basis["enrichment"]
}

// Renew brings every artifact up to what is known now. It returns when all
// that changes was published, or with the first failure; then calling it again
// goes on.
func (r *Reevaluator) Renew(ctx context.Context) error {
	known, done := r.Knowledge.Acquire()
	if known == nil {
		done()
		return nil
	}
	evaluated, err := r.Inventory.Meta(metaEvaluated)
	now := state(known.Basis())
	if err != nil || evaluated == now {
		done()
		return err
	}
	if err := r.renew(ctx, known, evaluated, now); err != nil {
		done()
		return err
	}
	if err := r.Inventory.Apply(inventory.Change{Meta: map[string]string{metaEvaluated: now}}); err != nil {
		done()
		return err
	}
	if r.release != nil {
		r.release()
	}
	r.last, r.release = known.Index, done
	return nil
}

func (r *Reevaluator) renew(ctx context.Context, known *vulnerabilities.Known, from, to string) error {
	started := time.Now()
	looked, judged := 0, 0
	each := func(row inventory.Row, components []string, cause string) error {
		looked++
		if err := r.wait(ctx); err != nil {
			return err
		}
		changed, err := r.consider(ctx, known, &row, components, cause)
		if changed {
			judged++
		}
		return err
	}
	oldGeneration, oldFacts, _ := strings.Cut(from, ":")
	_, facts, _ := strings.Cut(to, ":")
	var err error
	if r.last != nil && r.last.Generation() == oldGeneration {
		var changed []index.Changed
		if changed, err = index.Diff(r.last, known.Index); err != nil {
			return err
		}
		err = r.packages(changed, each)
		if err == nil && facts != oldFacts {
			err = r.withFindings(each)
		}
	} else {
		// What the rows were held against is not there any more: look at all.
		err = r.Inventory.All(func(row inventory.Row) error {
			if row.Basis == to {
				return nil
			}
			return each(row, nil, "what is known of vulnerabilities has changed")
		})
	}
	if err != nil {
		return err
	}
	r.Log.InfoContext(ctx, "held against new advisories", "state", to, "looked at", looked, "judged again", judged, "took", time.Since(started).Round(time.Millisecond))
	return nil
}

// packages considers what has one of some packages.
func (r *Reevaluator) packages(changed []index.Changed, each func(inventory.Row, []string, string) error) error {
	names := make([][2]string, 0, len(changed))
	for _, c := range changed {
		names = append(names, [2]string{c.Ecosystem, c.Name})
	}
	return r.Inventory.With(names, func(c inventory.Candidate) error {
		return each(c.Row, c.Components, causeOf(changed))
	})
}

// causeOf says for people what is new.
func causeOf(changed []index.Changed) string {
	const few = 3
	var words []string
	for _, c := range changed[:min(few, len(changed))] {
		words = append(words, fmt.Sprintf("%s about %s %s", strings.Join(c.Advisories[:min(few, len(c.Advisories))], ", "), c.Ecosystem, c.Name))
	}
	text := "new or changed advisories: " + strings.Join(words, "; ")
	if len(changed) > few {
		text += fmt.Sprintf(" and of %d more packages", len(changed)-few)
	}
	return text
}

// withFindings considers the components that have findings, for exploitation
// that became known.
func (r *Reevaluator) withFindings(each func(inventory.Row, []string, string) error) error {
	return r.Inventory.All(func(row inventory.Row) error {
		if len(row.Findings) == 0 {
			return nil
		}
		var components []string
		for purl := range row.Findings {
			components = append(components, purl)
		}
		return each(row, components, "what is known of the exploitation of vulnerabilities has changed")
	})
}

// consider holds components of an artifact, all if none are given, against
// what is known, and has it judged again if the answer differs.
func (r *Reevaluator) consider(ctx context.Context, known *vulnerabilities.Known, of *inventory.Row, components []string, cause string) (changed bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	r.rows.Lock()
	defer r.rows.Unlock()
	row, err := r.Inventory.Row(of)
	if err != nil || row == nil {
		return false, err
	}
	if components == nil {
		document, err := r.Runner.Document(ctx, event.Document{Digest: row.SBOM})
		if err != nil {
			return false, fmt.Errorf("SBOM of run %s: %w", row.Run, err)
		}
		if _, components, err = vulnerabilities.ComponentsOf(document); err != nil {
			return false, fmt.Errorf("SBOM of run %s: %w", row.Run, err)
		}
	}
	known.Artifact = row.PURL
	for _, purl := range components {
		if row.Findings[purl] != sum(known.PURL(purl).Findings) {
			return true, r.again(ctx, *row, known, cause)
		}
	}
	return false, nil
}

// sum is what findings of a component say that a verdict may turn on; "" of
// none. Of EPSS, which changes every day, it is the tenth.
func sum(findings []event.Finding) string {
	if len(findings) == 0 {
		return ""
	}
	var lines []string
	for _, f := range findings {
		vex := ""
		if f.VEX != nil {
			vex = f.VEX.Status
		}
		fixed := f.Fixed[:min(len(f.Fixed), 8)] // evidence does not list many more
		lines = append(lines, fmt.Sprint(f.ID, f.Class, f.Severity, f.Score, f.KEV, fixed, vex, int(f.EPSS*10)))
	}
	slices.Sort(lines)
	h := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(h[:8])
}

// Sums are those of a list of findings, by component.
func Sums(findings []event.Finding) map[string]string {
	byComponent := map[string][]event.Finding{}
	for _, f := range findings {
		if f.Component != "" && f.Class != event.ClassUnevaluated {
			byComponent[f.Component] = append(byComponent[f.Component], f)
		}
	}
	sums := make(map[string]string, len(byComponent))
	for component, some := range byComponent {
		sums[component] = sum(some)
	}
	return sums
}

// again orders an examination that gathers nothing but the findings anew, and
// answers it. The run's name follows from what is judged again and why, so
// that a process that is killed halfway does not order it twice.
func (r *Reevaluator) again(ctx context.Context, row inventory.Row, known *vulnerabilities.Known, cause string) error {
	past, err := r.record(ctx, &row)
	if err != nil {
		return err
	}
	artifact := past.artifact
	artifact.Run = runName(&row, state(known.Basis()), known.Index.Manifest().Built)
	// Signatures stay: who has it examined whole later finds them in this run.
	artifact.Lane, artifact.Supersedes, artifact.Cause = event.LaneAgain, row.Run, cut(cause)
	artifact.Reuse, artifact.Policy = past.others, ""
	if err := r.publish(ctx, &artifact); err != nil {
		return err
	}
	started := time.Now()
	analyser := vulnerabilities.New(r.Knowledge)
	in := evidence.Input{Artifact: artifact, Evidence: past.sbom, Document: r.Runner.Document}
	answer, err := analyser.Analyse(ctx, in)
	if err != nil {
		return err
	}
	all := slices.Clone(answer.Findings)
	if err := r.Runner.Say(ctx, analyser, artifact, answer, started); err != nil {
		return err
	}
	row.Findings, row.Basis, row.Pending = Sums(all), state(answer.Basis), artifact.Run
	return r.Inventory.Apply(inventory.Change{Rows: []inventory.Put{{Row: row}}})
}

// cut keeps a cause within what an event may carry.
func cut(cause string) string {
	if len(cause) > event.MaxName {
		cause = strings.ToValidUTF8(cause[:event.MaxName-3], "") + "…"
	}
	return cause
}

// wait until not too many artifacts are being examined again.
func (r *Reevaluator) wait(ctx context.Context) error {
	for {
		n, err := r.Inventory.Pending()
		if err != nil || n < cmp.Or(r.InFlight, defaultInFlight) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look / 5):
		}
	}
}

func (r *Reevaluator) publish(ctx context.Context, a *event.Artifact) error {
	e, err := event.New("assize/scan", time.Now(), a)
	if err != nil {
		return err
	}
	if _, err := r.Runner.Bus.Publish(ctx, e, bus.Once()); err != nil && !errors.Is(err, bus.ErrExists) {
		return err
	}
	return nil
}

// runName follows from what is judged and why; its time is that at which the
// advisories were built.
func runName(row *inventory.Row, state string, at time.Time) string {
	return event.NamedRun(at, row.Registry, row.Filename, string(row.Digest), row.Run, state)
}
