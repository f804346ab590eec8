package evidence

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/shared/blob"
	"assize.dev/shared/bus"
	"assize.dev/shared/event"
)

// Runner connects a service's analysers to the stream and the store.
type Runner struct {
	Service string // producer name and CloudEvents source
	Bus     *bus.Bus
	Store   blob.Store
	Workers int // analyses of new artifacts at a time, per analyser; at least 1
	// Timeout bounds one analysis, which then counts as failed once and is
	// tried again; 15 minutes if 0.
	Timeout time.Duration
	Log     *slog.Logger

	backoff func(attempt int) time.Duration // the bus's unless a test is in a hurry
}

const defaultTimeout = 15 * time.Minute

// Run serves all analysers until ctx ends. Those that read artifacts get one
// consumer a lane; those that implement Follower get one consumer.
func (r *Runner) Run(ctx context.Context, analysers ...Analyser) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, a := range analysers {
		if f, ok := a.(Follower); ok {
			group.Go(func() error {
				return r.consume(ctx, a, string(a.Kind()), max(1, r.Workers), func(ctx context.Context, m *bus.Message) (*Input, error) {
					return r.afterEvidence(ctx, m, f.Follows())
				})
			})
			continue
		}
		for _, lane := range event.Lanes {
			workers := max(1, r.Workers)
			if lane != event.LaneNew {
				workers = max(1, r.Workers/2)
			}
			group.Go(func() error {
				return r.consume(ctx, a, bus.DurableFor(a.Kind(), lane), workers, r.ofArtifact)
			})
		}
	}
	return group.Wait()
}

// Follower is an Analyser that builds on another kind of evidence instead of
// reading the artifact.
type Follower interface {
	Analyser
	Follows() event.Kind
}

type inputOf func(ctx context.Context, m *bus.Message) (*Input, error)

func (r *Runner) consume(ctx context.Context, a Analyser, durable string, workers int, read inputOf) error {
	return r.Bus.Consume(ctx, bus.Consumer{
		Service: r.Service, Stream: bus.Events, Durable: durable, Workers: workers,
		Timeout: cmp.Or(r.Timeout, defaultTimeout), Backoff: r.backoff,
		Handle: func(ctx context.Context, m *bus.Message) error {
			in, err := read(ctx, m)
			if err != nil {
				return err
			}
			if in.Artifact.Reuses(a.Kind()) {
				return nil // the superseded run's evidence counts again
			}
			if e := in.Evidence; e != nil && e.Artifact != in.Artifact.Digest {
				return bus.Permanent(fmt.Errorf("%s evidence is about %s, but the run about %s", e.Kind, e.Artifact, in.Artifact.Digest))
			}
			started := time.Now()
			answer, err := a.Analyse(ctx, *in)
			if err != nil {
				return err
			}
			if answer == nil {
				return errors.New("the analyser gave no answer")
			}
			return r.publish(ctx, a, in, answer, started)
		},
		// Every upload ends in a verdict: what cannot be analysed still
		// yields evidence, and the verdict says that it is missing.
		GaveUp: func(ctx context.Context, m *bus.Message, reason error) error {
			if m.Payload == nil {
				return nil // it says nothing that could be believed
			}
			in, err := read(ctx, m)
			if errors.Is(err, event.ErrInvalid) {
				return nil // no run to answer about
			}
			if err != nil {
				return err
			}
			if in.Artifact.Reuses(a.Kind()) {
				return nil
			}
			return r.publish(ctx, a, in, &Answer{Status: event.Failed, Reason: cmp.Or(reason.Error(), "no reason given")}, time.Now())
		},
	})
}

func (r *Runner) ofArtifact(_ context.Context, m *bus.Message) (*Input, error) {
	a, ok := m.Payload.(*event.Artifact)
	if !ok {
		return nil, bus.Permanent(fmt.Errorf("%w: %s on %s, want an artifact", event.ErrInvalid, m.Event.Type, m.Subject))
	}
	in := r.input()
	in.Artifact = *a
	return in, nil
}

func (r *Runner) afterEvidence(ctx context.Context, m *bus.Message, kind event.Kind) (*Input, error) {
	e, ok := m.Payload.(*event.Evidence)
	if !ok || e.Kind != kind {
		return nil, bus.Permanent(fmt.Errorf("%w: %s on %s, want evidence of kind %s", event.ErrInvalid, m.Event.Type, m.Subject, kind))
	}
	in := r.input()
	in.Evidence = e
	order, err := r.Bus.Last(ctx, event.ArtifactSubject(e.Lane, e.Registry, e.Run))
	if errors.Is(err, bus.ErrNotFound) {
		return nil, bus.Permanent(fmt.Errorf("%w: evidence about run %s, which was never ordered", event.ErrInvalid, e.Run))
	}
	if err != nil {
		return nil, bus.Unavailable(err)
	}
	if err := event.Decode(order.Event, &in.Artifact); err != nil {
		return nil, bus.Permanent(err)
	}
	return in, nil
}

func (r *Runner) input() *Input {
	in := &Input{}
	in.Bytes = func(ctx context.Context) (*blob.File, error) {
		f, err := blob.Fetch(ctx, r.Store, blob.BlobKey(in.Artifact.Digest), in.Artifact.Digest)
		return f, outage(ctx, err)
	}
	in.Document = func(ctx context.Context, d event.Document) ([]byte, error) {
		data, err := blob.GetDocument(ctx, r.Store, d.Digest, maxDocument)
		return data, outage(ctx, err)
	}
	return in
}

// outage marks a store's error as one that passes, unless the store answered
// about the object, or it is the analysis that ran out of time.
func outage(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	for _, answered := range []error{blob.ErrNotFound, blob.ErrCorrupt, blob.ErrTooLarge, blob.ErrKey} {
		if errors.Is(err, answered) {
			return err
		}
	}
	return bus.Unavailable(err)
}

// Say publishes an answer about an artifact that was examined outside of Run,
// as Run would have.
func (r *Runner) Say(ctx context.Context, a Analyser, artifact event.Artifact, answer *Answer, started time.Time) error {
	in := r.input()
	in.Artifact = artifact
	return r.publish(ctx, a, in, answer, started)
}

// Document reads a document from the store, as analysers do.
func (r *Runner) Document(ctx context.Context, d event.Document) ([]byte, error) {
	return r.input().Document(ctx, d)
}

// publish stores what is large and then says the rest, once: a second
// answer of the same kind about the same run is not heard.
func (r *Runner) publish(ctx context.Context, a Analyser, in *Input, answer *Answer, started time.Time) error {
	e := &event.Evidence{
		Run: in.Artifact.Run, Lane: in.Artifact.Lane, Registry: in.Artifact.Registry,
		Kind: a.Kind(), Artifact: in.Artifact.Digest,
		Producer: event.Producer{Name: r.Service, Version: clip(a.Version(), maxName)},
		Started:  started.UTC(), Finished: time.Now().UTC(),
	}
	documents, err := bounded(e, answer)
	if err != nil {
		return bus.Permanent(err)
	}
	for _, d := range documents {
		stored, err := blob.PutDocument(ctx, r.Store, d.Data)
		if err != nil {
			return fmt.Errorf("store document %s: %w", d.Name, outage(ctx, err))
		}
		e.Documents = append(e.Documents, event.Document{
			Name: d.Name, MediaType: d.MediaType, Key: blob.DocumentKey(stored), Digest: stored, Size: int64(len(d.Data)),
		})
	}
	ev, err := event.New("assize/"+r.Service, e.Finished, e)
	if err != nil {
		return bus.Permanent(err)
	}
	if _, err := r.Bus.Publish(ctx, ev, bus.Once()); errors.Is(err, bus.ErrExists) {
		r.Log.InfoContext(ctx, "there is evidence of this kind already", "run", e.Run, "kind", e.Kind)
		return nil
	} else if err != nil {
		return err
	}
	r.Log.InfoContext(ctx, "evidence", "run", e.Run, "kind", e.Kind, "status", e.Status, "findings", e.FindingsTotal,
		"took", e.Finished.Sub(e.Started).Round(time.Millisecond))
	return nil
}
