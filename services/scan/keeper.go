package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"assize.dev/services/scan/internal/feed"
	"assize.dev/shared/blob"
	"assize.dev/shared/event"
	"assize.dev/shared/notice"
)

// keeper keeps the advisories of a service up to date, in one of three ways:
// from a directory (an export), from sources, which it also publishes for
// other replicas, or from what another replica has published.
type keeper struct {
	config     Config
	advisories *Advisories
	objects    blob.Store
	board      *notice.Board // nil in tests without a bus
	log        *slog.Logger
	dir        string
	temporary  bool
	store      *feed.Store
	generation string // that is served
}

const defaultInterval = time.Hour

func newKeeper(s *Service) (*keeper, error) {
	k := &keeper{config: s.config, advisories: s.advisories, objects: s.runner.Store, log: s.runner.Log, dir: s.config.IndexDir}
	if s.runner.Bus != nil {
		k.board = &notice.Board{Bus: s.runner.Bus, Store: s.runner.Store, Service: "scan", Log: s.runner.Log}
	}
	if k.dir == "" {
		var err error
		if k.dir, err = os.MkdirTemp("", "assize-advisories-"); err != nil {
			return nil, fmt.Errorf("advisories: %w", err)
		}
		k.temporary = true
	}
	k.store = feed.At(k.dir)
	return k, nil
}

func (k *keeper) close() {
	if k.temporary {
		_ = os.RemoveAll(k.dir) // the system clears its folder for temporary files in the end
	}
}

// start loads what there is.
func (k *keeper) start(ctx context.Context) error {
	if k.config.Advisories != "" {
		if err := k.export(ctx); err != nil {
			return err
		}
		if err := k.announce(ctx); err != nil && ctx.Err() == nil {
			k.log.WarnContext(ctx, "the record does not know of the advisories yet", "error", err)
		}
		return nil
	}
	switch err := k.serve(ctx); {
	case err == nil, errors.Is(err, ErrNoAdvisories):
	default:
		k.log.WarnContext(ctx, "the index of the advisories cannot be used; it will be replaced", "error", err)
	}
	if err := k.renew(ctx); err != nil && ctx.Err() == nil {
		k.log.WarnContext(ctx, "no new advisories", "error", err)
	}
	return ctx.Err()
}

// keep asks for what is new, at intervals that drift apart between replicas.
func (k *keeper) keep(ctx context.Context) error {
	interval := cmp.Or(k.config.Interval, defaultInterval)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(interval + rand.N(interval/10+1)):
		}
		if err := k.renew(ctx); err != nil && ctx.Err() == nil {
			k.log.WarnContext(ctx, "no new advisories; those there are stay in service", "error", err)
		}
	}
}

func (k *keeper) renew(ctx context.Context) (err error) {
	switch {
	case k.config.Advisories != "":
		err = k.export(ctx)
	case len(k.config.Sources) > 0:
		err = k.update(ctx)
	default:
		err = k.fetch(ctx)
	}
	return errors.Join(err, k.announce(ctx))
}

// announce tells the record by which advisories is judged; once, whatever the
// number of replicas.
func (k *keeper) announce(ctx context.Context) error {
	if k.board == nil || k.generation == "" {
		return nil
	}
	return k.board.Changed(ctx, event.AdvisoriesUpdated, "", k.generation)
}

// export serves the directory as it is now.
func (k *keeper) export(ctx context.Context) error {
	if err := k.advisories.LoadExport(ctx, k.config.Advisories, k.dir); err != nil {
		return err
	}
	known, done := k.advisories.knowledge.Acquire()
	defer done()
	if g := known.Index.Generation(); g != k.generation {
		k.generation = g
		k.log.InfoContext(ctx, "advisories", "dir", k.config.Advisories, "generation", g)
	}
	return nil
}

// update takes what is new from the sources and publishes it.
func (k *keeper) update(ctx context.Context) error {
	report, err := k.store.Update(ctx, feed.Options{
		Sources: k.config.Sources, Bucket: k.config.Bucket.S3(), Ecosystems: k.config.Ecosystems, KEV: k.config.KEV, EPSS: k.config.EPSS,
		Progress: func(text string) { k.log.DebugContext(ctx, "advisories", "at", text) },
	})
	if err != nil {
		return err
	}
	for _, failed := range report.Failed {
		k.log.WarnContext(ctx, "a source of advisories failed; what it gave before stays", "source", failed)
	}
	if err := k.serve(ctx); err != nil {
		return err
	}
	return k.store.Publish(ctx, k.objects)
}

// fetch takes what another replica has published.
func (k *keeper) fetch(ctx context.Context) error {
	changed, err := k.store.Fetch(ctx, k.objects)
	if errors.Is(err, ErrNoAdvisories) {
		return nil // nobody has; the evidence says so
	}
	if err != nil || !changed {
		return err
	}
	return k.serve(ctx)
}

// serve makes what the store holds current.
func (k *keeper) serve(ctx context.Context) error {
	if err := k.advisories.use(k.store); err != nil {
		return err
	}
	known, done := k.advisories.knowledge.Acquire()
	defer done()
	if g := known.Index.Generation(); g != k.generation {
		k.generation = g
		k.log.InfoContext(ctx, "advisories", "generation", g, "records", known.Index.Stats().Records)
	}
	return nil
}
