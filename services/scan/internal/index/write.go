package index

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"assize.dev/services/scan/internal/advisory"
)

// Fill gives advisories to a new generation, in no order and one at a time.
type Fill func(ctx context.Context, add func(r *advisory.Record, text []byte) error) (*advisory.Stats, error)

// Write makes a generation of everything that fill gives, in a directory that
// must not exist. The directory appears only when all of it is on disk.
func Write(ctx context.Context, dir string, fill Fill) error {
	return write(ctx, dir, func(work string) (*Manifest, error) {
		b, err := newBuilder(filepath.Join(work, "base.rec"))
		if err != nil {
			return nil, err
		}
		stats, err := fill(ctx, b.add)
		if err != nil {
			b.abandon()
			return nil, err
		}
		for name := range stats.Ecosystems {
			b.known[name] = true
		}
		if err := b.finish(filepath.Join(work, "base.idx"), nil); err != nil {
			return nil, err
		}
		return &Manifest{Stats: Stats{Rejected: stats.Rejected, RejectedNames: stats.RejectedNames}}, nil
	})
}

// Update makes the next generation of base: what fill gives is added or
// replaces, and what it says is retracted is taken away. What is older than
// what base has changes nothing. It is a small delta beside the files of base, which are
// linked, unless so much has changed that all is written anew.
func Update(ctx context.Context, dir string, base *Index, fill Fill) error {
	return write(ctx, dir, func(work string) (*Manifest, error) {
		b, err := newBuilder(filepath.Join(work, "delta.rec"))
		if err != nil {
			return nil, err
		}
		stats, err := base.into(ctx, b, fill)
		if err != nil {
			b.abandon()
			return nil, err
		}
		removed, err := base.replaced(b, stats.Retracted)
		if err != nil {
			b.abandon()
			return nil, err
		}
		m := &Manifest{Stats: Stats{Rejected: stats.Rejected, RejectedNames: stats.RejectedNames}}
		if len(b.byID)+len(removed) <= int(base.base.records)/10 {
			for name := range stats.Ecosystems {
				b.known[name] = true
			}
			if err := b.finish(filepath.Join(work, "delta.idx"), removed); err != nil {
				return nil, err
			}
			for _, name := range []string{"base.idx", "base.rec"} {
				if err := linkOrCopy(filepath.Join(base.dir, name), filepath.Join(work, name)); err != nil {
					return nil, err
				}
			}
			return m, nil
		}
		return m, base.anew(ctx, work, b, setOf(stats.Retracted))
	})
}

// into gives a builder what fill gives, as far as it is news, and what the
// present delta has beyond that.
func (x *Index) into(ctx context.Context, b *builder, fill Fill) (*advisory.Stats, error) {
	stats, err := fill(ctx, func(r *advisory.Record, text []byte) error {
		ref, ok, err := x.Find(r.ID)
		if err != nil {
			return err
		}
		if ok {
			i, err := ref.Info()
			if err != nil {
				return err
			}
			if i.Modified == r.Modified || !r.NewerThan(&advisory.Record{Modified: i.Modified, Withdrawn: i.Withdrawn}) {
				return nil
			}
		}
		return b.add(r, text)
	})
	if err != nil || x.delta == nil {
		return stats, err
	}
	for name := range x.delta.ecosystems {
		b.known[name] = true
	}
	gone := setOf(stats.Retracted)
	for ordinal := range x.delta.records {
		if err := again(b, Ref{x.delta, ordinal}, gone); err != nil {
			return stats, err
		}
	}
	return stats, nil
}

func setOf(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// again adds a record that is in an index already, unless it was replaced.
func again(b *builder, ref Ref, retracted map[string]bool) error {
	i, err := ref.Info()
	if err != nil {
		return err
	}
	if _, replaced := b.byID[i.ID]; replaced || retracted[i.ID] {
		return nil
	}
	text, err := ref.Text()
	if err != nil {
		return err
	}
	r, err := advisory.Decode(text)
	if err != nil {
		return fmt.Errorf("%s: %w", i.ID, err)
	}
	return b.add(r, text)
}

// replaced are the ordinals of the base's records that a new delta hides.
func (x *Index) replaced(b *builder, retracted []string) ([]uint32, error) {
	hidden := map[uint32]bool{}
	for ordinal, dead := range x.dead {
		if dead {
			hidden[uint32(ordinal)] = true
		}
	}
	hide := func(id string) error {
		ordinal, ok, err := x.base.find(id)
		if ok {
			hidden[ordinal] = true
		}
		return err
	}
	for id := range b.byID {
		if err := hide(id); err != nil {
			return nil, err
		}
	}
	for _, id := range retracted {
		if err := hide(id); err != nil {
			return nil, err
		}
	}
	removed := make([]uint32, 0, len(hidden))
	for ordinal := range hidden {
		removed = append(removed, ordinal)
	}
	slices.Sort(removed)
	return removed, nil
}

// anew writes base and changes as one segment.
func (x *Index) anew(ctx context.Context, work string, changes *builder, retracted map[string]bool) error {
	for ordinal := range x.base.records {
		if err := ctx.Err(); err != nil {
			changes.abandon()
			return err
		}
		if x.dead != nil && x.dead[ordinal] {
			continue
		}
		if err := again(changes, Ref{x.base, ordinal}, retracted); err != nil {
			changes.abandon()
			return err
		}
	}
	for name := range x.base.ecosystems {
		changes.known[name] = true
	}
	if err := changes.finish(filepath.Join(work, "base.idx"), nil); err != nil {
		return err
	}
	return os.Rename(filepath.Join(work, "delta.rec"), filepath.Join(work, "base.rec"))
}

// write makes the files in a folder beside dir and renames it when they are
// whole and synced.
func write(ctx context.Context, dir string, make func(work string) (*Manifest, error)) (err error) {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	work, err := os.MkdirTemp(parent, ".index-")
	if err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	defer os.RemoveAll(work)
	m, err := make(work)
	if err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	if err := m.complete(ctx, work); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	if err := os.Chmod(work, 0o755); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	if err := os.Rename(work, dir); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	return syncDir(parent)
}

// complete counts, names and sums up what was written, and writes the
// manifest.
func (m *Manifest) complete(ctx context.Context, work string) error {
	for _, name := range []string{"base.idx", "base.rec", "delta.idx", "delta.rec"} {
		f, err := sum(filepath.Join(work, name))
		if errors.Is(err, os.ErrNotExist) && strings.HasPrefix(name, "delta") {
			continue
		}
		if err != nil {
			return err
		}
		m.Files = append(m.Files, f)
	}
	m.Built = time.Now().UTC().Truncate(time.Second)
	m.Generation = strings.Repeat("0", 64)
	if err := m.save(work); err != nil {
		return err
	}
	x, err := Open(work)
	if err != nil {
		return err
	}
	defer x.Close()
	if err := m.count(ctx, x); err != nil {
		return err
	}
	return m.save(work)
}

// count learns from the index itself what is in it.
func (m *Manifest) count(ctx context.Context, x *Index) error {
	h := sha256.New()
	m.Stats.Advisories = map[string]int{}
	for e, err := range x.All() {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		m.Stats.Records++
		io.WriteString(h, e.ID+"\x00"+e.Modified+"\n")
		if t, err := time.Parse(time.RFC3339Nano, e.Modified); err == nil && t.After(m.Stats.Newest) {
			m.Stats.Newest = t.UTC()
		}
		i, packages, err := e.Ref.Packages()
		if err != nil {
			return err
		}
		if i.Withdrawn {
			m.Stats.Withdrawn++
		}
		seen := ""
		for _, key := range packages {
			if ecosystem, _, _ := strings.Cut(key, "\x00"); ecosystem != seen {
				seen = ecosystem
				m.Stats.Advisories[ecosystem]++
			}
		}
	}
	m.Generation = hex.EncodeToString(h.Sum(nil))
	return nil
}

func (m *Manifest) save(dir string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, manifestName))
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(dir)
}

func sum(path string) (File, error) {
	f, err := os.Open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return File{filepath.Base(path), n, hex.EncodeToString(h.Sum(nil))}, err
}

func linkOrCopy(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// WriteExport makes a generation of a directory in the layout of the OSV
// export; see advisory.Read.
func WriteExport(ctx context.Context, dir, export string) error {
	return Write(ctx, dir, func(ctx context.Context, add func(*advisory.Record, []byte) error) (*advisory.Stats, error) {
		return advisory.Read(ctx, export, add)
	})
}
