package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"assize.dev/services/scan/internal/enrich"
)

// enrichment takes KEV and EPSS, each if it is given and can be read.
func (u *update) enrichment(ctx context.Context) error {
	if u.KEV == "" && u.EPSS == "" {
		return nil
	}
	table, err := u.store.Enrichment()
	if err != nil {
		u.say("what was known beyond advisories cannot be used (%v): reading it anew", err)
		table = new(enrich.Table)
	}
	old := slices.Collect(table.All())
	kev, errKEV := u.facts(ctx, u.KEV, &u.state.KEV, old, enrich.ParseKEV)
	epss, errEPSS := u.facts(ctx, u.EPSS, &u.state.EPSS, old, enrich.ParseEPSS)
	for _, err := range []error{errKEV, errEPSS} {
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			u.report.Failed = append(u.report.Failed, err.Error())
		}
	}
	return u.store.saveEnrichment(enrich.Merge(kev, epss))
}

// facts reads one of the two, or keeps the old facts.
func (u *update) facts(ctx context.Context, source string, state **SourceState, old []enrich.Fact, parse func(io.Reader) ([]enrich.Fact, error)) ([]enrich.Fact, error) {
	if source == "" {
		return old, nil
	}
	u.say("%s", printableSource(source))
	facts, err := u.parsed(ctx, source, parse)
	if err != nil {
		failed := SourceState{Error: cutTo(err.Error(), 1000)}
		if *state != nil {
			failed.Updated = (*state).Updated
		}
		*state = &failed
		return old, fmt.Errorf("%s: %w", printableSource(source), err)
	}
	*state = &SourceState{Updated: u.now}
	return facts, nil
}

func (u *update) parsed(ctx context.Context, source string, parse func(io.Reader) ([]enrich.Fact, error)) ([]enrich.Fact, error) {
	if !strings.Contains(source, "://") {
		f, err := os.Open(source)
		if err != nil {
			var e *fs.PathError
			if errors.As(err, &e) {
				err = e.Err
			}
			return nil, err
		}
		defer f.Close()
		return parse(f)
	}
	r, err := newRemote(source, u.Bucket)
	if err != nil {
		return nil, err
	}
	if u.pause > 0 {
		r.pause = u.pause
	}
	_, f, err := u.file("facts")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := r.get(ctx, r.at(), "", enrich.MaxSource, f); err != nil {
		return nil, err
	}
	return parse(f)
}
