package advisory

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Bounds of what Load reads. Records are other people's: none of them can
// make it use more.
const (
	MaxRecord   = 8 << 20 // bytes of one record, inflated
	maxRecords  = 5 << 20
	maxInflated = 64 << 30 // bytes of all records together
)

// ErrNone is wrapped when a directory holds no advisories at all.
var ErrNone = errors.New("no advisories found")

// Stats says what Read met.
type Stats struct {
	// Ecosystems that an export was read of, even one that lists nothing; with
	// the release, where the export is of one, and without.
	Ecosystems map[string]bool
	Read       int // records
	Rejected   int
	// Retracted are ids that the sources have no more.
	Retracted []string
	// Refused are the ids of the rejected ones, as their files are named.
	Refused map[string]bool
	// RejectedNames are the first MaxRejectedNames of them, as
	// "PyPI/all.zip/PYSEC-1.json: reason".
	RejectedNames []string
}

// MaxRejectedNames is how many rejected records are kept by name.
const MaxRejectedNames = 100

// Read reads every advisory below dir: <dir>/<Ecosystem>/all.zip,
// <dir>/<Ecosystem>/*.json, <dir>/all.zip and <dir>/*.json, the layout of the
// OSV export; a file all.json that holds an array is the Arch Linux security
// tracker's export. Records are given to add, one at a time and in no order,
// decoded and as text. A record that cannot be read is rejected by name and
// counted, and the rest goes on. The error is ctx's, add's, an unreadable
// directory's, or wraps ErrNone.
func Read(ctx context.Context, dir string, add func(r *Record, raw []byte) error) (*Stats, error) {
	files, err := exportFiles(dir)
	if err != nil {
		return nil, fmt.Errorf("read advisories: %w", err)
	}
	l := &loader{sink: add, stats: Stats{Ecosystems: map[string]bool{}, Refused: map[string]bool{}}, work: make(chan rawRecord, 64)}
	g, ctx := errgroup.WithContext(ctx)
	for range max(1, min(runtime.GOMAXPROCS(0), 4)) {
		g.Go(func() error {
			for raw := range l.work {
				if err := l.add(raw); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(l.work)
		for _, f := range files {
			if err := l.readFile(ctx, dir, f); err != nil {
				return err
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("read advisories from %s: %w", dir, err)
	}
	if l.stats.Read+l.stats.Rejected == 0 && len(l.stats.Ecosystems) == 0 {
		return nil, fmt.Errorf("read advisories from %s: %w: want <Ecosystem>/all.zip or *.json", dir, ErrNone)
	}
	return &l.stats, nil
}

// exportFiles lists the files of the export, relative to dir.
func exportFiles(dir string) ([]string, error) {
	top, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range top {
		// Stat follows links: ecosystems are often linked in from a
		// shared mirror.
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			if isExport(e.Name()) {
				files = append(files, e.Name())
			}
			continue
		}
		inner, err := os.ReadDir(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		for _, f := range inner {
			if !f.IsDir() && isExport(f.Name()) {
				files = append(files, filepath.Join(e.Name(), f.Name()))
			}
		}
	}
	return files, nil
}

func isExport(name string) bool { return name == "all.zip" || strings.HasSuffix(name, ".json") }

type rawRecord struct {
	name string
	data []byte
}

// loader collects what its readers and decoders produce.
type loader struct {
	work     chan rawRecord // closed by the reader
	inflated int64          // owned by the reader
	read     int            // owned by the reader

	mu    sync.Mutex // guards everything below
	sink  func(*Record, []byte) error
	stats Stats
}

func (l *loader) readFile(ctx context.Context, dir, name string) error {
	path := filepath.Join(dir, name)
	if filepath.Base(name) == "all.zip" {
		ok, err := l.readZip(ctx, path, name)
		// An export that opens means its ecosystem is known, even when it
		// lists nothing; one that does not open leaves it unknown.
		if eco := filepath.Dir(name); ok && eco != "." {
			base, _, _ := strings.Cut(eco, ":")
			l.mu.Lock()
			l.stats.Ecosystems[eco], l.stats.Ecosystems[base] = true, true
			l.mu.Unlock()
		}
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		l.reject(name, err)
		return nil
	}
	defer f.Close()
	return l.readRecord(ctx, name, f)
}

func (l *loader) readZip(ctx context.Context, path, name string) (opened bool, err error) {
	z, err := zip.OpenReader(path)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		l.reject(name, err)
		return false, nil
	}
	defer z.Close()
	for _, member := range z.File {
		if !strings.HasSuffix(member.Name, ".json") {
			continue
		}
		where := name + "/" + member.Name
		r, err := member.Open()
		if err != nil {
			l.reject(where, err)
			continue
		}
		err = l.readRecord(ctx, where, r)
		r.Close()
		if err != nil {
			return true, err
		}
	}
	return true, nil
}

func (l *loader) readRecord(ctx context.Context, name string, r io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(r, MaxRecord+1))
	l.read++
	l.inflated += int64(len(data))
	switch {
	case l.read > maxRecords || l.inflated > maxInflated:
		return fmt.Errorf("%s: more than %d records or %d bytes in all", name, maxRecords, int64(maxInflated))
	case err != nil:
		l.reject(name, err)
		return nil
	case len(data) > MaxRecord:
		l.reject(name, fmt.Errorf("larger than %d bytes", MaxRecord))
		return nil
	}
	select {
	case l.work <- rawRecord{name, data}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *loader) add(raw rawRecord) error {
	if IsTracker(raw.name, raw.data) {
		var failed error
		err := DecodeTracker(raw.data, func(name string, r *Record, text []byte, err error) {
			failed = errors.Join(failed, l.give(raw.name+"/"+name, r, text, err))
		})
		if err != nil {
			l.reject(raw.name, err)
		}
		return failed
	}
	r, err := Decode(raw.data)
	return l.give(raw.name, r, raw.data, err)
}

func (l *loader) give(name string, r *Record, raw []byte, err error) error {
	if err != nil {
		l.reject(name, err)
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Read++
	return l.sink(r, raw)
}

func (l *loader) reject(name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Rejected++
	l.stats.Refused[strings.TrimSuffix(filepath.Base(name), ".json")] = true
	if len(l.stats.RejectedNames) < MaxRejectedNames {
		l.stats.RejectedNames = append(l.stats.RejectedNames, fmt.Sprintf("%.300s: %.300s", name, err))
	}
}
