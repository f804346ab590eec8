package index

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"assize.dev/services/scan/internal/advisory"
)

// Index is an open generation. It never changes; any number of goroutines
// may use it. Close it only when nobody does any more.
type Index struct {
	dir      string
	manifest Manifest
	base     *segment
	delta    *segment // nil if there is none
	dead     []bool   // records of the base that the delta replaces or retracts
}

// Manifest says what a generation is made of. It is stored beside its files
// as manifest.json.
type Manifest struct {
	// Generation is the SHA-256, in lower-case hexadecimal, over the sorted
	// (id, modified) pairs of all advisories, withdrawn ones included: two
	// indexes of the same generation give the same answers.
	Generation string    `json:"generation"`
	Files      []File    `json:"files"`
	Stats      Stats     `json:"stats"`
	Built      time.Time `json:"built"`
}

// File is a part of a generation.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Stats says what is in an index.
type Stats struct {
	Advisories map[string]int `json:"advisories"` // per base ecosystem; one naming two ecosystems counts twice
	Withdrawn  int            `json:"withdrawn"`
	Records    int            `json:"records"`
	Newest     time.Time      `json:"newest,omitzero"` // latest "modified"
	Rejected   int            `json:"rejected"`
	// RejectedNames are the first of them, as "PyPI/all.zip/PYSEC-1.json: reason".
	RejectedNames []string `json:"rejectedNames,omitempty"`
}

const (
	manifestName = "manifest.json"
	maxManifest  = 1 << 20
)

// Open opens the generation in a directory. Errors wrap ErrDamaged if it is
// not whole.
func Open(dir string) (*Index, error) {
	m, err := ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	x := &Index{dir: dir, manifest: *m}
	for _, f := range m.Files {
		info, err := os.Stat(filepath.Join(dir, f.Name))
		if err != nil {
			return nil, fmt.Errorf("open index: %w", err)
		}
		if info.Size() != f.Size {
			return nil, fmt.Errorf("open index %s: %w: %s has %d bytes, not %d", dir, ErrDamaged, f.Name, info.Size(), f.Size)
		}
	}
	if x.base, err = openSegment(filepath.Join(dir, "base.idx"), filepath.Join(dir, "base.rec")); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(m.Files, func(f File) bool { return f.Name == "delta.idx" }) {
		if x.delta, err = openSegment(filepath.Join(dir, "delta.idx"), filepath.Join(dir, "delta.rec")); err != nil {
			return nil, errors.Join(err, x.base.close())
		}
		x.dead = make([]bool, x.base.records)
		for _, ordinal := range x.delta.removed {
			if ordinal >= x.base.records {
				return nil, errors.Join(fmt.Errorf("open index %s: %w: the delta is of another base", dir, ErrDamaged), x.Close())
			}
			x.dead[ordinal] = true
		}
	}
	return x, nil
}

// ReadManifest reads the manifest of the generation in a directory.
func ReadManifest(dir string) (*Manifest, error) {
	path := filepath.Join(dir, manifestName)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	if info.Size() > maxManifest {
		return nil, fmt.Errorf("open index: %s: %w: %d bytes", path, ErrDamaged, info.Size())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	return ParseManifest(text)
}

// ParseManifest reads a manifest, which may come from elsewhere.
func ParseManifest(text []byte) (*Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("manifest: %w: %w", ErrDamaged, err)
	}
	allowed := []string{"base.idx", "base.rec", "delta.idx", "delta.rec"}
	for i, f := range m.Files {
		if i >= len(allowed) || f.Name != allowed[i] || f.Size < 0 || len(f.SHA256) != 64 {
			return nil, fmt.Errorf("manifest: %w: file %.60q", ErrDamaged, f.Name)
		}
	}
	if len(m.Generation) != 64 || len(m.Files) != 2 && len(m.Files) != 4 {
		return nil, fmt.Errorf("manifest: %w: it names no generation, or not its files", ErrDamaged)
	}
	return &m, nil
}

// Close unmaps the files.
func (x *Index) Close() error {
	err := x.base.close()
	if x.delta != nil {
		err = errors.Join(err, x.delta.close())
	}
	return err
}

// Manifest of the generation.
func (x *Index) Manifest() *Manifest { return &x.manifest }

// Generation names it.
func (x *Index) Generation() string { return x.manifest.Generation }

// Stats tells what is in it.
func (x *Index) Stats() *Stats { return &x.manifest.Stats }

// Loaded reports whether advisories were loaded for the ecosystem, or for
// one release of it, as "Debian:12".
func (x *Index) Loaded(ecosystem string) bool {
	return x.base.ecosystems[ecosystem] || x.delta != nil && x.delta.ecosystems[ecosystem]
}

// postings are kept for other lookups: their slices grow to what the largest
// packages need.
var postings = sync.Pool{New: func() any { return new(Posting) }}

// Lookup calls visit for what each advisory says of a package, which is given
// by its base ecosystem and name. The posting and its texts are valid during
// the call. Errors wrap ErrDamaged.
func (x *Index) Lookup(ecosystem, name string, visit func(*Posting)) error {
	key := advisory.Key(ecosystem, name)
	p := postings.Get().(*Posting)
	defer postings.Put(p)
	for _, s := range []*segment{x.base, x.delta} {
		if s == nil {
			continue
		}
		if err := x.lookup(s, key, p, visit); err != nil {
			return fmt.Errorf("advisories about %s %s: %w", ecosystem, name, err)
		}
	}
	return nil
}

func (x *Index) lookup(s *segment, key string, p *Posting, visit func(*Posting)) error {
	d, err := s.postings(key)
	if d == nil || err != nil {
		return err
	}
	for range d.count() {
		if p.decode(d, s); d.err != nil {
			return d.err
		}
		if s == x.base && x.dead != nil && int(p.Record.ordinal) < len(x.dead) && x.dead[p.Record.ordinal] {
			continue
		}
		visit(p)
	}
	return d.err
}

// Find is the record with an id.
func (x *Index) Find(id string) (ref Ref, ok bool, err error) {
	if x.delta != nil {
		if ordinal, ok, err := x.delta.find(id); ok || err != nil {
			return Ref{x.delta, ordinal}, ok, err
		}
	}
	ordinal, ok, err := x.base.find(id)
	if ok && x.dead != nil && x.dead[ordinal] {
		ok = false
	}
	return Ref{x.base, ordinal}, ok, err
}

// Entry is an advisory's id and when it was changed, as it spells that.
type Entry struct {
	ID, Modified string
	Ref          Ref
}

// All lists every advisory by id. The ids are parts of the mapped files. An
// error comes last and alone.
func (x *Index) All() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for c := x.cursors(); ; c.take() {
			e, ok, err := c.next()
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if !ok || !yield(e, nil) {
				return
			}
		}
	}
}

// cursors walk base and delta together, in the order of the ids.
type cursors struct{ base, delta cursor }

func (x *Index) cursors() *cursors {
	return &cursors{cursor{s: x.base, dead: x.dead}, cursor{s: x.delta}}
}

// next is the entry to take; ok is false at the end.
func (c *cursors) next() (e Entry, ok bool, err error) {
	a, okA, err := c.base.next()
	if err != nil {
		return e, false, err
	}
	b, okB, err := c.delta.next()
	if err != nil {
		return e, false, err
	}
	if okB && (!okA || b.ID < a.ID) {
		return b, true, nil
	}
	return a, okA, nil
}

// take goes on behind what next gives.
func (c *cursors) take() {
	a, okA, _ := c.base.next()
	b, okB, _ := c.delta.next()
	switch {
	case okB && (!okA || b.ID < a.ID):
		c.delta.i++
	case okA:
		c.base.i++
	}
}

// cursor walks the records of a segment.
type cursor struct {
	s    *segment
	dead []bool
	i    uint32
	at   uint32 // whose id is known, plus one
	e    Entry
}

func (c *cursor) next() (e Entry, ok bool, err error) {
	for c.s != nil && c.dead != nil && c.i < c.s.records && c.dead[c.i] {
		c.i++
	}
	if c.s == nil || c.i >= c.s.records {
		return e, false, nil
	}
	if c.at != c.i+1 {
		id, modified, err := c.s.id(c.i)
		if err != nil {
			return e, false, err
		}
		c.at, c.e = c.i+1, Entry{id, modified, Ref{c.s, c.i}}
	}
	return c.e, true, nil
}
