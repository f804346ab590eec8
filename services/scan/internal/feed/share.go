package feed

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

	"assize.dev/services/scan/internal/index"
	"assize.dev/shared/blob"
)

// A generation that is built once is fetched by every replica: its files are
// the objects advisories/<sha256 of the file>, and advisories/current.json is
// its manifest, replaced last, so that it never names what is not there.
const currentKey = "advisories/current.json"

// shared is what current.json says.
type shared struct {
	Manifest   index.Manifest `json:"manifest"`
	Enrichment *index.File    `json:"enrichment,omitempty"`
	State      State          `json:"state"`
}

const enrichmentFile = "enrichment.txt"

func fileKey(f index.File) string { return "advisories/" + f.SHA256 }

// Publish puts the current generation into the object store. What is there
// already is not sent again.
func (s *Store) Publish(ctx context.Context, store blob.Store) error {
	dir, err := s.current()
	if err != nil {
		return err
	}
	m, err := index.ReadManifest(dir)
	if err != nil {
		return err
	}
	state, err := s.State()
	if err != nil {
		return err
	}
	say := shared{Manifest: *m, State: *state}
	for _, f := range m.Files {
		if err := put(ctx, store, filepath.Join(dir, f.Name), f); err != nil {
			return err
		}
	}
	if f, err := describe(filepath.Join(s.dir, enrichmentFile)); err == nil {
		if err := put(ctx, store, filepath.Join(s.dir, enrichmentFile), f); err != nil {
			return err
		}
		say.Enrichment = &f
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	text, err := json.Marshal(say)
	if err != nil {
		return err
	}
	if err := store.Replace(ctx, currentKey, text); err != nil {
		return fmt.Errorf("publish advisories: %w", err)
	}
	return nil
}

func describe(path string) (index.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return index.File{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return index.File{Name: filepath.Base(path), Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}

func put(ctx context.Context, store blob.Store, path string, f index.File) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := store.Create(ctx, fileKey(f), file, f.Size); err != nil && !errors.Is(err, blob.ErrExists) {
		return fmt.Errorf("publish advisories: %s: %w", f.Name, err)
	}
	return nil
}

// Fetch takes the generation that was published, unless it is the current
// one. Every file is held against its digest before the generation counts.
// It reports whether there is a new one; ErrNone if nothing was published.
func (s *Store) Fetch(ctx context.Context, store blob.Store) (changed bool, err error) {
	say, err := published(ctx, store)
	if err != nil {
		return false, err
	}
	release, err := s.lock()
	if err != nil {
		return false, err
	}
	defer release()
	if m, err := s.Manifest(); err != nil || m.Generation != say.Manifest.Generation {
		_, err := s.adopt(func(dir string) error { return download(ctx, store, dir, &say.Manifest) })
		if err != nil {
			return false, fmt.Errorf("fetch advisories: %w", err)
		}
		changed = true
	}
	if f := say.Enrichment; f != nil {
		if have, err := describe(filepath.Join(s.dir, enrichmentFile)); err != nil || have.SHA256 != f.SHA256 {
			if err := s.download(ctx, store, *f); err != nil {
				return changed, fmt.Errorf("fetch advisories: %w", err)
			}
			changed = true
		}
	}
	return changed, s.saveState(&say.State)
}

func published(ctx context.Context, store blob.Store) (*shared, error) {
	o, err := store.Open(ctx, currentKey)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("fetch advisories: %w", err)
	}
	defer o.Close()
	text, err := io.ReadAll(io.LimitReader(o, blob.MaxReplace+1))
	if err != nil {
		return nil, fmt.Errorf("fetch advisories: %w", err)
	}
	var parts struct {
		Manifest   json.RawMessage `json:"manifest"`
		Enrichment *index.File     `json:"enrichment"`
		State      State           `json:"state"`
	}
	if err := json.Unmarshal(text, &parts); err != nil {
		return nil, fmt.Errorf("fetch advisories: %s: %w", currentKey, err)
	}
	m, err := index.ParseManifest(parts.Manifest)
	if err != nil {
		return nil, fmt.Errorf("fetch advisories: %s: %w", currentKey, err)
	}
	return &shared{*m, parts.Enrichment, parts.State}, nil
}

// download makes a generation of the published files.
func download(ctx context.Context, store blob.Store, dir string, m *index.Manifest) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, f := range m.Files {
		if err := get(ctx, store, filepath.Join(dir, f.Name), f); err != nil {
			return err
		}
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := At(dir).replace("manifest.json", text); err != nil {
		return err
	}
	x, err := index.Open(dir) // before it counts
	if err != nil {
		return err
	}
	return x.Close()
}

func (s *Store) download(ctx context.Context, store blob.Store, f index.File) error {
	temporary := filepath.Join(s.dir, fmt.Sprintf(".fetch-%d", os.Getpid()))
	defer os.Remove(temporary)
	if err := get(ctx, store, temporary, f); err != nil {
		return err
	}
	return os.Rename(temporary, filepath.Join(s.dir, enrichmentFile))
}

func get(ctx context.Context, store blob.Store, path string, f index.File) error {
	o, err := store.Open(ctx, fileKey(f))
	if err != nil {
		return err
	}
	defer o.Close()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(file, h), io.LimitReader(o, f.Size+1))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	if n != f.Size || hex.EncodeToString(h.Sum(nil)) != f.SHA256 {
		return fmt.Errorf("%s: %w: it is not the file that was published", f.Name, index.ErrDamaged)
	}
	return nil
}
