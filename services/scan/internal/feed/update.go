package feed

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"assize.dev/services/scan/internal/advisory"
	"assize.dev/services/scan/internal/index"
	"assize.dev/shared/blob"
)

// Options of an update.
type Options struct {
	// Sources are directories in the layout of the OSV export, archives of it
	// (all.zip), addresses of mirrors (https or s3://bucket/prefix), or of
	// Arch's tracker (ending in .json).
	Sources []string
	Bucket  blob.S3Config // how s3:// is read; without keys as a public bucket
	// Ecosystems to take of mirrors; empty: all that the mirror lists in
	// ecosystems.txt.
	Ecosystems []string
	KEV, EPSS  string // files or addresses; "" leaves what there is
	Progress   func(string)

	pause time.Duration // between tries, for tests in a hurry
}

// Report tells what an update did.
type Report struct {
	Generation string   `json:"generation"`
	Previous   string   `json:"previous,omitempty"`
	Read       int      `json:"read"`      // records that came
	Retracted  int      `json:"retracted"` // ids that the sources have no more
	Rejected   int      `json:"rejected"`
	Failed     []string `json:"failed,omitempty"` // sources that could not be read; what they gave before stays
}

// Update takes what is new from all sources. A source that fails leaves what
// it gave before, and is named in the report; the error is that nothing could
// be read at all, or of the store.
func (s *Store) Update(ctx context.Context, o Options) (*Report, error) {
	if len(o.Sources) == 0 {
		return nil, errors.New("update advisories: no source is given")
	}
	release, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer release()
	state, err := s.State()
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(s.dir, ".fetch-")
	if err != nil {
		return nil, fmt.Errorf("update advisories: %w", err)
	}
	defer os.RemoveAll(work)
	base, err := s.Open()
	if err != nil && !errors.Is(err, ErrNone) {
		o.say("the present advisories cannot be used (%v): building anew", err)
		state.Sources = nil
	}
	if base != nil {
		defer base.Close()
	}
	u := &update{Options: o, store: s, state: state, base: base, work: work, report: &Report{}, now: time.Now().UTC().Truncate(time.Second)}
	if u.state.Sources == nil {
		u.state.Sources = map[string]SourceState{}
	}
	if base != nil {
		u.report.Previous, u.report.Generation = base.Generation(), base.Generation()
	}
	if err := u.advisories(ctx); err != nil {
		return u.report, fmt.Errorf("update advisories: %w", err)
	}
	if err := u.enrichment(ctx); err != nil {
		return u.report, fmt.Errorf("update advisories: %w", err)
	}
	if len(u.report.Failed) == 0 {
		u.state.Updated = u.now
	}
	return u.report, s.saveState(u.state)
}

func (o *Options) say(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

// update is one under way.
type update struct {
	Options
	store  *Store
	state  *State
	base   *index.Index // nil if there is none
	work   string
	report *Report
	now    time.Time
	next   map[string]SourceState // to be kept once the new generation is
}

// piece is something fetched: an export's directory, with what it covers.
type piece struct {
	dir     string
	whole   []string // ecosystems of which it has every record
	all     bool     // of every ecosystem that it has a record of
	retract []string // ids known to be gone
}

func (u *update) advisories(ctx context.Context) error {
	u.next = map[string]SourceState{}
	var pieces []piece
	reached := 0
	for _, source := range u.Sources {
		got, err := u.fetch(ctx, source)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			u.failed(source, err)
			continue
		}
		reached++
		pieces = append(pieces, got...)
	}
	if reached == 0 {
		return fmt.Errorf("no source could be read: %s", strings.Join(u.report.Failed, "; "))
	}
	if len(pieces) > 0 || u.base == nil {
		if err := u.build(ctx, pieces); err != nil {
			return err
		}
	}
	for name, state := range u.next {
		u.state.Sources[name] = state
	}
	return nil
}

func (u *update) failed(source string, err error) {
	u.say("%s: %v", printableSource(source), err)
	u.report.Failed = append(u.report.Failed, fmt.Sprintf("%s: %v", printableSource(source), err))
	state := u.state.Sources[source]
	state.Error = cutTo(err.Error(), 1000)
	u.state.Sources[source] = state
}

// printableSource hides a password in an address.
func printableSource(source string) string {
	if !strings.Contains(source, "://") {
		return source
	}
	u, err := url.Parse(source)
	if err != nil {
		return "an address" // which may hold a password
	}
	return u.Redacted()
}

// build makes the next generation of what was fetched.
func (u *update) build(ctx context.Context, pieces []piece) error {
	u.say("building the index")
	fill := func(ctx context.Context, add func(*advisory.Record, []byte) error) (*advisory.Stats, error) {
		all := &advisory.Stats{Ecosystems: map[string]bool{}}
		for _, p := range pieces {
			seen := map[string]bool{}
			if p.dir != "" {
				stats, err := advisory.Read(ctx, p.dir, func(r *advisory.Record, text []byte) error {
					seen[r.ID] = true
					for _, a := range r.Affected {
						if p.all && !slices.Contains(p.whole, a.Ecosystem) {
							p.whole = append(p.whole, a.Ecosystem)
						}
					}
					return add(r, text)
				})
				if err != nil {
					return nil, err
				}
				all.Read += stats.Read
				all.Rejected += stats.Rejected
				all.RejectedNames = append(all.RejectedNames, stats.RejectedNames...)
				maps.Copy(all.Ecosystems, stats.Ecosystems)
				// What is there but cannot be read is not gone: what it said
				// before counts on.
				maps.Copy(seen, stats.Refused)
			}
			all.Retracted = append(all.Retracted, p.retract...)
			gone, err := u.gone(p.whole, seen)
			if err != nil {
				return nil, err
			}
			all.Retracted = append(all.Retracted, gone...)
		}
		if len(all.RejectedNames) > advisory.MaxRejectedNames {
			all.RejectedNames = all.RejectedNames[:advisory.MaxRejectedNames]
		}
		u.report.Read, u.report.Rejected, u.report.Retracted = all.Read, all.Rejected, len(all.Retracted)
		return all, nil
	}
	m, err := u.store.adopt(func(dir string) error {
		if u.base == nil {
			return index.Write(ctx, dir, fill)
		}
		return index.Update(ctx, dir, u.base, fill)
	})
	if err != nil {
		return err
	}
	u.report.Generation = m.Generation
	return nil
}

// gone are the advisories about nothing but packages of ecosystems that were
// read whole, and that were not among what was read.
func (u *update) gone(ecosystems []string, seen map[string]bool) (ids []string, err error) {
	if u.base == nil || len(ecosystems) == 0 {
		return nil, nil
	}
	for e, err := range u.base.All() {
		if err != nil {
			return nil, err
		}
		if seen[e.ID] {
			continue
		}
		i, packages, err := e.Ref.Packages()
		if err != nil {
			return nil, err
		}
		outside := slices.ContainsFunc(packages, func(key string) bool {
			ecosystem, _, _ := strings.Cut(key, "\x00")
			return !slices.Contains(ecosystems, ecosystem)
		})
		if len(packages) > 0 && !outside {
			ids = append(ids, i.ID)
		}
	}
	return ids, nil
}

// fetch gets what a source has that is new; nothing if it has not changed.
func (u *update) fetch(ctx context.Context, source string) ([]piece, error) {
	if !strings.Contains(source, "://") {
		return u.directory(source)
	}
	r, err := newRemote(source, u.Bucket)
	if err != nil {
		return nil, err
	}
	if u.pause > 0 {
		r.pause = u.pause
	}
	if strings.HasSuffix(r.base.Path, ".json") {
		return u.tracker(ctx, source, r)
	}
	return u.mirror(ctx, source, r)
}

func (u *update) directory(source string) ([]piece, error) {
	archive, err := isArchive(source)
	if err != nil {
		return nil, err
	}
	dir := source
	if archive {
		if dir, err = u.linked(source); err != nil {
			return nil, err
		}
	}
	tag, err := signature(dir)
	if err != nil {
		return nil, err
	}
	old := u.state.Sources[source]
	u.next[source] = SourceState{Updated: u.now, Tag: tag}
	if u.base != nil && old.Tag == tag && old.Error == "" {
		return nil, nil
	}
	whole, err := ecosystemsIn(dir)
	return []piece{{dir: dir, whole: whole, all: archive}}, err
}

func isArchive(source string) (bool, error) {
	info, err := os.Stat(source)
	if err != nil {
		return false, err
	}
	return info.Mode().IsRegular() && strings.HasSuffix(source, ".zip"), nil
}

// linked is a folder with nothing but an archive, which advisory.Read then
// takes for an export. Its name says which archive, for the signature.
func (u *update) linked(archive string) (dir string, err error) {
	absolute, err := filepath.Abs(archive)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(u.work, fmt.Sprintf("archive-%x", sha256.Sum256([]byte(absolute))))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	return dir, os.Symlink(absolute, filepath.Join(dir, "all.zip"))
}

// ecosystemsIn lists the ecosystems that a directory has a folder for.
func ecosystemsIn(dir string) (all []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err == nil && info.IsDir() {
			base, _, _ := strings.Cut(e.Name(), ":")
			all = append(all, base)
		}
	}
	return all, err
}

// tracker gets Arch's export, one file with everything.
func (u *update) tracker(ctx context.Context, source string, r *remote) ([]piece, error) {
	dir, f, err := u.file("all.json")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	u.say("%s", printableSource(source))
	tag, err := r.get(ctx, r.at(), u.tag(source), advisory.MaxRecord, f)
	if errors.Is(err, errUnchanged) {
		u.next[source] = SourceState{Updated: u.now, Tag: tag}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	u.next[source] = SourceState{Updated: u.now, Tag: tag}
	return []piece{{dir: dir, whole: []string{advisory.Arch}}}, nil
}

func (u *update) tag(source string) string {
	if u.base == nil {
		return ""
	}
	return u.state.Sources[source].Tag
}

// file makes an empty file in a folder of its own, which advisory.Read will
// take for an export.
func (u *update) file(name string) (dir string, f *os.File, err error) {
	if dir, err = os.MkdirTemp(u.work, "export-"); err != nil {
		return "", nil, err
	}
	f, err = os.Create(filepath.Join(dir, name))
	return dir, f, err
}
