package feed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"assize.dev/services/scan/internal/advisory"
)

// maxSingle is how many changed records are fetched one by one, before the
// whole archive costs less.
const (
	maxSingle = 500
	overlap   = time.Hour // the list is not written at one moment
	parallel  = 8
)

// mirror gets what is new of every ecosystem. One that fails leaves the
// others.
func (u *update) mirror(ctx context.Context, source string, r *remote) ([]piece, error) {
	ecosystems := u.Ecosystems
	if len(ecosystems) == 0 {
		var err error
		if ecosystems, err = u.listed(ctx, r); err != nil {
			return nil, err
		}
	}
	var pieces []piece
	reached := 0
	for _, ecosystem := range ecosystems {
		if err := validEcosystem(ecosystem); err != nil {
			return nil, err
		}
		name := source + " " + ecosystem
		p, state, err := u.ecosystem(ctx, name, ecosystem, r)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			u.failed(name, err)
			continue
		}
		reached++
		u.next[name] = state
		if p != nil {
			pieces = append(pieces, *p)
		}
	}
	if reached == 0 && len(ecosystems) > 0 {
		return nil, errors.New("none of its ecosystems could be read")
	}
	return pieces, nil
}

func validEcosystem(name string) error {
	if name == "" || len(name) > 200 || strings.ContainsAny(name, "/\\\x00") || strings.HasPrefix(name, ".") {
		return fmt.Errorf("ecosystem %.60q: no name of one", name)
	}
	return nil
}

// listed reads ecosystems.txt, without those of single releases, which the
// others contain.
func (u *update) listed(ctx context.Context, r *remote) ([]string, error) {
	_, f, err := u.file("ecosystems.txt")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := r.get(ctx, r.at("ecosystems.txt"), "", 1<<20, f); err != nil {
		return nil, err
	}
	var all []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name := strings.TrimSpace(lines.Text()); name != "" && !strings.Contains(name, ":") && name != "[EMPTY]" {
			all = append(all, name)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("its ecosystems.txt lists none")
	}
	return all, nil
}

// ecosystem gets what is new of one: the records that its list says were
// changed, or its whole archive if those are many or nothing is there yet.
func (u *update) ecosystem(ctx context.Context, name, ecosystem string, r *remote) (*piece, SourceState, error) {
	old := u.state.Sources[name]
	state := SourceState{Updated: u.now, Until: old.Until, Tag: old.Tag}
	if u.base != nil && !old.Until.IsZero() && u.base.Loaded(ecosystem) {
		p, newest, err := u.changed(ctx, ecosystem, old.Until, r)
		switch {
		case err == nil:
			state.Until = newest
			return p, state, nil
		case !errors.Is(err, errMany):
			return nil, state, err
		}
	}
	u.say("%s: the whole archive", ecosystem)
	dir, f, err := u.file("placeholder")
	if err != nil {
		return nil, state, err
	}
	defer f.Close()
	tag := old.Tag
	if u.base == nil || !u.base.Loaded(ecosystem) {
		tag = ""
	}
	newTag, err := r.get(ctx, r.at(ecosystem, "all.zip"), tag, maxZip, f)
	if errors.Is(err, errUnchanged) {
		return nil, state, nil
	}
	if err != nil {
		return nil, state, err
	}
	if err := os.Mkdir(filepath.Join(dir, ecosystem), 0o755); err != nil {
		return nil, state, err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, ecosystem, "all.zip")); err != nil {
		return nil, state, err
	}
	newest, err := newestIn(ctx, dir)
	if err != nil {
		return nil, state, err
	}
	state.Tag, state.Until = newTag, newest
	return &piece{dir: dir, whole: []string{ecosystem}}, state, nil
}

// newestIn is the latest time of change in an archive, which also shows that
// it can be read: half of one would retract the other half.
func newestIn(ctx context.Context, dir string) (newest time.Time, err error) {
	stats, err := advisory.Read(ctx, dir, func(r *advisory.Record, _ []byte) error {
		if t, err := time.Parse(time.RFC3339Nano, r.Modified); err == nil && t.After(newest) {
			newest = t
		}
		return nil
	})
	if err == nil && stats.Rejected > stats.Read {
		err = fmt.Errorf("of its records %d were refused and only %d taken, the first is %s", stats.Rejected, stats.Read, stats.RejectedNames[0])
	}
	return newest, err
}

var errMany = errors.New("too many changes to fetch one by one")

// changed gets the records that modified_id.csv lists as changed since a
// time, and what it does not list any more.
func (u *update) changed(ctx context.Context, ecosystem string, since time.Time, r *remote) (*piece, time.Time, error) {
	_, f, err := u.file("modified_id.csv")
	if err != nil {
		return nil, since, err
	}
	defer f.Close()
	if _, err := r.get(ctx, r.at(ecosystem, "modified_id.csv"), "", maxList, f); err != nil {
		return nil, since, err
	}
	list, err := readList(f, since.Add(-overlap))
	if err != nil {
		return nil, since, fmt.Errorf("%s/modified_id.csv: %w", ecosystem, err)
	}
	var wanted []string
	for _, id := range list.changed {
		if !u.has(id, list.times[id]) {
			wanted = append(wanted, id)
		}
	}
	if len(wanted) > maxSingle {
		return nil, since, errMany
	}
	gone, err := u.gone([]string{ecosystem}, list.all)
	if err != nil {
		return nil, since, err
	}
	newest := since
	if list.newest.After(newest) {
		newest = list.newest
	}
	if len(wanted)+len(gone) == 0 {
		return nil, newest, nil
	}
	u.say("%s: %d changed, %d gone", ecosystem, len(wanted), len(gone))
	p := &piece{retract: gone}
	if len(wanted) > 0 {
		if p.dir, err = u.records(ctx, ecosystem, wanted, r); err != nil {
			return nil, since, err
		}
	}
	return p, newest, nil
}

// has tells whether a record with this time of change is there already.
func (u *update) has(id string, modified time.Time) bool {
	ref, ok, err := u.base.Find(id)
	if !ok || err != nil {
		return false
	}
	i, err := ref.Info()
	if err != nil {
		return false
	}
	t, err := time.Parse(time.RFC3339Nano, i.Modified)
	return err == nil && t.Equal(modified)
}

// list is what modified_id.csv says.
type list struct {
	all     map[string]bool
	changed []string // since the time asked for
	times   map[string]time.Time
	newest  time.Time
}

func readList(r io.Reader, since time.Time) (*list, error) {
	l := &list{all: map[string]bool{}, times: map[string]time.Time{}}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		when, id, ok := strings.Cut(lines.Text(), ",")
		t, err := time.Parse(time.RFC3339Nano, when)
		if !ok || err != nil || id == "" || len(id) > 256 || strings.ContainsAny(id, "/\\") || strings.HasPrefix(id, ".") {
			return nil, fmt.Errorf("line %d: %.100q: want a time and an id", n, lines.Text())
		}
		l.all[id] = true
		if t.After(l.newest) {
			l.newest = t
		}
		if !t.Before(since) {
			l.changed = append(l.changed, id)
			l.times[id] = t
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(l.all) == 0 {
		return nil, errors.New("it lists nothing")
	}
	return l, nil
}

// records fetches single records into a folder.
func (u *update) records(ctx context.Context, ecosystem string, ids []string, r *remote) (string, error) {
	dir, err := os.MkdirTemp(u.work, "export-")
	if err != nil {
		return "", err
	}
	if err := os.Mkdir(filepath.Join(dir, ecosystem), 0o755); err != nil {
		return "", err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, id := range ids {
		group.Go(func() error {
			f, err := os.Create(filepath.Join(dir, ecosystem, id+".json"))
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = r.get(ctx, r.at(ecosystem, id+".json"), "", advisory.MaxRecord, f)
			var answer *answerError
			if errors.As(err, &answer) && answer.code == 404 {
				// It went between the list and now: the next list will say so.
				return os.Remove(f.Name())
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	left, err := os.ReadDir(filepath.Join(dir, ecosystem))
	if err != nil || len(left) > 0 {
		return dir, err
	}
	return "", nil
}
